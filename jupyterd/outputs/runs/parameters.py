"""Parameters of a notebook, as papermill has them: a cell of assignments behind the one tagged ``parameters``."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from jupyterd.errors import Invalid

DEFAULTS, INJECTED = "parameters", "injected-parameters"
"""Tags of the cell with the defaults, and of the one that is put behind it."""


def language_of(notebook: dict[str, Any]) -> str:
    """The language of a notebook's kernel, in small letters; Python where it does not say."""
    metadata = notebook.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    for section, key in (("kernelspec", "language"), ("language_info", "name")):
        value = metadata.get(section)
        if isinstance(value, dict) and isinstance(value.get(key), str):
            return str(value[key]).lower()
    return "python"


def code_of(parameters: dict[str, Any], language: str) -> str:
    """A cell's source that assigns ``parameters``.

    :raises Invalid: not in this language, or a name that is none.
    """
    if language not in _WRITERS:
        raise Invalid(f"Parameters can not be given to notebooks in {language}")
    for name in parameters:
        if not name.isidentifier():
            raise Invalid(f"{name!r} is no name of a parameter")
    assign, write = _WRITERS[language]
    return "# Parameters\n" + "".join(f"{name} {assign} {write(value)}\n" for name, value in parameters.items())


def inject(notebook: dict[str, Any], source: str) -> dict[str, Any]:
    """Put the cell of parameters into a notebook, in place of an earlier one; the cell."""
    cells = notebook["cells"]
    cell: dict[str, Any] = {
        "cell_type": "code",
        "metadata": {"tags": [INJECTED], "trusted": True},
        "source": source,
        "outputs": [],
        "execution_count": None,
    }
    if (notebook.get("nbformat", 4), notebook.get("nbformat_minor", 0)) >= (4, 5):
        cell["id"] = uuid4().hex[:8]
    tags = [tags_of(each) for each in cells]
    old = next((index for index, each in enumerate(tags) if INJECTED in each), None)
    if old is not None:
        cell.update({key: cells[old][key] for key in ("id",) if key in cells[old]})
        cells[old] = cell
    else:
        cells.insert(next((index + 1 for index, each in enumerate(tags) if DEFAULTS in each), 0), cell)
    return cell


def tags_of(cell: Any) -> list[str]:
    """The tags of a cell."""
    metadata = cell.get("metadata") if isinstance(cell, dict) else None
    tags = metadata.get("tags") if isinstance(metadata, dict) else None
    return tags if isinstance(tags, list) else []


def _python(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return f"float({str(value)!r})"
    if isinstance(value, list):
        return f"[{', '.join(map(_python, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {_python(each)}" for key, each in value.items()) + "}"
    return repr(value)


def _quoted(value: str, escaped: str = "") -> str:
    marks = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", **{each: f"\\{each}" for each in escaped}}
    return '"' + "".join(marks.get(character, character) for character in value) + '"'


def _r(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "NULL", True: "TRUE", False: "FALSE"}[value]
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, list):
        return f"list({', '.join(map(_r, value))})"
    if isinstance(value, dict):
        return "list(" + ", ".join(f"{_quoted(key)} = {_r(each)}" for key, each in value.items()) + ")"
    return {"inf": "Inf", "-inf": "-Inf", "nan": "NaN"}.get(str(value), str(value))


def _julia(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return _quoted(value, "$")
    if isinstance(value, list):
        return f"[{', '.join(map(_julia, value))}]"
    if isinstance(value, dict):
        return "Dict(" + ", ".join(f"{_quoted(key, '$')} => {_julia(each)}" for key, each in value.items()) + ")"
    return {"inf": "Inf", "-inf": "-Inf", "nan": "NaN"}.get(str(value), str(value))


_WRITERS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "python": ("=", _python),
    "r": ("<-", _r),
    "julia": ("=", _julia),
}
