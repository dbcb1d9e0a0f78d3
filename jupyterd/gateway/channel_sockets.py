"""Network of a gateway: where the sockets of a daemon's kernels come from when there is one, and UNIX sockets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.web.client import URI
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from jupyterd.gateway.interfaces import Backoff, Dial, Place
from jupyterd.gateway.link import Link
from jupyterd.kernels.zeromq.network import Opening


class LinkNetwork:
    """Where kernels' sockets come from: links for those of the gateway, ZeroMQ for the others.

    :param others: the network of kernels that run here.
    """

    def __init__(self, clock: IReactorTime, dial: Dial, backoff: Backoff, others: Callable[[], Any]) -> None:
        self._clock = clock
        self._dial = dial
        self._backoff = backoff
        self._others = others
        self._last: tuple[bytes, Link] | None = None

    def open(self, opening: Opening) -> Any:
        """As :class:`jupyterd.kernels.zeromq.network.Network`: four sockets, one identity."""
        place = opening.info.get("place")
        if not isinstance(place, Place):
            return self._others().open(opening)
        if self._last is None or self._last[0] != opening.identity:
            self._last = (opening.identity, Link(self._clock, place, self._dial, self._backoff))
            place.listener.linked(self._last[1])
        return self._last[1].add(opening.channel, opening.received, opening.writable)


@implementer(IAgentEndpointFactory)
class UnixEndpoints:
    """Leads an HTTP client to the sockets that ``http+unix`` URLs name.

    :param timeout: seconds to connect.
    """

    def __init__(self, reactor: Any, timeout: float) -> None:
        self._reactor = reactor
        self._timeout = timeout

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """See :class:`IAgentEndpointFactory`."""
        return self.of(uri.host.decode("ascii"))

    def of(self, host: str) -> IStreamClientEndpoint:
        """The endpoint of a URL's host: a path, its slashes as ``%2F``."""
        return UNIXClientEndpoint(self._reactor, unquote(host), timeout=self._timeout)
