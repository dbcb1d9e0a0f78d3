"""Open websockets of a site, told to go away when the daemon stops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred

GOING_AWAY = 1001
"""Close code: the server stops. Source: RFC 6455, section 7.4.1."""
SERVICE_RESTART = 1012
"""Close code: the server will be back. Source: the registry of WebSocket close codes at IANA."""
CLOSE_TIMEOUT = 1.0
"""Seconds that clients have to answer."""


class Leaver(Protocol):
    """An open websocket."""

    def go_away(self, code: int, reason: str) -> None:
        """Send nothing more but a close frame."""


class OpenSockets:
    """Knows which there are."""

    def __init__(self) -> None:
        self._open: set[Leaver] = set()
        self._last_words: tuple[int, str] | None = None
        self._gone: Deferred[None] | None = None

    def __len__(self) -> int:
        return len(self._open)

    def opened(self, socket: Leaver) -> None:
        """One is open; while all leave it leaves as well."""
        self._open.add(socket)
        if self._last_words is not None:
            socket.go_away(*self._last_words)

    def closed(self, socket: Leaver) -> None:
        """One is closed, whoever closed it."""
        self._open.discard(socket)
        if not self._open and self._gone is not None:
            gone, self._gone = self._gone, None
            gone.callback(None)

    def leave(self, code: int, reason: str) -> Deferred[None]:
        """Close all of them; fires when the last is closed."""
        self._last_words = code, reason
        gone: Deferred[None] = Deferred()
        if not self._open:
            gone.callback(None)
            return gone
        self._gone = gone
        for socket in list(self._open):
            socket.go_away(code, reason)
        return gone


class Goodbye(Service):
    """Closes the websockets of a daemon that stops, with a close frame that says so.

    :param restarts: whether the daemon starts again by itself.
    """

    def __init__(self, clock: Any, sockets: OpenSockets, restarts: Callable[[], bool] = lambda: False) -> None:
        self._clock = clock
        self._sockets = sockets
        self._restarts = restarts

    def stopService(self) -> Deferred[None]:
        """Close them, and wait for at most :data:`CLOSE_TIMEOUT`."""
        super().stopService()
        if self._restarts():
            left = self._sockets.leave(SERVICE_RESTART, "The server starts again")
        else:
            left = self._sockets.leave(GOING_AWAY, "The server stops")
        return left.addTimeout(CLOSE_TIMEOUT, self._clock, onTimeoutCancel=lambda *_: None)
