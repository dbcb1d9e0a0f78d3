"""Notebooks to JSON and back, without changing a value.

msgspec reads and writes nearly all of them; it refuses, and the standard library takes, ``NaN``, ``Infinity`` and lone
surrogates. On disk a notebook is byte for byte what nbformat writes: indented by one space, keys sorted, UTF-8, floats
as Python spells them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap
from typing import Any

import msgspec

GROUP = 8
"""Cells that are encoded at a time."""

_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()
_sorted_encoder = msgspec.json.Encoder(order="sorted")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Parsed:
    """A value and how it was read.

    :param plain: msgspec took it: no ``NaN``, no infinity, no lone surrogate is in it.
    """

    value: Any
    plain: bool


def loads(data: bytes | str | mmap) -> Parsed:
    """Read JSON as the standard library does.

    :raises ValueError: not JSON. (``UnicodeDecodeError`` is one: not UTF-8.)
    """
    try:
        return Parsed(_decoder.decode(data), True)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    text = data if isinstance(data, str) else bytes(data).decode()
    try:
        return Parsed(json.loads(text), False)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def to_wire(value: Any) -> bytes:
    """JSON for clients; ``NaN`` and infinities are null."""
    try:
        return _encoder.encode(value)
    except (TypeError, ValueError, RecursionError):
        pass
    from jupyterd.contents.models import encode_any

    return encode_any(value)


def list_in_pieces(items: list[Any]) -> Iterator[bytes]:
    """JSON of a plain list's items for clients, a few at a time, without the brackets around all."""
    for start in range(0, len(items), GROUP):
        yield (b"," if start else b"") + _encoder.encode(items[start : start + GROUP])[1:-1]


def to_disk(value: Any, plain: bool) -> bytes:
    """JSON as nbformat writes it, with a newline at its end.

    A lone surrogate, which UTF-8 has no bytes for, is written as its escape.
    """
    if plain:
        try:
            return _indented(value)
        except (TypeError, ValueError, RecursionError):
            pass
    text = json.dumps(value, indent=1, sort_keys=True, separators=(",", ": "), ensure_ascii=False)
    return utf8(text) + b"\n"


def _indented(value: Any) -> bytes:
    if has_odd_float(value):
        flat = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    else:
        flat = _sorted_encoder.encode(value)
    return msgspec.json.format(flat, indent=1) + b"\n"


def inner_list(key: str, items: list[Any]) -> bytes:
    """The lines of ``items`` as :func:`to_disk` writes them in ``{key: items}``; no float in them is odd."""
    data = msgspec.json.format(_sorted_encoder.encode({key: items}), indent=1)
    return data[len(key) + 9 : -5]


def utf8(text: str) -> bytes:
    """UTF-8, with lone surrogates as JSON escapes."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text).encode()


def has_odd_float(value: Any) -> bool:
    """A float is in it that Python and msgspec spell differently: an exponent, or none where the other has one."""
    kind = type(value)
    if kind is float:
        return value != 0 and not 1e-4 <= abs(value) < 1e16
    if kind is dict:
        for item in value.values():
            if type(item) is not str and has_odd_float(item):
                return True
    elif kind is list:
        for item in value:
            if type(item) is not str and has_odd_float(item):
                return True
    elif isinstance(value, dict | list | tuple | float):
        return True  # a subclass: the standard library knows best
    return False
