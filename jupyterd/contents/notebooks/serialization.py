"""Notebooks between disk and client: lines joined and split, older formats converted, validity reported.

A notebook of the current major version is handled as plain dicts and validated by nbformat's own compiled schema; any
other, and any that is not valid, goes through nbformat itself, so that repairs and messages are nbformat's.
"""

from __future__ import annotations

import json
import warnings
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from twisted.logger import Logger

from jupyterd.contents.notebooks import jsonio
from jupyterd.contents.notebooks.fast_validation import is_json_mime, is_ordinary

log = Logger()

_SPLIT_TOO = frozenset({"application/javascript", "image/svg+xml"})
_TRANSIENT = ("orig_nbformat", "orig_nbformat_minor", "signature")
_RICH = frozenset({"execute_result", "display_data"})


@dataclass(frozen=True)
class Notebook:
    """A notebook's content, as clients have it.

    :param plain: see :class:`jupyterd.contents.notebooks.jsonio.Parsed`.
    :param error: nbformat's validation error; None for a valid one. See :func:`message_of`.
    """

    content: Any
    plain: bool
    error: Any = None


def parse(raw: bytes) -> Notebook:
    """A notebook file's content, in the current format.

    :raises Exception: not a notebook; whatever nbformat says of it.
    """
    raw = raw.removeprefix(BOM_UTF8)  # editors of Windows put it there
    try:
        parsed = jsonio.loads(raw)
    except ValueError:
        return _parse_any(raw.decode(), False)
    ordinary = is_ordinary(parsed.value)
    if ordinary or _is_current(parsed.value):
        _join(parsed.value)
        _strip(parsed.value)
        if ordinary or _is_valid(parsed.value):
            return Notebook(parsed.value, parsed.plain)
    return _parse_any(raw.decode(), parsed.plain)


def _parse_any(text: str, plain: bool) -> Notebook:
    import nbformat

    caught: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of ids that it adds
        content = nbformat.reads(text, as_version=4, capture_validation_error=caught)
    return Notebook(content, plain, caught.get("ValidationError"))


def render(content: Any, plain: bool, trust: Callable[[Any], None]) -> tuple[Iterable[bytes], str | None]:
    """What is written to disk for a client's notebook, in pieces, and what is wrong with it.

    :param trust: called before, with the notebook; it takes the marks of trusted cells off and signs.
    :raises Exception: not a notebook at all.
    """
    ordinary = is_ordinary(content)
    if ordinary or _is_current(content):
        trust(content)
        if ordinary and plain and not jsonio.has_odd_float(content):
            pieces = _pieces(content)
            return (pieces if len(content["cells"]) > jsonio.GROUP else [b"".join(pieces)]), None
        if ordinary or _is_valid(content):
            return [jsonio.to_disk(_split(content), plain)], None
        return _render_any(content, lambda _: None)
    return _render_any(content, trust)


def _pieces(nb: dict[str, Any]) -> Iterator[bytes]:
    """The same bytes as of the whole, a few cells at a time: large buffers cost more than the work."""
    cells = nb["cells"]
    yield b'{\n "cells": [' + (b"\n" if cells else b"")
    for start in range(0, len(cells), jsonio.GROUP):
        group = [_split_cell(cell) for cell in cells[start : start + jsonio.GROUP]]
        yield jsonio.inner_list("cells", group) + (b",\n" if start + jsonio.GROUP < len(cells) else b"\n ")
    rest = {key: value for key, value in _split({**nb, "cells": []}).items() if key != "cells"}
    yield b"],\n" + jsonio.to_disk(rest, True)[2:]


def _render_any(content: Any, trust: Callable[[Any], None]) -> tuple[Iterable[bytes], str | None]:
    import nbformat

    nb = nbformat.from_dict(content)
    trust(nb)
    caught: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text = nbformat.writes(nb, version=nbformat.NO_CONVERT, capture_validation_error=caught)
    data = jsonio.utf8(text)
    return [data if data.endswith(b"\n") else data + b"\n"], message_of(caught.get("ValidationError"))


def message_of(error: Any) -> str | None:
    """A validation error as the reference words it."""
    if error is None:
        return None
    instance = json.dumps(error.instance, indent=1, default=lambda _: "<UNKNOWN>")
    return f"Notebook validation failed: {error}:\n{instance}"


