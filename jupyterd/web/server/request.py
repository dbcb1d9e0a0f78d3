"""Request: it is judged when its head is complete, before a byte of its body is kept.

twisted.web reads a whole body, without limit, before any resource runs. Here the mount is found, the guard asked and
the body's size checked first; who is refused gets the answer at once and the rest of the body is thrown away as it
comes.
"""

from __future__ import annotations

import re
from io import BytesIO
from itertools import count
from time import monotonic, time_ns
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote_to_bytes

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web import server
from twisted.web.http import NO_BODY_CODES
from twisted.web.iweb import INonQueuedRequestFactory
from zope.interface import provider

from jupyterd.errors import JupyterdError
from jupyterd.web import errors
from jupyterd.web.refusal import Refusal
from jupyterd.web.server.answer_head import (
    CONTENT_LENGTH,
    CONTENT_TYPE,
    DATE,
    REQUEST_ID,
    SERVER,
    SERVER_NAME,
    answer_head,
    date_now,
    short_head,
)
from jupyterd.web.server.head import parse_query, read_path
from jupyterd.web.server.plain_head import kept_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.logger import Logger

    from jupyterd.system.threads import InThread
    from jupyterd.web.root import Mount, Overlay, Root
    from jupyterd.web.websocket.compression import Compression


HOST = kept_name(b"Host")
TOGETHER = 64 * 1024
"""Bytes of a body that go with its head in one piece; a larger one is not copied for that."""

