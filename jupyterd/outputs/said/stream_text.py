"""Text of a stream as a terminal leaves it: carriage returns and backspaces applied, within a bound.

A carriage return that is followed by more deletes its line, a backspace the character before it, but no line's end.
Source: nbclient, ``coalesce_streams``.
"""

from __future__ import annotations

from collections import deque

_SPECIAL = ("\r", "\b")


class StreamText:
    """What one stream output holds; :meth:`add` costs in proportion to what is added.

    :param name: ``stdout`` or ``stderr``.
    :param limit: characters that are kept, half of them from the begin and half from the end.
    :ivar left_out: how many characters are missing in the middle.
    """

    def __init__(self, name: str, limit: int) -> None:
        self.name = name
        self.left_out = 0
        self._half = max(1, limit // 2)
        self._head: list[str] = []
        self._head_size = 0
        self._tail: deque[str] = deque()
        self._tail_size = 0
        self._line: list[str] = []
        self._line_size = 0

    @property
    def size(self) -> int:
        """Characters that are kept."""
        return self._head_size + self._tail_size + self._line_size

    def add(self, text: str) -> None:
        """More was written."""
        *lines, rest = text.split("\n")
        for line in lines:
            self._write(line)
            self._end_line()
        self._write(rest)
        if self._line_size > self._half:  # a line without an end
            self._bound_line()

    def _write(self, text: str) -> None:
        if not text:
            return
        if self._line and self._line[-1].endswith("\r") and text[0] != "\b":
            self._set_line("")
        if any(mark in text for mark in _SPECIAL):
            text = "".join(self._line) + text
            self._set_line(reduced(text))
        else:
            self._line.append(text)
            self._line_size += len(text)

    def _set_line(self, text: str) -> None:
        self._line = [text] if text else []
        self._line_size = len(text)

    def _bound_line(self) -> None:
        text = "".join(self._line)
        kept = text[-self._half // 2 or -1 :]
        self._keep(text[: len(text) - len(kept)])
        self._set_line(kept)

    def _end_line(self) -> None:
        text = "".join(self._line) + "\n"
        self._set_line("")
        self._keep(text)

    def _keep(self, text: str) -> None:
        if not self._tail and self._head_size + len(text) <= self._half:
            self._head.append(text)
            self._head_size += len(text)
            return
        self._tail.append(text)
        self._tail_size += len(text)
        while self._tail_size > self._half and len(self._tail) > 1:
            gone = len(self._tail.popleft())
            self._tail_size -= gone
            self.left_out += gone

    def text(self) -> str:
        """What is to be seen; where something is left out, a line says so."""
        told = f"\n[jupyterd] {self.left_out} characters are left out here: more than the outputs of a cell may have.\n"
        return "".join([*self._head, *([told] if self.left_out else []), *self._tail, *self._line])


def reduced(line: str) -> str:
    """One line, without its end, after its carriage returns and backspaces."""
    if "\b" in line:
        line = _without_backspaces(line)
    return line[line.rfind("\r", 0, len(line) - 1) + 1 :]


def _without_backspaces(line: str) -> str:
    kept: list[str] = []
    for character in line:
        if character != "\b":
            kept.append(character)
        elif kept:
            kept.pop()
    return "".join(kept)
