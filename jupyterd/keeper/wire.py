"""Frames between daemon and keeper: a length, a JSON object, and descriptors beside it.

A frame is four bytes of length (big endian), then so many bytes of JSON in UTF-8. A message with ``"fds": n`` owns the
next ``n`` descriptors that came over the socket (SCM_RIGHTS); they never come later than the message's last byte.

What a keeper can be asked for is in :mod:`jupyterd.keeper.operations`, a method for each operation.

Requests have ``op`` and ``id``; the answer has the same ``id``, and ``error`` where it failed. Messages with ``event``
come by themselves. :data:`VERSION` changes when an older side could no longer understand the other; what an older side
does not know is left out by it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any

VERSION = 1

ENDED = "ended.json"
"""The file, beside the socket, in which a keeper that ends leaves how its last children ended: their models."""

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""Bytes of a message at most: an environment is the longest part of one."""

_LENGTH = struct.Struct(">I")

Message = dict[str, Any]


class BadFrame(Exception):
    """The other side does not speak this protocol."""


def encode(message: Message) -> bytes:
    """A message's frame."""
    data = json.dumps(message, separators=(",", ":")).encode("utf-8", "surrogatepass")
    return _LENGTH.pack(len(data)) + data


class Decoder:
    """Bytes to messages."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """Take bytes; give the messages that they complete.

        :raises BadFrame: what came is none.
        """
        self._data += data
        while len(self._data) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._data)
            if length > MAX_MESSAGE_BYTES:
                raise BadFrame(f"a message of {length} bytes")
            if len(self._data) < _LENGTH.size + length:
                return
            text = bytes(self._data[_LENGTH.size : _LENGTH.size + length])
            del self._data[: _LENGTH.size + length]
            try:
                message = json.loads(text.decode("utf-8", "surrogatepass"))
            except (ValueError, RecursionError) as error:
                raise BadFrame(str(error)) from None
            if not isinstance(message, dict):
                raise BadFrame("no object")
            yield message
