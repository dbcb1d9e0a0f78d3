"""``NaN`` and infinities in notebook files: kept through an editor that has only ever seen null in their place.

Python's json writes them (plotly, pandas and widgets do so in outputs and metadata), browsers can not read them.
Clients are sent null; a save that brings an output or a piece of metadata back as it was sent writes what was on the
disk.
"""

from __future__ import annotations

import mmap
import os
import re
import stat
from typing import Any

from jupyterd.contents.notebooks.serialization import parse
from jupyterd.system.strict_json import finite

_TOKEN = re.compile(rb"[\[:,\s]-?(?:NaN|Infinity)\s*[,\]}]")
MAX_PLACES = 10_000
"""Places that are looked at one by one; a file with more is searched as a whole."""
_BUNDLES = ("metadata", "attachments")


def in_file(os_path: str) -> bool:
    """Whether a file may hold one of them; False where there is no file. Reads it once, holds none of it."""
    try:
        fd = os.open(os_path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or not status.st_size:
            return False
        with mmap.mmap(fd, 0, access=mmap.ACCESS_READ) as data:
            return _holds_token(data)
    except (OSError, ValueError):
        return False  # it shrank meanwhile
    finally:
        os.close(fd)


def _holds_token(data: mmap.mmap) -> bool:
    """Whether one stands where JSON has a value. Base64 has the letters too: each place is looked at alone."""
    for word in (b"NaN", b"Infinity"):
        at = data.find(word)
        for _ in range(MAX_PLACES):
            if at < 0:
                break
            if _TOKEN.match(data, max(0, at - 1)) or _TOKEN.match(data, max(0, at - 2)):
                return True
            at = data.find(word, at + 1)
        else:
            return _TOKEN.search(data, max(0, at - 2)) is not None
    return False


def put_back(new: dict[str, Any], old: Any) -> bool:
    """Put the numbers of ``old`` where a client's version of the same notebook has left all around them alone.

    What may differ is told apart by cell (its id, or its source where there are no ids), and in a cell by output and by
    key of its metadata.

    :param new: changed in place.
    :param old: the notebook on the disk, as it was read.
    :returns: whether there was any.
    """
    if not isinstance(old, dict) or not _are_cells(old.get("cells")) or not _are_cells(new.get("cells")):
        return False
    found = _put_back_keys(new, old, "metadata")
    waiting: dict[Any, list[dict[str, Any]]] = {}
    for cell in old["cells"]:
        if finite(cell) is not cell:
            waiting.setdefault(_identity(cell), []).append(cell)
    for cell in new["cells"] if waiting else ():
        before = waiting.get(_identity(cell))
        if before:
            found |= _put_back_cell(cell, before.pop(0))
    return found


def _are_cells(cells: Any) -> bool:
    return isinstance(cells, list) and all(isinstance(cell, dict) for cell in cells)


def _identity(cell: dict[str, Any]) -> Any:
    if isinstance(cell.get("id"), str):
        return cell["id"]
    source = cell.get("source")
    return cell.get("cell_type"), "".join(map(str, source)) if isinstance(source, list) else source


def _put_back_cell(new: dict[str, Any], old: dict[str, Any]) -> bool:
    found = False
    for name in _BUNDLES:
        found |= _put_back_keys(new, old, name)
    outputs = new.get("outputs")
    if not isinstance(outputs, list) or not isinstance(old.get("outputs"), list):
        return found
    odd = [(plain, output) for output in old["outputs"] if (plain := finite(output)) is not output]
    for index, output in enumerate(outputs):
        for position, (plain, original) in enumerate(odd):
            if _lines_joined(output) == plain:
                outputs[index] = original
                del odd[position]
                found = True
                break
    return found


def _lines_joined(output: Any) -> Any:
    """An output as it was sent, if a client has split its text into lines since."""
    if not isinstance(output, dict) or not isinstance(output.get("data"), dict):
        return output
    data = {
        mime: "".join(value)
        if isinstance(value, list) and value and all(isinstance(line, str) for line in value)
        else value
        for mime, value in output["data"].items()
    }
    return {**output, "data": data}


def _put_back_keys(new: dict[str, Any], old: dict[str, Any], name: str) -> bool:
    found, target, source = False, new.get(name), old.get(name)
    if not isinstance(target, dict) or not isinstance(source, dict):
        return False
    for key, value in source.items():
        plain = finite(value)
        if plain is not value and key in target and target[key] == plain:
            target[key] = value
            found = True
    return found


def from_disk(content: dict[str, Any], os_path: str) -> bool:
    """:func:`put_back` what is in a file.

    :returns: whether there was any; ``content`` is then no longer plain, see
        :class:`jupyterd.contents.notebooks.jsonio.Parsed`.
    """
    if not in_file(os_path):
        return False
    try:
        with open(os_path, "rb") as file:
            old = parse(file.read())
    except Exception:  # noqa: BLE001 - what can not be read holds nothing to keep
        return False
    return not old.plain and put_back(content, old.content)
