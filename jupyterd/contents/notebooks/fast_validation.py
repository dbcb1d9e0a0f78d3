"""Fast validation: notebooks as nearly all are, told to be valid without the schema.

What is called ordinary here is valid by nbformat's schema of version 4.4 or 4.5, and of a shape in which lines can be
joined and split without asking. What is not ordinary may be valid all the same: nbformat decides.
Source: ``nbformat/v4/nbformat.v4.5.schema.json``.
"""

from __future__ import annotations

import re
from typing import Any

_ID = re.compile(r"[a-zA-Z0-9\-_]{1,64}\Z")
_NOTEBOOK = {"cells", "metadata", "nbformat", "nbformat_minor"}
_TEXT_CELL = ({"cell_type", "metadata", "source"}, {"cell_type", "id", "metadata", "source"})
_CODE_CELL = (
    {"cell_type", "execution_count", "metadata", "outputs", "source"},
    {"cell_type", "execution_count", "id", "metadata", "outputs", "source"},
)
_STREAM = {"output_type", "name", "text"}
_DISPLAY = {"output_type", "data", "metadata"}
_RESULT = {"output_type", "data", "metadata", "execution_count"}
_ERROR = {"output_type", "ename", "evalue", "traceback"}
_LANGUAGE = ("name", "file_extension", "mimetype", "pygments_lexer")


def is_ordinary(nb: Any) -> bool:
    """Valid, current, and nothing unusual."""
    if type(nb) is not dict or nb.keys() != _NOTEBOOK or nb["nbformat"] != 4 or type(nb["nbformat"]) is not int:
        return False
    minor, cells = nb["nbformat_minor"], nb["cells"]
    if (
        type(minor) is not int
        or minor not in (4, 5)
        or type(cells) is not list
        or not _notebook_metadata(nb["metadata"])
    ):
        return False
    with_ids = minor == 5
    if not all(_cell(cell, with_ids) for cell in cells):
        return False
    return not with_ids or len({cell["id"] for cell in cells}) == len(cells)


def _notebook_metadata(metadata: Any) -> bool:
    if type(metadata) is not dict or "orig_nbformat" in metadata:
        return False
    if "kernelspec" in metadata and not _strings(metadata["kernelspec"], ("name", "display_name"), ()):
        return False
    if "language_info" in metadata:
        language = metadata["language_info"]
        if not _strings(language, ("name",), _LANGUAGE) or type(language.get("codemirror_mode", "")) not in (str, dict):
            return False
    return type(metadata.get("title", "")) is str and type(metadata.get("authors", [])) is list


def _strings(mapping: Any, required: tuple[str, ...], optional: tuple[str, ...]) -> bool:
    return (
        type(mapping) is dict
        and all(type(mapping.get(key)) is str for key in required)
        and all(type(mapping[key]) is str for key in optional if key in mapping)
    )


def _cell(cell: Any, with_id: bool) -> bool:
    if type(cell) is not dict:
        return False
    if with_id:
        cell_id = cell.get("id")
        if type(cell_id) is not str or not _ID.match(cell_id):
            return False
    kind = cell.get("cell_type")
    if kind == "code":
        count, outputs = cell.get("execution_count"), cell.get("outputs")
        if cell.keys() != _CODE_CELL[with_id] or type(outputs) is not list or not _is_count(count):
            return False
        if not all(map(_output, outputs)):
            return False
    elif kind not in ("markdown", "raw") or cell.keys() != _TEXT_CELL[with_id]:
        return False
    return _is_text(cell["source"]) and _cell_metadata(cell["metadata"])


def _cell_metadata(metadata: Any) -> bool:
    if type(metadata) is not dict:
        return False
    for key, value in metadata.items():
        if key in ("name", "format"):
            return False
        if key == "jupyter" and type(value) is not dict:
            return False
        if key == "collapsed" and type(value) is not bool:
            return False
        if key == "scrolled" and type(value) is not bool and value != "auto":
            return False
        if key == "execution" and not (type(value) is dict and all(type(item) is str for item in value.values())):
            return False
        if key == "tags" and not _tags(value):
            return False
    return True


def _tags(value: Any) -> bool:
    return (
        type(value) is list
        and all(type(tag) is str and tag and "," not in tag and "\n" not in tag for tag in value)
        and len(set(value)) == len(value)
    )


def _output(output: Any) -> bool:
    if type(output) is not dict:
        return False
    kind = output.get("output_type")
    if kind == "stream":
        return output.keys() == _STREAM and type(output["name"]) is str and _is_text(output["text"])
    if kind == "display_data":
        return output.keys() == _DISPLAY and _bundle(output["data"]) and type(output["metadata"]) is dict
    if kind == "execute_result":
        return (
            output.keys() == _RESULT
            and _bundle(output["data"])
            and type(output["metadata"]) is dict
            and _is_count(output["execution_count"])
        )
    if kind == "error":
        return (
            output.keys() == _ERROR
            and type(output["ename"]) is str
            and type(output["evalue"]) is str
            and type(output["traceback"]) is list
            and all(type(line) is str for line in output["traceback"])
        )
    return False


def _bundle(data: Any) -> bool:
    """Text is text; of JSON types anything is taken; a key with a line break in it is left to the schema."""
    return type(data) is dict and all(
        "\n" not in mime and (_is_text(value) or is_json_mime(mime)) for mime, value in data.items()
    )


def is_json_mime(mime: str) -> bool:
    """Data of this type are values, never lines of text."""
    return mime == "application/json" or (mime.startswith("application/") and mime.endswith("+json"))


def _is_count(value: Any) -> bool:
    return value is None or (type(value) is int and value >= 0)


def _is_text(value: Any) -> bool:
    return type(value) is str or (type(value) is list and all(type(line) is str for line in value))
