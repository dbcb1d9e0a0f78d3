"""Base64 inside JSON, decoded a block at a time: neither the text nor the file is ever whole in memory."""

from __future__ import annotations

import mmap
import re
from binascii import Error, a2b_base64
from collections.abc import Iterator
from typing import Any

import msgspec

BLOCK = 1 << 20
NEAR = 4096
"""Bytes of a body that are looked at to see whether it is worth more."""

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_IN_BASE64 = re.compile(rb'"format"\s*:\s*"base64"')
_OTHER_ESCAPE = re.compile(rb"\\[^n]")


class Unusual(ValueError):
    """Not the plain kind of base64 that this understands; the usual way may."""


class Sketch(msgspec.Struct):
    """A model whose content is looked at later."""

    type: Any = None
    format: Any = None
    content: msgspec.Raw = msgspec.Raw(b"")
    chunk: Any = None
    path: Any = None
    copy_from: Any = None


def sketch(body: mmap.mmap) -> Sketch | None:
    """The model in a request's body, if it is that of a whole file in base64, said so near its beginning or end."""
    if not (_IN_BASE64.search(body[:NEAR]) or _IN_BASE64.search(body[-NEAR:])):
        return None
    try:
        found = msgspec.json.decode(body, type=Sketch)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    whole = found.chunk is None and not found.copy_from and not found.path
    return found if whole and (found.type, found.format) == ("file", "base64") else None


def decoded(content: msgspec.Raw) -> Iterator[bytes]:
    """The bytes that a JSON string of base64 stands for. Line breaks in it do not count.

    :raises Unusual: anything else in it that is not base64, in the middle of what was given already.
    """
    text = memoryview(content)
    if len(text) < 2 or text[0] != ord('"') or _OTHER_ESCAPE.search(text):
        raise Unusual
    position, end, held, ended = 1, len(text) - 1, b"", False
    while position < end:
        stop = min(position + BLOCK, end)
        if stop < end and text[stop - 1] == ord("\\"):
            stop += 1
        held += bytes(text[position:stop]).replace(b"\\n", b"")
        position = stop
        ready = len(held) if position == end else len(held) // 4 * 4
        block, held = held[:ready], held[ready:]
        if (ended and block) or block.rstrip(b"=").translate(None, _BASE64):
            raise Unusual
        ended = block.endswith(b"=")
        try:
            yield a2b_base64(block)
        except Error:
            raise Unusual from None
