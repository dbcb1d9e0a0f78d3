"""Websockets of extensions: after the handshake the bytes pass both ways as they are.

Subprotocols, compression and close codes are what extension and client agree on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from jupyterd.extensions.http import headers
from jupyterd.extensions.http.forwarding import Exchange, Forwarder
from jupyterd.extensions.http.upstream import Head, Upstream
from jupyterd.web.server.transport import write_now

if TYPE_CHECKING:
    from jupyterd.web.server.request import Request

_PASSED = frozenset({b"upgrade", b"connection"})
"""Headers of one hop that a switch of protocols needs on the next one too."""


class Handshake(Exchange):
    """A request to open a websocket. An answer other than ``101`` is relayed as any other is."""

    def begin(self, length: int | None) -> None:
        """Send the head; there is no body."""
        head = self._forwarder.head(self._request, [(b"Connection", b"Upgrade"), (b"Upgrade", b"websocket")])
        self._complete = True
        self._forwarder.connections.get(lambda upstream: self._connected(upstream, head), self._not_connected)

    def head(self, head: Head) -> None:
        """The extension's answer."""
        if head.status != 101 or self._request._disconnected or self._request.channel.transport is None:
            super().head(head)
            return
        self._over = True
        upstream, self._upstream = self._upstream, None
        assert upstream is not None
        pipe = Pipe(upstream)
        upstream._listener = pipe
        _take_over(self._request, pipe, head)


class Pipe(Protocol):
    """The client's end of an open websocket; its other end is a connection to the host."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    # -- the client

    def dataReceived(self, data: bytes) -> None:
        """Bytes of the client."""
        self._upstream.write(data)

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008 - Twisted's signature
        """The client is gone: the extension sees its websocket close."""
        if self._upstream.transport is not None:
            self._upstream.transport.loseConnection()

    # -- the host; see upstream.Listener

    def head(self, head: Head) -> None:
        """There was one already."""

    def body(self, data: bytes) -> None:
        """Bytes of the extension."""
        if self.transport is not None:
            write_now(self.transport, data)

    def done(self) -> None:
        """The extension has closed the connection."""
        if self.transport is not None:
            self.transport.loseConnection()

    def lost(self, reason: Exception) -> None:
        """The host has ended."""
        self.done()


def _take_over(request: Request, pipe: Pipe, head: Head) -> None:
    """Give the client's connection to ``pipe``: twisted.web has no more to do with it."""
    request.setResponseCode(101)
    request.site.log(request)
    lines = [
        (name, value)
        for name, value in head.headers
        if name.lower() in _PASSED or (name, value) in headers.relayed([(name, value)])
    ]
    lines += [(b"Set-Cookie", cookie) for cookie in request.cookies]
    transport: Any = request.channel.transport
    request.channel.transport = None
    wrapped = transport if isinstance(transport, ProtocolWrapper) else transport.protocol
    if isinstance(wrapped, ProtocolWrapper):  # TLS
        wrapped.wrappedProtocol = pipe
    else:
        transport.protocol = pipe
    pipe.makeConnection(transport)
    transport.unregisterProducer()  # twisted.web's channel
    upstream: Any = pipe._upstream.transport
    transport.registerProducer(upstream, True)
    upstream.registerProducer(transport, True)
    start = b"HTTP/1.1 101 Switching Protocols\r\n"
    transport.write(start + b"".join(name + b": " + value + b"\r\n" for name, value in lines) + b"\r\n")
    transport.resumeProducing()


class WebSocketResource(Resource):
    """Opens websockets of extensions."""

    isLeaf = True
    log = Logger()

    def __init__(self, forwarder: Forwarder) -> None:
        super().__init__()
        self._forwarder = forwarder

    def render(self, request: Any) -> Any:
        """Ask the extension."""
        Handshake(self._forwarder, request).begin(0)
        return NOT_DONE_YET
