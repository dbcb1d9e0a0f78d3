"""Websocket protocol of a terminal's client. Messages are JSON arrays, the first item tells their kind.

From the client: ``["stdin", text]``, ``["set_size", rows, columns, height, width]``. To the client: ``["setup", {}]``
at the beginning, ``["stdout", text]``, and ``["disconnect", 1]`` when the process has ended. Source: terminado.
"""

from __future__ import annotations

import json
from typing import Any

from jupyterd.terminals.terminal import Terminal
from jupyterd.web.websocket.protocol import SocketProtocol


class TerminalProtocol(SocketProtocol):
    """A client that shows a terminal and types into it.

    :ivar size: rows and columns of the client; None where it has not said.
    :ivar reads: whether it takes output now.
    """

    max_message = 16 * 1024 * 1024

    def __init__(self, terminal: Terminal, ping_interval: float, ping_timeout: float) -> None:
        super().__init__()
        self._terminal = terminal
        self.ping_interval = ping_interval
        self.ping_timeout = ping_timeout
        self.size: tuple[int | None, int | None] = (None, None)
        self.reads = True

    def opened(self) -> None:
        """Paint what the terminal holds."""
        self._send("setup", {})
        if self._terminal.alive:
            self._terminal.attach(self)
        else:
            self.died()

    def closed(self, code: int, reason: str) -> None:
        """Show it no more; the process goes on."""
        self.reads = False
        self._terminal.detach(self)

    def paused(self) -> None:
        """The client reads slower than the process writes."""
        self.reads = False
        self._terminal.slower()

    def resumed(self) -> None:
        """The client reads again."""
        self.reads = True
        self._terminal.catch_up(self)

    def show(self, text: str) -> None:
        """Output of the process."""
        self._send("stdout", text)

    def died(self) -> None:
        """The process has ended."""
        self._send("disconnect", 1)
        self.sendClose(1000)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """A message of the client; what is none of the known ones is left out."""
        try:
            kind, *values = json.loads(payload)
        except (ValueError, TypeError, RecursionError):
            return
        if kind == "stdin" and values and isinstance(values[0], str):
            self._terminal.write(values[0])
        elif kind == "set_size" and len(values) >= 2:
            self.size = (_size(values[0]), _size(values[1]))
            self._terminal.fit(self)

    def _send(self, kind: str, value: Any) -> None:
        self.sendMessage(json.dumps([kind, value]).encode())


def _size(value: Any) -> int | None:
    """Rows or columns: what a terminal can have, else None."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10_000 else None
