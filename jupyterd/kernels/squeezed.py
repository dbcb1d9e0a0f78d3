"""A tab that compresses: the log's frames are written compressed, and the log is told of them as it knows them.

The log goes back to what a lost client has not confirmed, counted in bytes of its own frames; on the wire they are
others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from struct import unpack_from
from typing import Any

from jupyterd.kernels.protocol import ChannelsProtocol
from jupyterd.kernels.wire import Bytes, frame_head
from jupyterd.web.compression import LARGEST

COMPRESSED = 0x40
"""The first reserved bit of a frame's head. Source: RFC 7692, section 6."""

MOST_MARKS = 1000


class SqueezedChannelsProtocol(ChannelsProtocol):
    """As :class:`ChannelsProtocol`; where the client has not agreed to compress, it is the same."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._marks: deque[tuple[int, int]] = deque()  # where each message ends: in the log's bytes, on the wire
        self._plain = 0
        self._confirmed = 0
        self._last = 0

    def write(self, frames: list[Bytes]) -> int:
        """Take whole frames; the number of the log's bytes taken in all."""
        if self._perMessageCompress is None:
            return super().write(frames)
        out: list[Bytes] = []
        sizes: list[tuple[int, int]] = []
        for size, opcode, pieces in messages(frames):
            frame = self._squeeze(size, opcode, pieces)
            sizes.append((len(frame_head(opcode, size)) + size, sum(map(len, frame))))
            out += frame
        self._last = super().write(out)
        end = self._last - sum(wire for _, wire in sizes)
        for plain, wire in sizes:
            self._plain, end = self._plain + plain, end + wire
            self._marks.append((self._plain, end))
        if len(self._marks) > MOST_MARKS:
            self.unacknowledged()
        return self._plain

    def _squeeze(self, size: int, opcode: int, pieces: list[Bytes]) -> list[Bytes]:
        if size > LARGEST:
            return [frame_head(opcode, size), *pieces]
        payload = self._perMessageCompress.squeeze(pieces)
        return [frame_head(opcode | COMPRESSED, len(payload)), payload]

    def unacknowledged(self) -> int:
        """Of the log's bytes, those that the client may not have."""
        missing = super().unacknowledged()
        if self._perMessageCompress is None:
            return missing
        while self._marks and self._marks[0][1] <= self._last - missing:
            self._confirmed = self._marks.popleft()[0]
        return self._plain - self._confirmed


def messages(frames: list[Bytes]) -> Iterator[tuple[int, int, list[Bytes]]]:
    """Size, opcode and pieces of each message in frames of ours: whole, unmasked, and cut into pieces anywhere."""
    rest = deque(piece for piece in frames if piece)
    while rest:
        head = _take(rest, 2)
        opcode, length = b"".join(head)
        if length > 125:
            more = 2 if length == 126 else 8
            (length,) = unpack_from("!H" if more == 2 else "!Q", b"".join(_take(rest, more)))
        yield length, opcode, _take(rest, length)


def _take(rest: deque[Bytes], size: int) -> list[Bytes]:
    taken: list[Bytes] = []
    while size:
        piece = memoryview(rest.popleft())
        if len(piece) > size:
            rest.appendleft(piece[size:])
            piece = piece[:size]
        taken.append(piece)
        size -= len(piece)
    return taken