def empty() -> dict[str, Any]:
    """A new notebook: no cells, the current format."""
    import nbformat

    return {
        "cells": [],
        "metadata": {},
        "nbformat": nbformat.current_nbformat,
        "nbformat_minor": nbformat.current_nbformat_minor,
    }


# -- shape


def _is_current(nb: Any) -> bool:
    """Format 4, and of a shape in which lines can be joined and split without asking."""
    return (
        type(nb) is dict
        and nb.get("nbformat") == 4
        and type(nb.get("nbformat_minor")) is int
        and type(nb.get("metadata")) is dict
        and type(nb.get("cells")) is list
        and all(map(_is_cell, nb["cells"]))
    )


def _is_cell(cell: Any) -> bool:
    if type(cell) is not dict or type(cell.get("metadata")) is not dict or not _is_text(cell.get("source")):
        return False
    attachments = cell.get("attachments", {})
    if type(attachments) is not dict or any(type(bundle) is not dict for bundle in attachments.values()):
        return False
    if cell.get("cell_type") != "code":
        return type(cell.get("cell_type")) is str
    outputs = cell.get("outputs")
    return type(outputs) is list and all(map(_is_output, outputs))


def _is_output(output: Any) -> bool:
    return (
        type(output) is dict
        and type(output.get("output_type")) is str
        and type(output.get("data", {})) is dict
        and _is_text(output.get("text", ""))
    )


def _is_text(value: Any) -> bool:
    return type(value) is str or (type(value) is list and all(type(line) is str for line in value))


def _is_valid(nb: dict[str, Any]) -> bool:
    """Valid as it is: nothing to repair, nothing to report."""
    from nbformat.validator import get_validator

    minor = nb["nbformat_minor"]
    if minor >= 5:
        ids = [cell.get("id") for cell in nb["cells"]]
        if not all(type(cell_id) is str for cell_id in ids) or len(set(ids)) != len(ids):
            return False
    validator = get_validator(4, minor)
    return validator is not None and next(iter(validator.iter_errors(nb)), None) is None


# -- lines


def _join(nb: dict[str, Any]) -> None:
    for cell in nb["cells"]:
        if type(cell["source"]) is list:
            cell["source"] = "".join(cell["source"])
        for bundle in cell.get("attachments", {}).values():
            _join_bundle(bundle)
        if cell["cell_type"] == "code":
            for output in cell["outputs"]:
                if output["output_type"] in _RICH:
                    _join_bundle(output.get("data", {}))
                elif type(output.get("text")) is list:
                    output["text"] = "".join(output["text"])


def _join_bundle(bundle: dict[str, Any]) -> None:
    for mime, value in bundle.items():
        if type(value) is list and not is_json_mime(mime) and all(type(line) is str for line in value):
            bundle[mime] = "".join(value)


def _strip(nb: dict[str, Any]) -> None:
    for key in _TRANSIENT:
        nb["metadata"].pop(key, None)
    for cell in nb["cells"]:
        cell["metadata"].pop("trusted", None)


def _split(nb: dict[str, Any]) -> dict[str, Any]:
    """A copy as it is written: text in lines, without what only clients need."""
    metadata = {key: value for key, value in nb["metadata"].items() if key not in _TRANSIENT}
    return {**nb, "metadata": metadata, "cells": [_split_cell(cell) for cell in nb["cells"]]}


def _split_cell(cell: dict[str, Any]) -> dict[str, Any]:
    new = dict(cell)
    if "trusted" in cell["metadata"]:
        new["metadata"] = {key: value for key, value in cell["metadata"].items() if key != "trusted"}
    if type(cell["source"]) is str:
        new["source"] = cell["source"].splitlines(True)
    if "attachments" in cell:
        new["attachments"] = {name: _split_bundle(bundle) for name, bundle in cell["attachments"].items()}
    if cell["cell_type"] == "code":
        new["outputs"] = [_split_output(output) for output in cell["outputs"]]
    return new


def _split_output(output: dict[str, Any]) -> dict[str, Any]:
    kind = output["output_type"]
    if kind in _RICH and "data" in output:
        return {**output, "data": _split_bundle(output["data"])}
    if kind == "stream" and type(output.get("text")) is str:
        return {**output, "text": output["text"].splitlines(True)}
    return output


def _split_bundle(bundle: dict[str, Any]) -> dict[str, Any]:
    return {
        mime: value.splitlines(True)
        if type(value) is str and (mime.startswith("text/") or mime in _SPLIT_TOO)
        else value
        for mime, value in bundle.items()
    }
