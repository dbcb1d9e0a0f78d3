"""Host's HTTP server: requests that the daemon has not signed are refused before anything looks at them.

The signature is taken out of the headers here: no handler, proxied application, kernel or log sees it.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from tornado import httputil
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_unix_socket

from jupyterd.extension_host.link import Link
from jupyterd.extensions.signed_requests import IDENTITY, MAC, BadSignature, Claim, verify

CLAIM = "_jupyterd_claim"
"""The attribute of a request's connection that holds what the daemon has said of it."""
OWN = "/.jupyterd/"
"""Paths that the daemon itself asks for; no client's request can have them, as none is forwarded."""

Answer = Callable[[], tuple[bytes, str]]


def claim_of(request: httputil.HTTPServerRequest) -> Claim:
    """What the daemon has said of a request; nothing, where it is not one of its own."""
    claim = getattr(request.connection, CLAIM, None)
    return claim if isinstance(claim, Claim) else Claim()


class SignedRequests(httputil.HTTPServerConnectionDelegate):
    """Lets signed requests through to an application.

    :param application: the web application.
    :param own: what the daemon asks of the host itself, by the last part of the path.
    """

    def __init__(self, application: Any, key: bytes, link: Link, own: dict[str, Answer]) -> None:
        self.application = application
        self.key = key
        self.link = link
        self.own = own

    def start_request(self, server_conn: object, request_conn: httputil.HTTPConnection) -> httputil.HTTPMessageDelegate:
        """A request begins."""
        return _Signed(self, server_conn, request_conn)


class _Signed(httputil.HTTPMessageDelegate):
    def __init__(self, owner: SignedRequests, server_conn: object, connection: httputil.HTTPConnection) -> None:
        self._owner = owner
        self._server = server_conn
        self._connection = connection
        self._inner: httputil.HTTPMessageDelegate | None = None

    def headers_received(
        self, start_line: httputil.RequestStartLine | httputil.ResponseStartLine, headers: httputil.HTTPHeaders
    ) -> Awaitable[None] | None:
        assert isinstance(start_line, httputil.RequestStartLine)
        identity, mac = (headers.pop(name.decode(), "").encode("latin-1") for name in (IDENTITY, MAC))
        method, target = start_line.method.encode("latin-1"), start_line.path.encode("latin-1")
        try:
            claim = verify(self._owner.key, method, target, identity, mac, time.time())
        except BadSignature:
            self._answer(403, b"Forbidden", "text/plain")
            return None
        own = self._owner.own.get(start_line.path[len(OWN) :]) if start_line.path.startswith(OWN) else None
        if own is not None:
            self._answer(200, *own())
            return None
        setattr(self._connection, CLAIM, claim)
        self._inner = self._owner.application.start_request(self._server, self._connection)
        waiting = self._owner.link.applied(claim.update)
        if waiting is None:
            return self._inner.headers_received(start_line, headers)
        return self._later(waiting, start_line, headers)

    async def _later(self, waiting: Awaitable[None], start_line: Any, headers: httputil.HTTPHeaders) -> None:
        await waiting
        assert self._inner is not None
        further = self._inner.headers_received(start_line, headers)
        if further is not None:
            await further

    def _answer(self, status: int, body: bytes, media_type: str) -> None:
        headers = httputil.HTTPHeaders({"Content-Type": media_type, "Content-Length": str(len(body))})
        self._connection.write_headers(httputil.ResponseStartLine("HTTP/1.1", status, ""), headers, body)
        self._connection.finish()

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        return None if self._inner is None else self._inner.data_received(chunk)

    def finish(self) -> None:
        if self._inner is not None:
            self._inner.finish()

    def on_connection_close(self) -> None:
        if self._inner is not None:
            self._inner.on_connection_close()


def listen(delegate: SignedRequests, path: str, *, max_body: int, max_buffer: int) -> HTTPServer:
    """Listen on a UNIX socket that its owner alone can use."""
    server = HTTPServer(delegate, xheaders=True, max_body_size=max_body, max_buffer_size=max_buffer)
    server.add_socket(bind_unix_socket(path, mode=0o600))
    return server
