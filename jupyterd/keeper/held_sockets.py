"""Connections of clients that a killed daemon had: kept open until they have read what was sent to them.

The system closes the sockets of a process that is killed, and resets those on which something had come that it had not
read. A client that is answered so may throw away what it had not read yet. With a second descriptor of each here
nothing is closed: what is under way arrives, then the connection is ended in order, and the client comes back.
"""

from __future__ import annotations

import os
import selectors
import socket
import time
from contextlib import suppress

from jupyterd.keeper.taken import sent_from, taken

CLOSE_TIMEOUT = 5.0
"""Seconds that a client has to close its end."""

MAX_CONNECTIONS = 4096
"""Connections that are held at most."""


class HeldSockets:
    """All of one daemon's.

    :ivar taken: of the connections of the daemon that went away last, by their keys: see :func:`taken`.
    """

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._held: dict[int, socket.socket] = {}
        self._counters: dict[int, int] = {}
        self._leaving: dict[int, socket.socket] = {}
        self._deadline = 0.0
        self.taken: dict[int, int] = {}

    def hold(self, key: int, fd: int, counter: int = -1) -> None:
        """Hold a connection; the descriptors are ours.

        :param counter: a file whose position is how much was sent; -1 where there is none.
        """
        self.drop(key)
        if counter >= 0:
            self._counters[key] = counter
        if len(self._held) >= MAX_CONNECTIONS:
            os.close(fd)
            self.drop(key)
            return
        self._held[key] = socket.socket(fileno=fd)

    def drop(self, key: int) -> None:
        """The daemon has closed it."""
        held = self._held.pop(key, None)
        if held is not None:
            held.close()
        counter = self._counters.pop(key, -1)
        if counter >= 0:
            os.close(counter)

    def see_out(self) -> None:
        """The daemon is gone: say that nothing follows, and wait until the clients have seen that."""
        self._deadline = time.monotonic() + CLOSE_TIMEOUT
        counts = {key: self._taken(key, held) for key, held in self._held.items()}
        self.taken = {key: count for key, count in counts.items() if count is not None}
        for held in self._held.values():
            with suppress(OSError):
                held.setblocking(False)
                held.shutdown(socket.SHUT_WR)
                self._selector.register(held, selectors.EVENT_READ, self._read)
                self._leaving[held.fileno()] = held
                continue
            held.close()
        self._held.clear()
        for counter in self._counters.values():
            os.close(counter)
        self._counters.clear()

    def _taken(self, key: int, held: socket.socket) -> int | None:
        counter = self._counters.get(key)
        return taken(held) if counter is None else sent_from(counter)

    def _read(self, held: socket.socket, mask: int) -> None:
        try:
            data = held.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._close(held)

    def _close(self, held: socket.socket) -> None:
        self._leaving.pop(held.fileno(), None)
        with suppress(KeyError, ValueError):
            self._selector.unregister(held)
        held.close()

    @property
    def deadline(self) -> float | None:
        """When those are closed that are left; None where there are none."""
        return self._deadline if self._leaving else None

    def tidy(self) -> None:
        """Close those whose time is over."""
        if self._leaving and time.monotonic() >= self._deadline:
            for held in list(self._leaving.values()):
                self._close(held)
