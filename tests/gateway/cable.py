"""A cable between a server and its gateway, that a test can cut."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress


class Cable:
    """Forwards TCP connections to a port of this machine, from a port of its own.

    :ivar refuses: new connections are closed at once.
    :ivar swallows: nothing is carried, and nobody notices.
    """

    def __init__(self, to: int) -> None:
        self._to = to
        self.refuses = self.swallows = False
        self._ends: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                ours, _ = self._listening.accept()
            except OSError:
                return
            try:
                theirs = None if self.refuses else socket.create_connection(("127.0.0.1", self._to))
            except OSError:
                theirs = None
            if theirs is None:
                ours.close()
                continue
            self._ends += [ours, theirs]
            for source, target in ((ours, theirs), (theirs, ours)):
                threading.Thread(target=self._carry, args=(source, target), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                while self.swallows:
                    time.sleep(0.01)
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        """All connections are lost."""
        ends, self._ends = self._ends, []
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def remove(self) -> None:
        """No more connections."""
        self._listening.close()
        self.swallows = False
        self.cut()
