"""Fields of an HTML form in a request's body, of both kinds that browsers send (pure, bounded).

Source: HTML, "Form submission"; RFC 7578 (multipart/form-data).
"""

from __future__ import annotations

import re
from urllib.parse import parse_qs

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
MAX_FIELDS = 100
MAX_PART_HEAD = 10 * 1024  # bytes
MAX_BOUNDARY = 256  # characters; RFC 2046 has 70
_PARAMETER = re.compile(
    r""";\s*(?:(?P<name>[^\s=;"]+)\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^;"]*)))?\s*(?=;|\Z)""", re.DOTALL
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def kind_of(content_type: str) -> str:
    """The media type alone."""
    return content_type.partition(";")[0].strip().lower()


def is_form(content_type: str) -> bool:
    """Whether a body of this type has fields."""
    return kind_of(content_type) in (URLENCODED, MULTIPART)


def fields_of(body: bytes, content_type: str) -> dict[str, list[str]]:
    """The fields of a form, files left out; empty where it is none, is malformed, or has too many of them."""
    kind = kind_of(content_type)
    if kind == URLENCODED:
        try:
            return parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
        except ValueError:
            return {}
    boundary = _parameter(content_type, "boundary") if kind == MULTIPART else ""
    if not 0 < len(boundary) <= MAX_BOUNDARY:
        return {}
    return _multipart(body, b"--" + boundary.encode("latin-1", "replace"))


def _multipart(body: bytes, delimiter: bytes) -> dict[str, list[str]]:
    end = body.rfind(delimiter + b"--")
    parts = body[: max(0, end)].split(delimiter + b"\r\n", MAX_FIELDS + 1)
    if len(parts) > MAX_FIELDS + 1:
        return {}
    fields: dict[str, list[str]] = {}
    for part in parts[1:]:
        head, blank, value = part.partition(b"\r\n\r\n")
        if not blank or len(head) > MAX_PART_HEAD or not value.endswith(b"\r\n"):
            return {}
        disposition = _disposition(head.decode("utf-8", "replace"))
        name = _parameter(disposition, "name")
        if kind_of(disposition) != "form-data" or not name:
            return {}
        if not _parameter(disposition, "filename"):
            fields.setdefault(name, []).append(value[:-2].decode("utf-8", "replace"))
    return fields


def _disposition(head: str) -> str:
    for line in head.split("\r\n"):
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-disposition":
            return value.strip()
    return ""


def _parameter(header: str, name: str) -> str:
    """A parameter of a header such as ``form-data; name="a"``; empty where there is none, or the header is malformed.

    Takes a time that grows with the header's length alone, for it is read before anybody knows who has sent it: what
    the standard library has for it takes seconds for a header of many semicolons.
    """
    at = header.find(";")
    while 0 <= at < len(header) and (found := _PARAMETER.match(header, at)):
        if (found["name"] or "").lower() == name:
            return (found["plain"] or _ESCAPED.sub(r"\1", found["quoted"] or "")).strip()
        at = found.end()
    return ""
