"""Requests on their way to the extension host and their answers on the way back: both are streamed, never held.

A client that sends faster than the host reads is not read; a host that answers faster than the client reads is not
read either.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from jupyterd.extensions.http import headers
from jupyterd.extensions.http.upstream import Head, Upstream
from jupyterd.extensions.signed_requests import IDENTITY, MAC, Claim, describe, sign
from jupyterd.web.refusal import Refusal

if TYPE_CHECKING:
    from jupyterd.auth.guard import Guard
    from jupyterd.extensions.host import ExtensionHost
    from jupyterd.web.server.request import Request

MAX_IDLE = 16
"""Connections to the host that are kept for further requests."""


class Connections:
    """Connections to the host; those that are idle are used again.

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
        factory = Factory.forProtocol(lambda: Upstream(self._keep, self._forget))
        factory.noisy = False
        endpoint = UNIXClientEndpoint(self._reactor, self._socket(), timeout=10)
        endpoint.connect(factory).addCallback(self._note).addCallbacks(ready, failed)

    def _note(self, upstream: Upstream) -> Upstream:
        self._all.add(upstream)
        return upstream

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


class Forwarder:
    """Writes requests for the host.

    :param host: whose requests they are.
    :param guard: has judged the requests.
    """

    def __init__(self, host: ExtensionHost, guard: Callable[[], Guard], connections: Connections) -> None:
        self.host = host
        self.connections = connections
        self._guard = guard

    def head(self, request: Request, framing: headers.Lines) -> bytes:
        """The head that the host gets: the client's, with what the daemon knows of it, and signed.

        :param framing: how the body is framed, or the switch to a websocket.
        """
        guard = self._guard()
        claim = Claim(describe(request.user), request.token_authenticated, self.host.mirror.refresh(), time.time())
        identity, mac = sign(self.host.key, request.method, request.uri, claim)
        lines = headers.forwarded(request.requestHeaders.getAllRawHeaders())
        sent = request.requestHeaders.getRawHeaders(b"cookie") or ()
        cookie = headers.cookies(sent, request.handler.xsrf_shown if request.cookies else None)
        if cookie is not None:
            lines.append((b"Cookie", cookie))
        lines += [
            (b"X-Forwarded-For", guard.remote_ip(request).encode("latin-1", "replace")),
            (b"X-Forwarded-Proto", guard.protocol(request).encode("ascii")),
            (IDENTITY, identity),
            (MAC, mac),
            *framing,
        ]
        return headers.request_head(request.method, request.uri, lines)


@implementer(IPushProducer)
class _Brake:
    """Tells the client to wait while the host does not read."""

    def __init__(self, request: Request) -> None:
        self._request = request

    def pauseProducing(self) -> None:
        self._request.pause_body()

    def resumeProducing(self) -> None:
        self._request.resume_body()

    def stopProducing(self) -> None:
        """The connection to the host is gone; who listens is told by it."""