GIVEN_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
"""What a request may be called by who sends it: nothing that a log or a page would show as something else."""
STARTED = b"%x" % (time_ns() // 1_000_000_000)
_NUMBERS = count(1)

RETRY_SECONDS = "5"
"""When to ask again for what does not answer yet."""

XSRF_FORM_BYTES = 1024 * 1024
"""A form that has its XSRF token in the body is held, and searched, before anybody knows who has sent it."""


class Gate(Protocol):
    """What decides on a request when its head is complete; see :class:`jupyterd.auth.guard.Guard`."""

    def admit(self, request: Request, mount: Mount | None) -> Refusal | Deferred[Refusal | None] | None:
        """None to let the request through, else the answer. ``mount`` is None where nothing answers the path."""

    def check_form(self, request: Request) -> Refusal | None:
        """Asked before the resource where :attr:`Request.xsrf_pending` is set: the token is in the body."""

    def headers(self, request: Request) -> tuple[tuple[bytes, bytes], ...]:
        """Headers of every response, just before its head is written; names spelt as ``Content-Type`` is."""


class Shared(Protocol):
    """What all requests of a server share; see :class:`jupyterd.web.server.site.Site`."""

    root: Root
    gate: Gate
    max_body: int
    max_held: int
    refused: dict[str, int]
    in_thread: InThread
    compression: Compression | None
    defects: Logger
    error_page: Callable[[Any, int, str], bytes]

    def log(self, request: Any) -> None:
        """Note an answered request."""


class Connection(Protocol):
    """What a request came by; see :class:`jupyterd.web.server.channel.Channel`."""

    site: Any
    transport: Any
    persistent: bool
    _command: bytes
    _path: bytes
    _version: bytes

    def pause_reading(self) -> None:
        """Stop reading from the socket."""

    def resume_reading(self) -> None:
        """Read from the socket again."""

    def forceAbortClient(self) -> None:
        """Cut it."""


class _Memory(BytesIO):
    """A body held in memory."""

    def finished(self) -> None:
        self.seek(0)

    def failed(self) -> None:
        self.close()


@provider(INonQueuedRequestFactory)
class Request(server.Request):
    """One request. ``mount``, ``segments`` and ``user`` are set before its resource is asked.

    :ivar segments: the decoded path below ``base_url``.
    :ivar user: who asks, set by the guard; None for a stranger, who gets no further than public mounts.
    :ivar content: the body in memory, or the mount's :class:`~jupyterd.web.root.BodySink`.
    """

    site: Shared  # type: ignore[assignment]  # the base class names twisted.web's own
    channel: Connection  # type: ignore[assignment]
    content: Any
    mount: Mount | None = None
    segments: list[str]
    below_base = False
    """The path lies below ``base_url``."""
    user: Any = None
    token_authenticated = False
    host_header = ""
    """The Host header; empty where HTTP/1.0 has none."""
    handler: Any = None
    """The request as identity providers and authorizers see it; set by the guard."""
    cors: tuple[tuple[bytes, bytes], ...] = ()
    """Headers that tell which foreign pages may read the response; set by the guard."""
    xsrf_pending = False
    """The guard wants to see the body, a form, before the resource is asked."""
    started = 0.0
    arrived = False
    """The whole body has come."""
    _malformed = False
    """The framing is ambiguous (request smuggling): the connection is closed after this answer."""
    _admitted = False
    _refusal: Refusal | None = None
    _answered_early = False
    _received = 0
    _limit = 0
    _held: list[bytes]

    _request_id = b""

    @property
    def request_id(self) -> bytes:
        """The name of this request in the log, the response and error pages; that of a proxy if it sent one."""
        if not self._request_id:
            sent = self.requestHeaders._rawHeaders.get(REQUEST_ID)
            given = sent[0] if sent else b""
            taken = given and GIVEN_ID.fullmatch(given)
            self._request_id = given if taken else b"%s-%06x" % (STARTED, next(_NUMBERS))
        return self._request_id

    # -- the head

    def gotLength(self, length: int | None) -> None:
        """The head is complete: find the mount, ask the gate. Called by :class:`Channel`."""
        self.started = monotonic()
        channel = self.channel
        self.site = channel.site
        self.method, self.uri, self.clientproto = channel._command, channel._path, channel._version
        self._held = []
        self._declared = length
        try:
            self._find_mount()
            verdict = self._refusal or self._verdict()
        except Exception:  # noqa: BLE001 - whatever fails here, nobody is let in
            self.site.defects.failure("could not decide on {method} request", method=self.method)
            verdict = Refusal(500, "Unhandled error")
        if verdict is None or isinstance(verdict, Refusal):
            self._decide(verdict)
        else:
            self.pause_body()
            verdict.addErrback(self._undecided)
            verdict.addCallback(self._decide)
            verdict.addBoth(lambda _: self.resume_body())

    def _find_mount(self) -> None:
        path, _, query = self.uri.partition(b"?")
        self.path = path
        self.args = parse_query(query) if query else {}
        self.segments = []
        hosts = self.requestHeaders._rawHeaders.get(HOST, ())
        if hosts:
            self.host_header = hosts[0].decode("utf-8", "replace")
        segments = read_path(self.method, path, self.clientproto, hosts)
        if isinstance(segments, Refusal):
            self._refusal, self._malformed = segments, True
        elif segments is not None:
            below = self.site.root.below_base(segments)
            if below is not None:
                self.segments, self.below_base = below, True
        self._choose_mount()

    def _choose_mount(self) -> None:
        root = self.site.root
        self.mount = None
        if self._refusal is None and root.overlay is not None:
            self.mount = root.overlay.find(self, self.segments if self.below_base else None)
        if self.mount is None and self.below_base:
            self.mount = root.find(self.segments)

    def _verdict(self) -> Refusal | Deferred[Refusal | None] | None:
        overlay = self.site.root.overlay
        expected = None if overlay is None else overlay.expected(self)
        if overlay is None or expected is None:
            return self.site.gate.admit(self, self.mount)
        # Who may not come in at all is told now; the others are judged when it is known by what they ask for.
        self.mount = expected
        return Deferred.fromCoroutine(self._judged_late(expected, overlay))

    async def _judged_late(self, expected: Mount, overlay: Overlay) -> Refusal | None:
        refusal = await self._admit(expected)
        if refusal is not None:
            return refusal
        try:
            await overlay.ready()
        except JupyterdError as error:
            status, message, reason = errors.describe(error) or (500, "", None)
            return Refusal(status, message, reason, headers=(("Retry-After", RETRY_SECONDS),))
        self._choose_mount()
        return await self._admit(self.mount)

    async def _admit(self, mount: Mount | None) -> Refusal | None:
        verdict = self.site.gate.admit(self, mount)
        return await verdict if isinstance(verdict, Deferred) else verdict

    def parseCookies(self) -> None:
        """Left to who needs them."""

    def _undecided(self, failure: Failure) -> Refusal:
        self.site.defects.failure("could not decide on {method} request", failure, method=self.method)
        return Refusal(500, "Unhandled error")

    def _decide(self, refusal: Refusal | None) -> None:
        if self._disconnected:
            return
        if refusal is not None and refusal.check:
            self.site.refused[refusal.check] = self.site.refused.get(refusal.check, 0) + 1
        self._refusal = self._refusal or refusal or self._too_large() or self._take_body()
        if self._refusal is None:
            self._pour()
        elif not self.arrived and (self._declared != 0 or self._malformed):
            self._answered_early = True
            self.channel.persistent = False
            self.setHeader(b"connection", b"close")
            self._answer(self._refusal)
        if self.arrived and not self._answered_early:
            self._complete()

    # -- the body

    def _too_large(self) -> Refusal | None:
        mount = self.mount
        self._limit = self.site.max_body if mount is None or mount.max_body is None else mount.max_body
        if self.user is None and mount is not None and mount.public and not mount.form:
            self._limit = 0  # what everybody may read takes nothing from strangers
        if self.xsrf_pending:
            self._limit = min(self._limit, XSRF_FORM_BYTES)
        return self._longer_than_allowed()

    def _longer_than_allowed(self) -> Refusal | None:
        if self._declared is not None and self._declared > self._limit:
            return Refusal(413, f"The request body has more than {self._limit} bytes")
        return None

    def _take_body(self) -> Refusal | None:
        """Where the body goes; what the mount has against it is the answer."""
        sink = None
        if self.mount is not None and self.mount.body is not None:
            try:
                sink = self.mount.body(self)
            except Exception as error:  # noqa: BLE001 - a client is never left without an answer
                known = errors.describe(error)
                if known is None:
                    self.site.defects.failure("no place for the body of {path}", path=self.path)
                return Refusal(*known) if known is not None else Refusal(500, "Unhandled error")
        if sink is None:
            self._limit = min(self._limit, self.site.max_held)
        self.content = _Memory() if sink is None else sink
        return self._longer_than_allowed()

    def _pour(self) -> None:
        self._admitted = True
        held, self._held = self._held, []
        for data in held:
            self.handleContentChunk(data)

    def handleContentChunk(self, data: bytes) -> None:
        """Some of the body came. Called by :class:`Channel`."""
        if self._answered_early:
            return
        self._received += len(data)
        if not self._admitted:
            self._held.append(data)
        elif self._received > self._limit:
            self._answered_early = True
            self.channel.persistent = False
            self.setHeader(b"connection", b"close")
            self.content.failed()
            self.content = None
            self._answer(Refusal(413, f"The request body has more than {self._limit} bytes"))
        else:
            self.content.write(data)

    def pause_body(self) -> None:
        """Ask the client to wait: no more of this connection is read."""
        channel = self.__dict__.get("channel")
        if channel is not None and channel.transport is not None:
            channel.pause_reading()

    def resume_body(self) -> None:
        """Read on."""
        channel = self.__dict__.get("channel")
        if channel is not None and channel.transport is not None:
            channel.resume_reading()

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """Head and body are here. Called by :class:`Channel`; forms are parsed by who wants them, never here."""
        self.arrived = True
        if not self._answered_early and (self._admitted or self._refusal is not None):
            self._complete()

    def _complete(self) -> None:
        if self._refusal is not None:
            self.content = None
            self._answer(self._refusal)
            return
        self.content.finished()
        self.process()

    @property
    def body_outstanding(self) -> bool:
        """The response is written and the client still sends."""
        return self._answered_early and not self.arrived

    def getHeader(self, key: Any) -> Any:
        """A request header's last value or None, of the type of ``key``; bytes that are not UTF-8 are replaced."""
        if isinstance(key, bytes):
            return super().getHeader(key)
        values = self.requestHeaders.getRawHeaders(key.encode("ascii"))
        return values[-1].decode("utf-8", "replace") if values else None

    def getRequestHostname(self) -> bytes:
        """What Klein's router is told; no route depends on it, and a Host header may hold what it can not take."""
        return b"localhost"

    # -- the answer

    def process(self) -> None:
        """Ask the mount's resource."""
        self.prepath = []
        self.postpath = [segment.encode() for segment in self.segments]
        try:
            refusal = self.site.gate.check_form(self) if self.xsrf_pending else None
            if refusal is not None:
                self._answer(refusal)
            elif self.mount is None:
                self._answer(Refusal(404))
            else:
                self.render(self.mount.resource())
        except Exception:  # noqa: BLE001 - told to the log, answered with 500
            self.processingFailed(Failure())

    def processingFailed(self, reason: Failure) -> None:
        """A defect of ours: told to the log in full, to the client in two words."""
        self.site.defects.failure(
            "{method} {path} failed (request {request_id})",
            reason,
            method=self.method,
            path=self.path,
            request_id=self.request_id.decode("ascii"),
        )
        self._answer(Refusal(500, "Unhandled error"))

    def fail(self, status: int, message: str, reason: str | None = None) -> None:
        """Answer with an error: JSON for programs, a page for people."""
        self._answer(Refusal(status, message, reason))

    def _answer(self, refusal: Refusal) -> None:
        self.setResponseCode(refusal.status)
        for name, value in refusal.headers:
            self.setHeader(name.encode("latin-1"), value.encode("latin-1", "replace"))
        body = b""
        if refusal.location is not None:
            self.setHeader(b"location", refusal.location.encode("ascii", "replace"))
        elif not refusal.empty:
            body = self._error_body(refusal)
        self.setHeader(b"content-length", b"%d" % len(body))
        if self.content is not None and not self.arrived:
            self.content.failed()
            self.content = None
        self.write(body)
        self.finish()

    def _error_body(self, refusal: Refusal) -> bytes:
        message = refusal.message or errors.phrase(refusal.status)
        if self.wants_page:
            self.setHeader(b"content-type", b"text/html; charset=UTF-8")
            return self.site.error_page(self, refusal.status, message)
        self.setHeader(b"content-type", b"application/json")
        if refusal.status == 500 and message == "Unhandled error":
            return errors.unhandled()
        return errors.body(message, refusal.reason)

    @property
    def wants_page(self) -> bool:
        """Errors are for people, not for programs."""
        if self.mount is not None:
            return self.mount.page
        path = unquote_to_bytes(self.path or b"").decode("utf-8", "replace")
        return not f"{path}/".startswith(f"{self.site.root.base_url}api/")

    def write(self, data: bytes) -> None:
        """Write some of the response; its head first."""
        if not self.startedWriting:
            common = self.site.gate.headers(self)
            whole = self._is_whole(data)
            # The names are canonical: checking and encoding each again would cost more than all of the guard.
            headers = self.responseHeaders._rawHeaders
            if whole and len(headers) == 2 and not self.cookies:
                content_type, length = headers[CONTENT_TYPE][0], headers[CONTENT_LENGTH][0]
                name = self.request_id
                self._write_whole(short_head(self.code, self.code_message, content_type, length, common, name), data)
                return
            for name, value in common:
                headers.setdefault(name, [value])
            headers[DATE], headers[SERVER], headers[REQUEST_ID] = [date_now()], [SERVER_NAME], [self.request_id]
            if whole:
                if self.cookies:
                    self.responseHeaders.setRawHeaders(b"Set-Cookie", self.cookies)
                head = answer_head(self.clientproto, b"%d" % self.code, self.code_message, self.responseHeaders)
                self._write_whole(head, data)
                return
        super().write(data)

    def _is_whole(self, data: bytes) -> bool:
        """Whether this is all of the answer: most are, and need nothing of what twisted.web looks for."""
        headers = self.responseHeaders._rawHeaders
        length = headers.get(CONTENT_LENGTH)
        return (
            length is not None
            and length[0] == b"%d" % len(data)
            and self.method != b"HEAD"
            and self.code not in NO_BODY_CODES
            and self.clientproto == b"HTTP/1.1"
            and CONTENT_TYPE in headers
            and self.etag is self.lastModified is self._encoder is None
            and not (self._disconnected or self.finished)
        )

    def _write_whole(self, head: bytes, data: bytes) -> None:
        self.startedWriting = 1
        self.sentLength += len(data)
        self.channel.transport.write(head + data if len(data) < TOGETHER else head)
        if len(data) >= TOGETHER:
            self.channel.transport.write(data)

    def finish(self) -> None:
        """The response is complete."""
        if not self._disconnected:
            super().finish()

    def connectionLost(self, reason: Failure) -> None:
        """The client is gone."""
        sink = self.content
        super().connectionLost(reason)
        if sink is not None and not self.arrived:
            sink.failed()
