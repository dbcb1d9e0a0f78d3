"""Channels' websocket to a gateway's kernel, by Autobahn; imported when the first one starts."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode, urlsplit

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from jupyterd.errors import Unavailable
from jupyterd.gateway.client import UnixEndpoints, path_of
from jupyterd.gateway.credentials import Credentials
from jupyterd.gateway.interfaces import LinkEnd
from jupyterd.gateway.settings import GatewayClient
from jupyterd.kernels.messages.websocket_codec import CODEC_JSON, CODEC_V1, V1, BadFrame, BadMessage, Codec, Parts
from jupyterd.web.websocket.protocol import QuietLog

CLOSING = 5.0
"""Seconds that the gateway has to answer a goodbye."""


@implementer(IPushProducer)
class GatewayProtocol(WebSocketClientProtocol):
    """One websocket; see :class:`jupyterd.gateway.interfaces.Wire`.

    :param end: whom to tell.
    :ivar opening: fires when messages may be sent, fails where that will not be.
    """

    log = QuietLog(Logger("jupyterd.gateway.channels_websocket"))
    tcpNoDelay = True  # read before the options of the factory are copied

    def __init__(self, end: LinkEnd) -> None:
        super().__init__()
        self._end: LinkEnd | None = end
        self.opening: Deferred[GatewayProtocol] = Deferred(lambda _: self.leave())
        self.full = False
        self.codec: Codec = CODEC_JSON
        self._registered = False

    # -- Autobahn

    def onOpen(self) -> None:
        """The handshake is done."""
        if self.websocket_protocol_in_use == V1:
            self.codec = CODEC_V1
        self._registered = True
        self.registerProducer(self, True)
        self.opening.callback(self)

    def unregisterProducer(self) -> None:
        """Autobahn does so at each end, of connections that never were open too."""
        if self._registered:
            self._registered = False
            super().unregisterProducer()

    def dataReceived(self, data: bytes) -> None:
        """Bytes from the gateway."""
        self._dataReceived(data)
        if self._end is not None:
            self._end.turn()

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """A message of the kernel; what is none ends the connection."""
        if self._end is None:
            return
        try:
            channel, parts = self.codec.decode(payload, isBinary)
        except BadFrame as error:
            self.log.warn("the gateway sends what is no kernel message: {why}", why=error.message)
            self.dropConnection(abort=True)
            return
        self._end.received(channel, parts)

    def onClose(self, wasClean: bool, code: int, reason: str) -> None:
        """The connection is gone, or never was."""
        why = reason or f"closed by the gateway with code {code}"
        end, self._end = self._end, None
        if not self.opening.called:
            self.opening.errback(Unavailable(f"No websocket to the gateway: {why}"))
        elif end is not None:
            end.turn()
            end.lost(why, bool(self.wasMaxMessagePayloadSizeExceeded or self.wasMaxFramePayloadSizeExceeded))

    # -- for the link

    def send_message(self, channel: str, parts: Parts) -> None:
        """See :class:`Wire`."""
        try:
            self.sendMessage(*self.codec.payload(channel.encode(), parts))
        except BadMessage as error:
            self.log.warn("a message that the gateway could not read is dropped: {why}", why=error.message)

    def pause_client(self) -> None:
        """See :class:`Wire`."""
        self.transport.pauseProducing()

    def resume_client(self) -> None:
        """See :class:`Wire`."""
        self.transport.resumeProducing()

    def leave(self) -> None:
        """See :class:`Wire`."""
        self._end = None
        if self.transport is None:
            return
        self.transport.resumeProducing()  # the answer to the goodbye is to be read
        if self.state == self.STATE_OPEN:
            self.sendClose(1000)
        else:
            self.dropConnection(abort=True)

    # -- the transport's

    def pauseProducing(self) -> None:
        """The gateway reads slower than we write."""
        self.full = True

    def resumeProducing(self) -> None:
        """It reads on."""
        self.full = False
        if self._end is not None:
            self._end.room()

    def stopProducing(self) -> None:
        """The transport is gone; :meth:`onClose` follows."""


class _Factory(WebSocketClientFactory):
    """Makes the one protocol of a connection."""

    noisy = False

    def __init__(self, end: LinkEnd, **values: Any) -> None:
        super().__init__(**values)
        self._end = end

    def buildProtocol(self, address: Any) -> GatewayProtocol:
        protocol = GatewayProtocol(self._end)
        protocol.factory = self
        return protocol


class Dialer:
    """Opens websockets to kernels.

    :param ping: seconds between pings, and seconds in which one is to be answered.
    """

    def __init__(
        self,
        reactor: Any,
        settings: GatewayClient,
        credentials: Credentials,
        policy: IPolicyForHTTPS | None,
        ping: tuple[float, float],
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._credentials = credentials
        self._policy = policy
        self._ping = ping

    async def dial(self, kernel_id: str, session: str, end: LinkEnd) -> GatewayProtocol:
        """An open one.

        :raises Exception: there is none to be had.
        """
        base = urlsplit(str(self._settings.ws_url))
        path = path_of(base.path + self._settings.kernels_endpoint, [kernel_id, "channels"])
        netloc = base.netloc.rpartition("@")[2]
        socket = netloc if base.scheme.lower() == "ws+unix" else ""
        if socket:
            base, netloc = base._replace(scheme="ws"), "localhost"
        url = base._replace(netloc=netloc, path=path, query=urlencode({"session_id": session})).geturl()
        headers = {**(await self._credentials.headers()), **self._credentials.cookies(url)}
        factory = _Factory(end, url=url, protocols=[V1], headers=headers, useragent="jupyterd", reactor=self._reactor)
        factory.setProtocolOptions(
            maxMessagePayloadSize=int(self._settings.max_message_size),
            openHandshakeTimeout=float(self._settings.connect_timeout),
            closeHandshakeTimeout=CLOSING,
            autoPingInterval=self._ping[0],
            autoPingTimeout=self._ping[1],
        )
        protocol: GatewayProtocol = await self._endpoint(factory, socket).connect(factory)
        return await protocol.opening

    def _endpoint(self, factory: WebSocketClientFactory, socket: str) -> Any:
        """The way to the gateway.

        :param socket: the host of a ``ws+unix`` URL, if it is one.
        """
        timeout = float(self._settings.connect_timeout)
        if socket:
            return UnixEndpoints(self._reactor, timeout).of(socket)
        endpoint = HostnameEndpoint(self._reactor, factory.host, factory.port, timeout=timeout)
        if not factory.isSecure:
            return endpoint
        assert self._policy is not None
        return wrapClientTLS(self._policy.creatorForNetloc(factory.host.encode("ascii"), factory.port), endpoint)