@implementer(IPushProducer)
class Exchange:
    """One request and its answer. It is the sink of the request's body, and what its answer is relayed by."""

    log = Logger()

    def __init__(self, forwarder: Forwarder, request: Request) -> None:
        self._forwarder = forwarder
        self._request = request
        self._upstream: Upstream | None = None
        self._chunked = False
        self._waiting: list[bytes] = []
        self._complete = False
        self._over = False
        request.notifyFinish().addErrback(lambda _: self._client_gone())

    # -- the request

    def begin(self, length: int | None) -> None:
        """Send the head.

        :param length: of the body, None where it comes in chunks.
        """
        self._chunked = length is None
        framing = []
        if length is None:
            framing = [(b"Transfer-Encoding", b"chunked")]
        elif length or self._request.method not in (b"GET", b"HEAD", b"OPTIONS", b"DELETE"):
            framing = [(b"Content-Length", b"%d" % length)]
        head = self._forwarder.head(self._request, framing)
        if length != 0:
            self._request.pause_body()
        self._forwarder.connections.get(lambda upstream: self._connected(upstream, head), self._not_connected)

    def _connected(self, upstream: Upstream, head: bytes) -> None:
        if not self._complete:
            self._request.resume_body()
        if self._over:
            upstream.abort()
            return
        self._upstream = upstream
        upstream.begin(head, self, without_body=self._request.method == b"HEAD")
        waiting, self._waiting = self._waiting, []
        for data in waiting:
            self.write(data)
        if self._complete:
            self._sent()
        elif upstream.transport is not None:
            _producing(upstream).registerProducer(_Brake(self._request), True)

    def _not_connected(self, failure: Failure) -> None:
        if not self._complete:
            self._request.resume_body()
        self.lost(failure.value if isinstance(failure.value, Exception) else OSError(str(failure.value)))

    def write(self, data: bytes) -> None:
        """Some of the body."""
        if self._upstream is None:
            self._waiting.append(data)
        elif not self._over and data:
            self._upstream.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def finished(self) -> None:
        """The body is complete."""
        self._complete = True
        if self._upstream is not None and not self._over:
            self._sent()

    def _sent(self) -> None:
        upstream = self._upstream
        assert upstream is not None
        if upstream.transport is not None:
            _producing(upstream).unregisterProducer()
        if self._chunked:
            upstream.write(b"0\r\n\r\n")
        upstream.sent()

    def failed(self) -> None:
        """The rest of the body will not come."""
        if not self._complete:
            self._client_gone()

    def close(self) -> None:
        """The request is answered."""

    # -- its answer

    def head(self, head: Head) -> None:
        """The answer begins; before the body has come, where the handler did not wait for it."""
        request = self._request
        if request._disconnected:
            self._client_gone()
            return
        self._close_after_early_answer()
        request.setResponseCode(head.status, head.phrase or None)
        for name, value in headers.relayed(head.headers):
            if name.lower() == b"set-cookie":
                request.cookies.append(value)
            else:
                request.responseHeaders.addRawHeader(name, value)
        if head.get(b"content-type") is None:
            request.defaultContentType = None
        request.registerProducer(self, True)
        request.write(b"")  # events may come late: their listener sees that it is heard

    def _close_after_early_answer(self) -> None:
        """Where the body has not come whole: it goes on to the host, but the connection serves no further request."""
        request = self._request
        if not request.arrived:
            request.channel.persistent = False
            request.setHeader(b"connection", b"close")

    def body(self, data: bytes) -> None:
        """Some of the answer."""
        if not self._over:
            self._request.write(data)

    def done(self) -> None:
        """The answer is complete."""
        if not self._over:
            self._over = True
            self._upstream = None
            self._request.unregisterProducer()
            self._request._answered_early = not self._request.arrived
            self._request.finish()

    def lost(self, reason: Exception) -> None:
        """The host has ended, or said something that is no answer."""
        if self._over:
            return
        self._over = True
        self._upstream = None
        request = self._request
        if request._disconnected:
            return
        self.log.warn("{path} was not answered: {reason}", path=request.path, reason=str(reason))
        if request.startedWriting:
            request.channel.forceAbortClient()
            return
        self._close_after_early_answer()
        request._answered_early = not request.arrived
        request._answer(Refusal(502, f"The server extensions did not answer: {reason}"))

    def _client_gone(self) -> None:
        if self._over:
            return
        self._over = True
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.abort()

    # -- the client reads slower than the host writes

    def pauseProducing(self) -> None:
        """Called by the client's connection."""
        if self._upstream is not None and self._upstream.transport is not None:
            _producing(self._upstream).pauseProducing()

    def resumeProducing(self) -> None:
        """Called by the client's connection."""
        if self._upstream is not None and self._upstream.transport is not None:
            _producing(self._upstream).resumeProducing()

    def stopProducing(self) -> None:
        """Called by the client's connection when it is gone."""
        self._client_gone()


def _producing(upstream: Upstream) -> Any:
    """A connection's transport, which is a producer and a consumer too."""
    return upstream.transport


class ForwardedResource(Resource):
    """Answers what the host answers."""

    isLeaf = True

    def __init__(self, forwarder: Forwarder) -> None:
        super().__init__()
        self._forwarder = forwarder

    def sink(self, request: Request) -> Exchange | None:
        """Where a body goes: on to the host, as it comes; a form whose XSRF token is in it waits in memory first."""
        if request.xsrf_pending or request._declared == 0:
            return None
        exchange = Exchange(self._forwarder, request)
        exchange.begin(request._declared)
        return exchange

    def render(self, request: Any) -> Any:
        """The body has come; or is still on its way through."""
        if isinstance(request.content, Exchange):
            return NOT_DONE_YET
        body = b"" if request.content is None else request.content.getvalue()
        exchange = Exchange(self._forwarder, request)
        exchange.begin(len(body))
        if body:
            exchange.write(body)
        exchange.finished()
        return NOT_DONE_YET
