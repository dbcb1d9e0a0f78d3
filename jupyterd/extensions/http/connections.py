"""Connections to the extension host: those that are idle are used again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.protocol import ClientFactory
from twisted.python.failure import Failure

from jupyterd.extensions.http.upstream import Upstream
from jupyterd.web.server.transport import EagerUnixConnector

MAX_IDLE = 16
"""Connections to the host that are kept for further requests."""
CONNECT_SECONDS = 10.0
"""How long the host may take to accept one."""


class _Once(ClientFactory):
    """Makes one connection, or tells why there is none."""

    noisy = False

    def __init__(self, upstream: Upstream, failed: Callable[[Failure], None]) -> None:
        self._upstream = upstream
        self._failed = failed

    def buildProtocol(self, addr: Any) -> Upstream:
        return self._upstream

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:
        self._failed(reason)


class Connections:
    """Connections to the host.

    :param socket: tells where the host listens.
    """

    def __init__(self, reactor: Any, socket: Callable[[], str]) -> None:
        self._reactor = reactor
        self._socket = socket
        self._idle: list[Upstream] = []
        self._all: set[Upstream] = set()

    def get(self, ready: Callable[[Upstream], None], failed: Callable[[Failure], None]) -> None:
        """Call ``ready`` with a connection: at once, where there is one."""
        if self._idle:
            ready(self._idle.pop())
            return

        def made(upstream: Upstream) -> None:
            self._all.add(upstream)
            ready(upstream)

        factory = _Once(Upstream(self._keep, self._forget, made), failed)
        EagerUnixConnector(self._socket(), factory, CONNECT_SECONDS, self._reactor, False).connect()

    def _keep(self, upstream: Upstream) -> None:
        if len(self._idle) < MAX_IDLE:
            self._idle.append(upstream)
        elif upstream.transport is not None:
            upstream.transport.loseConnection()

    def _forget(self, upstream: Upstream) -> None:
        self._all.discard(upstream)
        if upstream in self._idle:
            self._idle.remove(upstream)

    def close(self) -> None:
        """Close all of them, those in use too."""
        for upstream in list(self._all):
            if upstream.transport is not None:
                upstream.transport.loseConnection()
