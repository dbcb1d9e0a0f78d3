"""A high-water mark in bytes for a ZeroMQ socket, whose own counts messages.

What a kernel says while the reactor is busy waits in ZeroMQ up to the mark; beyond it the kernel drops what it says. So
the mark is high while messages are small, and low before large ones fill the memory.

libzmq lets its mark be changed only with care. The reader tells the writer how much it has read at multiples of half
the mark; the writer stops when it is a whole mark ahead of what it was told, and goes on when it is told more. After a
change the next such multiple must lie within what the writer may have written, or both wait for each other. Any mark
will do that has a multiple of its half there. This is also what makes a high mark safe: of the many high marks, one is
taken whose half has a multiple only a few messages on, where it can be changed again. Source: libzmq 4.3.5,
``pipe.cpp`` (``read``, ``check_hwm``, ``compute_lwm``, ``process_pipe_hwm``).
"""

from __future__ import annotations

from collections.abc import Callable

BYTES = 12 * 1024 * 1024
LARGE_BYTES = 8 * 1024 * 1024
MAX_MARK = 16384
MIN_MARK = 4
"""What ZeroMQ holds of a kernel's messages: so many bytes by their recent average, within these numbers. Of large
messages less: the kernel's own thousand is more than enough of them."""

LARGE = 64 * 1024
"""Messages of so many bytes on average are large."""

YOUNG = 16 * 1024
"""A young socket's mark is looked at again at once where messages are of so many bytes on average."""

NEAR, FAR = 4, 32
"""The mark is looked at again after so many messages: where it rests, and while a kernel floods."""

TRIES = 64


class HighWater:
    """The receiving high-water mark of one socket.

    While the writer was told nothing yet, which is up to half the first mark, any mark above what was read will do: the
    writer may have written so much in all. So a young socket, of whose kernel little is known, has the highest mark; it
    goes down as soon as messages are too large for it.

    :param change: sets the mark.
    :ivar mark: the mark now, in messages; the socket has it from its beginning.
    :ivar left: messages until the mark is looked at; no batch goes beyond.
    """

    def __init__(self, change: Callable[[int], None]) -> None:
        self._change = change
        self.mark = MAX_MARK
        self.left = MIN_MARK
        self._ahead = NEAR
        self._young = True
        self._read = self._seen = self._bytes = 0
        self._frozen = False

    @property
    def fits(self) -> bool:
        """Whether what ZeroMQ may hold of messages like the last ones stays in bounds."""
        if self._frozen or self._young:
            return self._frozen
        count = self._read - self._seen
        return self.mark <= 2 * MIN_MARK or not count or self.mark <= 2 * _fitting(self._bytes // count)

    def took(self, messages: int, size: int, more: bool) -> None:
        """A batch was read.

        :param size: its bytes.
        :param more: whether there may be more to read.
        """
        self._bytes += size
        self._read += messages
        self.left -= messages
        if not more:
            self._ahead = NEAR
        if self._young and size >= YOUNG * messages > 0:
            self._seen, self._bytes = self._read - messages, size
            self._fit()
        elif self.left <= 0:
            self._fit()

    def settle(self) -> None:
        """The socket will be paused: a young one's mark goes down now."""
        if self._young and not self._frozen:
            self._young = False
            self._seen, self._bytes = self._read, 0
            self._set(max(MIN_MARK, self._read + 2) // 2)

    def lost_count(self) -> None:
        """Malformed messages make the count unsure: the mark stays where it is, whatever fits."""
        self._frozen = True

    def _fit(self) -> None:
        average = self._bytes // (self._read - self._seen)
        self._seen, self._bytes = self._read, 0
        if self._frozen:
            self.left = FAR
        elif self._young and self._read < self.mark // 2:
            fitting = _fitting(average)
            if self.mark > self._read + 2 * fitting:
                self._set((self._read + fitting) // 2)
                self._young = self._read < self.mark // 2
            if self._young:
                self.left = min(self._ahead, self.mark // 2 - self._read)
            self._ahead = min(2 * self._ahead, FAR)
        else:
            self._young = False
            self._set(placed(self._read, _fitting(average) // 2, self._ahead, self.mark))
            self._ahead = min(2 * self._ahead, FAR)

    def _set(self, half: int) -> None:
        self.left = half - self._read % half
        if self.mark != 2 * half:
            self.mark = 2 * half
            self._change(self.mark)


def _fitting(average: int) -> int:
    """The highest mark for messages of ``average`` bytes."""
    return max(MIN_MARK, min(MAX_MARK, (LARGE_BYTES if average >= LARGE else BYTES) // max(1, average)))


def placed(read: int, most: int, near: int, far: int) -> int:
    """A number up to ``most``, as large as may be, with a multiple at most ``near`` above ``read``.

    Where none is found soon the multiple may be farther, at most ``far`` above.
    """
    window = min(near, far)
    while most > window:
        reach = read + window
        first = reach // (most + 1) + 1
        for times in range(first, min(first + TRIES, 2 * first + NEAR)):
            found = reach // times
            if found * times > read:
                return found
        if window == far:
            return far
        window = min(4 * window, far)
    return most
