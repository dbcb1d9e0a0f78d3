"""Record of what a keeper heard of a kernel while no daemon did: message after message, as it came from the socket.

The daemon that comes back verifies, numbers and stores the messages like any others; so their signatures are here too.
A record is a head (its size, when it came, its channel, the number of its parts), the parts' lengths, the parts:
signature, header, parent header, metadata, content, buffers. A record that was cut off by a kill ends the file.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

CHANNELS = (b"iopub", b"shell", b"control", b"stdin")

_HEAD = struct.Struct("<IdBH")
DELIMITER = b"<IDS|MSG>"


class Heard(NamedTuple):
    """One message.

    :ivar time: seconds since the epoch.
    :ivar parts: the signature, then the message's parts.
    """

    time: float
    channel: bytes
    parts: list[bytes]


def pack(time: float, channel: int, frames: Sequence[bytes]) -> bytes | None:
    """The record of a message; None where it is none.

    :param channel: its place in :data:`CHANNELS`.
    :param frames: all that came, routing included.
    """
    try:
        begin = frames.index(DELIMITER) + 1
    except ValueError:
        return None
    parts = frames[begin:]
    if not 5 <= len(parts) <= 0xFFFF:
        return None
    lengths = [len(part) for part in parts]
    size = 4 * len(parts) + sum(lengths)
    return b"".join((_HEAD.pack(size, time, channel, len(parts)), struct.pack(f"<{len(parts)}I", *lengths), *parts))


def signature(record: bytes) -> bytes:
    """The signature in a record."""
    (length,) = struct.unpack_from("<I", record, _HEAD.size)
    count = _HEAD.unpack_from(record)[3]
    begin = _HEAD.size + 4 * count
    return record[begin : begin + length]


def unpack(data: bytes) -> tuple[list[Heard], int]:
    """The messages at the begin of ``data``, and how many bytes they are; what is not whole is left."""
    found: list[Heard] = []
    at = 0
    while at + _HEAD.size <= len(data):
        size, time, channel, count = _HEAD.unpack_from(data, at)
        begin = at + _HEAD.size
        if begin + size > len(data) or channel >= len(CHANNELS) or 4 * count > size:
            break
        lengths = struct.unpack_from(f"<{count}I", data, begin)
        if 4 * count + sum(lengths) != size:
            break
        begin += 4 * count
        parts = []
        for length in lengths:
            parts.append(data[begin : begin + length])
            begin += length
        found.append(Heard(time, CHANNELS[channel], parts))
        at = begin
    return found, at
