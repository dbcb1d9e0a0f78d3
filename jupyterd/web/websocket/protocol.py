"""Websockets on the shared port: Autobahn's protocol takes the connection over from twisted.web.

Autobahn costs a good part of a second to import, so nothing imports this module before the first websocket.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from autobahn.twisted.resource import WebSocketResource
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from zope.interface import implementer

from jupyterd.errors import Failed, Invalid
from jupyterd.web.call import Call
from jupyterd.web.websocket import compression
from jupyterd.web.websocket.compression import LARGEST

EXTENSIONS = "sec-websocket-extensions"


def _nothing(*args: Any, **values: Any) -> None:
    """What Autobahn says at each turn."""


class QuietLog:
    """Autobahn's log without its debug events: it makes several a message, and a new logger for each of them."""

    def __init__(self, log: Logger) -> None:
        self.info, self.warn, self.error = log.debug, log.warn, log.error
        self.failure, self.critical = log.failure, log.critical
        self.debug = self.trace = _nothing


@implementer(IPushProducer)
class SocketProtocol(WebSocketServerProtocol):
    """Base of every websocket of jupyterd: flow control, and a quiet end.

    The transport tells when the client reads slower than we write: :meth:`paused` and :meth:`resumed`.

    :ivar user: who opened it.
    :ivar going_away: we close it, and send nothing more.
    :cvar max_message: bytes that a message from the client may have, inflated; a larger one ends the connection.
    """

    log = QuietLog(Logger("jupyterd.web.websocket.protocol"))
    tcpNoDelay = True  # read before the factory's options are copied
    user: Any = None
    max_message = 0
    ping_interval = 0.0
    ping_timeout = 0.0
    _perMessageCompress: Any
    going_away = False
    _full = False
    _unanswered: bytes | None = None

    def configure(self) -> None:
        """Set this connection's limits, once the factory's defaults are copied."""
        self.maxMessagePayloadSize = self.max_message
        self.autoPingInterval = self.ping_interval
        self.autoPingTimeout = self.ping_timeout

    def connectionMade(self) -> None:
        """The connection is ours."""
        super().connectionMade()
        self.configure()

    def dataReceived(self, data: bytes) -> None:
        """Bytes from the client."""
        self._dataReceived(data)

    def onOpen(self) -> None:
        """The handshake is done: twisted.web's channel still is the transport's producer, we take its place."""
        self.unregisterProducer()
        self.registerProducer(self, True)
        agreed, wanted = self._perMessageCompress, self.factory.compression
        if agreed is not None and wanted is not None:
            from jupyterd.web.websocket.deflate import Deflate

            self._perMessageCompress = Deflate(agreed, wanted.level)
        self.opened()
        self.factory.open_sockets.opened(self)

    def go_away(self, code: int, reason: str) -> None:
        """Close it, with any code: Autobahn has those below 3000 not for applications, and we are the server."""
        if not self.going_away:
            self.going_away = True
            self.paused()
            self.sendCloseFrame(code=code, reasonUtf8=reason.encode())

    def onPing(self, payload: bytes) -> None:
        """Answer, unless the client does not read: then the last one is answered when it does (RFC 6455, 5.5.3)."""
        if self._full:
            self._unanswered = payload
        else:
            super().onPing(payload)

    def sendMessage(self, payload: bytes, isBinary: bool = False, **options: Any) -> None:
        """Send a message; Autobahn would hold the client's limit against it."""
        if self.going_away:
            return
        limit, self.maxMessagePayloadSize = self.maxMessagePayloadSize, 0
        try:
            super().sendMessage(payload, isBinary, doNotCompress=len(payload) > LARGEST, **options)
        finally:
            self.maxMessagePayloadSize = limit

    def onClose(self, wasClean: bool, code: int, reason: str) -> None:
        """The connection is gone."""
        self.factory.open_sockets.closed(self)
        self.closed(code, reason or "")

    def opened(self) -> None:
        """Messages may be sent from now on."""

    def closed(self, code: int, reason: str) -> None:
        """Nothing can be sent any more."""

    def paused(self) -> None:
        """The client reads slower than we write: stop writing."""

    def resumed(self) -> None:
        """Write on."""

    def pauseProducing(self) -> None:
        """Called by the transport."""
        self._full = True
        self.paused()

    def resumeProducing(self) -> None:
        """Called by the transport."""
        self._full = False
        payload, self._unanswered = self._unanswered, None
        if payload is not None:
            self.sendPong(payload)
        if not self.going_away:
            self.resumed()

    def stopProducing(self) -> None:
        """Called by the transport when it is gone; :meth:`closed` follows."""

    def pause_client(self) -> None:
        """Read nothing more from this client until :meth:`resume_client`."""
        self.transport.pauseProducing()

    def resume_client(self) -> None:
        """Read from this client again."""
        self.transport.resumeProducing()


class _Once:
    """Gives Autobahn's resource the one protocol that a route's method made."""

    def __init__(self, factory: WebSocketServerFactory, protocol: SocketProtocol) -> None:
        self._factory = factory
        self._protocol = protocol

    def buildProtocol(self, address: Any) -> SocketProtocol:
        self._protocol.factory = self._factory
        return self._protocol


def _factory_of(site: Any) -> WebSocketServerFactory:
    factory = getattr(site, "websockets", None)
    if factory is None:
        factory = site.websockets = WebSocketServerFactory(reactor=site.reactor)
        factory.setProtocolOptions(allowedOrigins=["*"], allowNullOrigin=True, tcpNoDelay=False)
        factory.compression = site.compression
        factory.open_sockets = site.open_sockets
        if site.compression is not None:
            from jupyterd.web.websocket.deflate import accepting

            factory.setProtocolOptions(perMessageCompressionAccept=accepting(site.compression))
    return factory


async def upgrade(call: Call, make: Callable[[], Coroutine[Any, Any, SocketProtocol]]) -> None:
    """Hand the connection of ``call`` to the protocol that ``make`` returns.

    The guard has checked the origin before; Autobahn checks it no second time.

    :raises Invalid: not a websocket handshake. Source: RFC 6455, section 4.2.1; the reference's texts.
    """
    if (call.header("upgrade") or "").lower() != "websocket":
        raise Invalid('Can "Upgrade" only to "WebSocket".')
    if "upgrade" not in (call.header("connection") or "").lower():
        raise Invalid('"Connection" must be "Upgrade".')
    request = call.request
    if request.mount is None or not request.mount.websocket:
        # The guard judges by the mount: one that does not say so was judged as something to read.
        raise Failed("The path is not mounted as a websocket")
    if request.channel.transport is None:
        raise Invalid("This connection can not be upgraded")
    _hide_from_autobahn(request)
    protocol = await make()
    protocol.user = call.user
    if request._disconnected:
        return
    request.setResponseCode(101)
    request.site.log(request)
    resource: Any = WebSocketResource(_Once(_factory_of(request.site), protocol))
    resource.render(request)


def _hide_from_autobahn(request: Any) -> None:
    """Take out what it refuses where it does not understand it: origins, which are judged already, and odd offers."""
    headers = request.requestHeaders
    for name in ("origin", "sec-websocket-origin"):
        headers.removeHeader(name)
    offered = headers.getRawHeaders(EXTENSIONS) or ()
    wanted = compression.offer(",".join(offered)) if request.site.compression is not None else ""
    headers.setRawHeaders(EXTENSIONS, [wanted] if wanted else [])
