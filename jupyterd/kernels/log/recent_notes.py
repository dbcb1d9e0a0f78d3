"""Notes of requests until they are on disk: in a file that is mapped into memory, true at the moment of a kill.

The kernel has a request at once, and may have replied to it before the journal has written that there was one.
"""

from __future__ import annotations

import mmap
import os
from contextlib import suppress
from struct import Struct

from jupyterd.kernels.log.chunk import Chunk
from jupyterd.kernels.log.cursor_file import mapped
from jupyterd.kernels.messages.websocket_codec import Bytes

ASKED = b">"
"""The channels of notes of what a client asked begin with it."""

NOTES = 128
"""Notes that are kept: more than are made until they are on disk; of more the last."""

MAX_HEADER = 480
"""Bytes of a request's header at most; what is longer is in the journal alone."""

_NOTE = Struct("<QQBH")
_ON_DISK = Struct("<Q")
_SIZE_OF_ONE = 512
_SIZE = NOTES * _SIZE_OF_ONE + _ON_DISK.size


def noted(channel: str, header: Bytes, number: int) -> Chunk:
    """The note of a request in the journal; it has no number in the log.

    :param number: the cursor's of who asked.
    """
    chunk = Chunk(ASKED + channel.encode(), [[bytes(header)]], 0.0, number)
    chunk.count = 0
    return chunk


class RecentNotes:
    """One kernel's.

    :param path: of the file; made with the first note.
    :ivar count: how many there have been.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._map: mmap.mmap | None = None
        self.count = 0

    def add(self, chunk: Chunk) -> None:
        """A request is about to be sent."""
        header = bytes(chunk.messages[0][0])
        if len(header) > MAX_HEADER:
            return
        if self._map is None:
            with suppress(OSError, ValueError):
                self._map = mapped(self._path, _SIZE)
        if self._map is not None:
            self.count += 1
            channel = chunk.channel.removeprefix(ASKED)
            packed = _NOTE.pack(self.count, chunk.to, len(channel), len(header)) + channel + header
            begin = self.count % NOTES * _SIZE_OF_ONE
            self._map[begin : begin + len(packed)] = packed

    def on_disk(self, count: int) -> None:
        """The first ``count`` are in the journal."""
        if self._map is not None:
            _ON_DISK.pack_into(self._map, NOTES * _SIZE_OF_ONE, count)

    def read(self) -> list[Chunk]:
        """Those of a former daemon that are not, oldest first; they go on here."""
        if not os.path.exists(self._path):
            return []
        with suppress(OSError, ValueError):
            self._map = mapped(self._path, _SIZE)
        if self._map is None:
            return []
        (on_disk,) = _ON_DISK.unpack_from(self._map, NOTES * _SIZE_OF_ONE)
        found = []
        for begin in range(0, NOTES * _SIZE_OF_ONE, _SIZE_OF_ONE):
            number, to, of_channel, of_header = _NOTE.unpack_from(self._map, begin)
            if number > on_disk and of_channel + of_header <= _SIZE_OF_ONE - _NOTE.size:
                begin += _NOTE.size
                channel, header = self._map[begin : begin + of_channel], self._map[begin + of_channel :][:of_header]
                found.append((number, noted(channel.decode(), header, to)))
            self.count = max(self.count, number)
        return [chunk for _, chunk in sorted(found, key=lambda each: each[0])]

    def close(self) -> None:
        """Let go of it; the file stays."""
        if self._map is not None:
            self._map.close()
            self._map = None
