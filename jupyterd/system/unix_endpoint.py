"""Connections to UNIX sockets for URLs that name one as their host."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.web.client import URI
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer


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
