"""Requests on their way to the extension host and their answers on the way back: both are streamed, never held.

A client that sends faster than the host reads is not read; a host that answers faster than the client reads is not
read either.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from jupyterd.extensions.http import headers
from jupyterd.extensions.http.connections import Connections
from jupyterd.extensions.http.upstream import Head, Upstream
from jupyterd.extensions.signed_requests import IDENTITY, MAC, Claim, describe, sign
from jupyterd.web.refusal import Refusal
from jupyterd.web.server.plain_head import kept_name
from jupyterd.web.server.transport import Eager

if TYPE_CHECKING:
    from jupyterd.auth.guard import Guard
    from jupyterd.extensions.host_supervisor import ExtensionHost
    from jupyterd.web.server.request import Request

COOKIE = kept_name(b"Cookie")
BODILESS = (b"GET", b"HEAD", b"OPTIONS", b"DELETE")
"""Methods whose requests say nothing of a body where they have none."""
HELD = 64 * 1024
"""Bytes of a body that goes to the host with its head, in one piece; a longer one is passed on as it comes."""


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
        user, update = describe(request.user), self.host.mirror.refresh()
        claim = Claim(user, request.token_authenticated, update, time.time() // 1)
        identity, mac = sign(self.host.key, request.method, request.uri, claim)
        raw = request.requestHeaders._rawHeaders
        lines = headers.forwarded(raw.items())
        sent = raw.get(COOKIE, ())
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
        self._expected: int | None = None
        self._relaying = False
        self._waiting: list[bytes] = []
        self._complete = False
        self._over = False
        request.notifyFinish().addErrback(lambda _: self._client_gone())

    # -- the request

    def begin(self, length: int | None) -> None:
        """Send the head of a request whose body is on its way.

        :param length: of the body, None where it comes in chunks.
        """
        self._chunked = length is None
        head = self._forwarder.head(self._request, _framing(self._request.method, length))
        self._request.pause_body()
        self._forwarder.connections.get(lambda upstream: self._connected(upstream, head), self._not_connected)

    def send(self, body: bytes) -> None:
        """Send a request that has come whole."""
        self._complete = True
        data = self._forwarder.head(self._request, _framing(self._request.method, len(body))) + body
        self._forwarder.connections.get(lambda upstream: self._connected(upstream, data), self._not_connected)

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
            self._end_body(upstream)
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
        upstream = self._upstream
        if upstream is not None and not self._over:
            if upstream.transport is not None:
                _producing(upstream).unregisterProducer()
            self._end_body(upstream)

    def _end_body(self, upstream: Upstream) -> None:
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
        length = head.get(b"content-length")
        self._expected = None if length is None else int(length)

    def _close_after_early_answer(self) -> None:
        """Where the body has not come whole: it goes on to the host, but the connection serves no further request."""
        request = self._request
        if not request.arrived:
            request.channel.persistent = False
            request.setHeader(b"connection", b"close")

    def body(self, data: bytes) -> None:
        """Some of the answer; its head goes with the first of it."""
        if self._over:
            return
        if not self._relaying and (len(data) != self._expected or not data):
            self._relaying = True
            self._request.registerProducer(self, True)
        _send(self._request, data)

    def done(self) -> None:
        """The answer is complete."""
        if not self._over:
            self._over = True
            self._upstream = None
            if self._relaying:
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
        request.responseHeaders = Headers()  # of an answer that begins well and is then none
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


def _framing(method: bytes, length: int | None) -> headers.Lines:
    if length is None:
        return [(b"Transfer-Encoding", b"chunked")]
    if length or method not in BODILESS:
        return [(b"Content-Length", b"%d" % length)]
    return []


def _send(request: Request, data: bytes) -> None:
    transport: Any = request.channel.transport
    if isinstance(transport, Eager):
        transport.write_together(partial(request.write, data))
    else:
        request.write(data)


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
        """Where a body goes: on to the host, as it comes.

        A short one waits in memory until it is there, and so does a form whose XSRF token is in it.
        """
        length = request._declared
        if request.xsrf_pending or (length is not None and length <= min(HELD, request.site.max_held)):
            return None
        exchange = Exchange(self._forwarder, request)
        exchange.begin(length)
        return exchange

    def render(self, request: Any) -> Any:
        """The body has come; or is still on its way through."""
        if not isinstance(request.content, Exchange):
            body = b"" if request.content is None else request.content.getvalue()
            Exchange(self._forwarder, request).send(body)
        return NOT_DONE_YET
