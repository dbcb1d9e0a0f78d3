"""A terminal's last output in a file of fixed size: daemon and keeper write it in turn.

The file is mapped into memory: what was written is there after the writer was killed. Sixteen bytes of head (a mark,
and how many bytes there have been in all), then a ring of the last of them.
"""

from __future__ import annotations

import mmap
import os
import struct

SIZE = 1024 * 1024
"""Bytes that are kept."""

_HEAD = struct.Struct("<8sQ")
_MARK = b"jpscrn1\n"


class ScreenFile:
    """The ring.

    :param path: made, readable by its owner only, where it is missing or none of ours.
    :raises OSError: it can not be had, the disk being full among the reasons.
    """

    def __init__(self, path: str) -> None:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            _reserve(fd, path)
            self._map = mmap.mmap(fd, _HEAD.size + SIZE)
        finally:
            os.close(fd)
        mark, self._total = _HEAD.unpack_from(self._map)
        if mark != _MARK:
            self._total = 0
            _HEAD.pack_into(self._map, 0, _MARK, 0)

    @property
    def total(self) -> int:
        """How many bytes there have been in all."""
        return int(self._total)

    def append(self, data: bytes) -> None:
        """More output."""
        total = self._total + len(data)
        data = data[-SIZE:]
        begin = (total - len(data)) % SIZE
        first = min(len(data), SIZE - begin)
        self._map[_HEAD.size + begin : _HEAD.size + begin + first] = data[:first]
        if first < len(data):
            self._map[_HEAD.size : _HEAD.size + len(data) - first] = data[first:]
        self._total = total
        _HEAD.pack_into(self._map, 0, _MARK, total)

    def refresh(self) -> None:
        """The other side has written."""
        self._total = _HEAD.unpack_from(self._map)[1]

    def read(self) -> bytes:
        """What is kept."""
        ring = self._map[_HEAD.size : _HEAD.size + SIZE]
        if self._total <= SIZE:
            return ring[: self._total]
        end = self._total % SIZE
        return ring[end:] + ring[:end]

    def close(self) -> None:
        """Let go of the map; the file stays."""
        self._map.close()


def _reserve(fd: int, path: str) -> None:
    """Take the space, so that no write into the map meets a full disk; where there is none, no empty file is left."""
    try:
        os.posix_fallocate(fd, 0, _HEAD.size + SIZE)
    except OSError:
        if os.fstat(fd).st_size == 0:
            os.unlink(path)
        raise
