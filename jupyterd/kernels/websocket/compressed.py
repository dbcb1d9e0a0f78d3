"""Compression of a kernel's websocket: translates bytes acknowledged on the wire back to bytes of the log.

The log goes back to what a lost client has not confirmed, counted in bytes of its own frames; on the wire they are
others.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from operator import itemgetter
from struct import unpack_from
from typing import Any

from jupyterd.kernels.log.cursor import Records
from jupyterd.kernels.log.message_log import WINDOW
from jupyterd.kernels.messages.websocket_codec import Bytes, frame_head, frame_size
from jupyterd.kernels.recovery.standin import Standin
from jupyterd.kernels.websocket.protocol import ChannelsProtocol
from jupyterd.web.websocket.compression import LARGEST

COMPRESSED = 0x40
"""The first reserved bit of a frame's head. Source: RFC 7692, section 6."""


class Squeezed:
    """Compressed messages of one client, in records of TLS or as they are.

    :param below: those records; None where there are none.
    :param in_the_log: how many bytes of the log are in so many of the wire.
    :ivar noted: see :class:`jupyterd.kernels.log.cursor.Records`.
    """

    def __init__(self, below: Records | None, in_the_log: Callable[[int], int]) -> None:
        self.noted: Callable[[int, int], None] | None = None
        self._below, self._in_the_log = below, in_the_log
        if below is not None:
            below.noted = self._sealed

    def _sealed(self, encrypted: int, clear: int) -> None:
        if self.noted is not None:
            self.noted(encrypted, self._in_the_log(clear))

    def about_to_write(self, ends: Iterable[tuple[int, int]]) -> None:
        """Messages that end there are given to the system, or to TLS."""
        if self.noted is not None and self._below is None:
            for end, plain in ends:
                self.noted(end, plain)


class CompressedChannelsProtocol(ChannelsProtocol):
    """As :class:`ChannelsProtocol`; where the client has not agreed to compress, it is the same."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._marks: deque[tuple[int, int]] = deque([(0, 0)])  # where messages end: on the wire, in the log's bytes
        self._plain = 0
        self._squeezed: Squeezed | None = None

    def _have_it_held(self, standin: Standin, socket: Any) -> None:
        super()._have_it_held(standin, socket)
        if self._perMessageCompress is not None and self._held is not None:
            self._squeezed = Squeezed(self._held.records, self._logged)
            self._held = self._held._replace(records=self._squeezed)

    def begin(self, frames: list[Bytes]) -> int | None:
        """See :class:`jupyterd.kernels.log.cursor.Client`."""
        if self._perMessageCompress is None:
            return super().begin(frames)
        return None if self._held is None else self._plain

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
        receipts = self._receipts
        assert receipts is not None
        receipts.ahead(frame_size(out[0]))
        end = receipts.written
        for plain, wire in sizes:
            self._plain, end = self._plain + plain, end + wire
            self._marks.append((end, self._plain))
        while self._marks[1][1] < self._plain - WINDOW:
            self._marks.popleft()
        if self._squeezed is not None:
            self._squeezed.about_to_write(islice(self._marks, max(0, len(self._marks) - len(sizes)), None))
        super().write(out)
        return self._plain

    def _squeeze(self, size: int, opcode: int, pieces: list[Bytes]) -> list[Bytes]:
        if size > LARGEST:
            return [frame_head(opcode, size), *pieces]
        payload = self._perMessageCompress.squeeze(pieces)
        return [frame_head(opcode | COMPRESSED, len(payload)), payload]

    def unacknowledged(self) -> int:
        """Of the log's bytes, those that the client may not have."""
        return self._in_the_log(super().unacknowledged())

    def unsent(self) -> int | None:
        """Of the log's bytes, those that the system has not taken; None where it is not known."""
        missing = super().unsent()
        return self._in_the_log(missing) if missing else missing

    def unanswered(self) -> int:
        """Of the log's bytes, those that may have to be sent again, whatever happens."""
        return self._in_the_log(super().unanswered())

    def _in_the_log(self, missing: int) -> int:
        """What stands in the log for the last ``missing`` bytes of the wire; a message is there as a whole or not."""
        if self._perMessageCompress is None:
            return missing
        return self._plain - self._logged(self._marks[-1][0] - missing)

    def _logged(self, received: int) -> int:
        """The bytes of the log in so many of the wire."""
        known = bisect_right(self._marks, received, key=itemgetter(0))
        return self._marks[max(0, known - 1)][1]


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
