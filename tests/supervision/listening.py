"""Ports and a service manager in memory."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.testing import MemoryReactorClock

from jupyterd.supervision.systemd_notify import (
    Notify,
)


class Listening(MemoryReactorClock):
    """Keeps what it is asked to adopt; UNIX sockets too."""

    def __init__(self) -> None:
        super().__init__()
        self.adopted: list[tuple[Any, ...]] = []
        self.ports: list[Port] = []

    def adoptStreamPort(self, descriptor: int, family: int, factory: Any) -> Any:
        self.adopted.append((socket.fromfd(descriptor, family, socket.SOCK_STREAM).getsockname(), factory))
        self.ports.append(Port())
        return self.ports[-1]

    def callFromThread(self, function: Any, *args: Any) -> None:
        """Nobody is at home."""


class Port:
    def __init__(self) -> None:
        self.stopped = False

    def stopListening(self) -> None:
        self.stopped = True


class Spoken(Notify):
    """What the service manager is told."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def say(self, *lines: str) -> None:
        self.said.append(lines[0])
