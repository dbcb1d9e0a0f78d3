"""Screen of a terminal: what it wrote last, enough to paint it again for a client that comes, or comes back."""

from __future__ import annotations

from collections import deque

RESET = "\x1bc"
"""Makes a terminal emulator forget all that it shows (ECMA-48, RIS)."""


class Screen:
    """The tail of a terminal's output, at most ``limit`` characters; places in it are counted from the very first.

    :ivar end: how many characters there have been in all.
    """

    def __init__(self, limit: int = 512 * 1024) -> None:
        self._limit = limit
        self._pieces: deque[str] = deque()
        self._held = 0
        self.end = 0

    @property
    def start(self) -> int:
        """The place of the first character that is still held."""
        return self.end - self._held

    def append(self, text: str) -> None:
        """More output."""
        self._pieces.append(text)
        self._held += len(text)
        self.end += len(text)
        while self._held > self._limit:
            self._shorten(self._pieces.popleft())

    def _shorten(self, oldest: str) -> None:
        """Keep of the oldest piece what fits, from the beginning of a line: no half escape sequence stays."""
        excess = self._held - self._limit
        self._held -= len(oldest)
        cut = oldest.find("\n", excess) + 1
        if 0 < cut < len(oldest):
            self._pieces.appendleft(oldest[cut:])
            self._held += len(oldest) - cut

    def since(self, place: int) -> str:
        """What came after a place; where that is no longer held, a reset and all that is."""
        if place >= self.end:
            return ""
        text = "".join(self._pieces)
        return RESET + text if place < self.start else text[place - self.start :]
