"""Channel: one connection, twisted.web's parser made stricter, with an answer for every head that it does not take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.error import ConnectionDone
from twisted.logger import Logger
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from twisted.web import http

from jupyterd.web import errors
from jupyterd.web.server.answer_head import answer_head
from jupyterd.web.server.chunked_body import Chunks
from jupyterd.web.server.plain_head import CONTENT_LENGTH, PlainHead, kept_name, plain_head
from jupyterd.web.server.timeouts import Queue, leave
from jupyterd.web.server.unacknowledged import unread

if TYPE_CHECKING:
    from jupyterd.web.server.request import Request
    from jupyterd.web.server.timeouts import Timeouts

CONNECTION = kept_name(b"Connection")
HEAD_BYTES = 64 * 1024
MAX_HEADERS = 500
MAX_LENGTH_DIGITS = 18  # digits of a Content-Length

LEAST_TAKEN = 16 * 1024
"""Bytes of a waiting answer that a client has to take within the time that it is given for some of it."""

LINGER_BYTES = 64 * 1024 * 1024
"""How much of a refused body is read and thrown away, so that the client gets to read its answer before the
connection is cut (RFC 9112, section 9.6)."""


class TimedSite(Protocol):
    """What a connection asks of the server's side; see :class:`jupyterd.web.server.site.Site`."""

    timeouts: Timeouts


class Channel(http.HTTPChannel):
    """One connection. See :class:`~jupyterd.web.server.request.Request` for what is decided when."""

    site: TimedSite
    totalHeadersSize = HEAD_BYTES
    MAX_LENGTH = HEAD_BYTES
    maxHeaders = MAX_HEADERS
    waiting: Queue | None = None
    _lingering = False
    _discarded = 0
    _unread: int | None = None
    """What the client had not taken of its answer when it was looked at last; None where nobody waits for it."""
    _stranger = True
    _before: PlainHead | None = None
    """The head of somebody known that came last."""
    _log = Logger()

    def connectionMade(self) -> None:
        """A client connected; it has not said anything yet."""
        super().connectionMade()
        self.site.timeouts.head(self)

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008 - Twisted's signature
        """The client is gone."""
        leave(self)
        super().connectionLost(reason)

    def too_late(self) -> None:
        """The client took too long."""
        if self._unread is not None:
            self._slow_reader()
        elif self._lingering or not (self.requests or self._buffer):
            self.cut()
        else:
            self._refuse(408, "The request did not arrive in time")

    def cut(self) -> None:
        """Close at once."""
        transport: Any = self.transport
        if transport is not None:
            transport.abortConnection()

    # -- the answer

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Any) -> None:
        """The head of an answer, in one piece. Names and values have been looked at when they were set."""
        transport: Any = self.transport
        transport.write(answer_head(version, code, reason, headers))

    # -- flow control

    def pause_reading(self) -> None:
        """Stop reading from the socket."""
        self._networkProducer.pauseProducing()

    def resume_reading(self) -> None:
        """Read from the socket again."""
        self._networkProducer.resumeProducing()

    # -- the client reads slower than it is written to

    def pauseProducing(self) -> None:
        """The transport holds as much as it should. Called by it."""
        super().pauseProducing()
        self._await_reader()

    def resumeProducing(self) -> None:
        """The client has taken what was held. Called by the transport."""
        if self._unread is not None:
            self._reads_on()
        super().resumeProducing()  # the answer's next part may fill the transport again

    def loseConnection(self) -> None:
        """Close, once the client has taken what is written."""
        super().loseConnection()
        if unread(self.transport):
            self._await_reader()

    def _reads_on(self) -> None:
        self._unread = None
        leave(self)
        if not self.requests:
            self.site.timeouts.idles.add(self)
        elif self._stranger:
            self._await_reader()

    def _await_reader(self) -> None:
        self._unread = unread(self.transport)
        if self.requests:
            self._stranger = self.requests[0].user is None
        self.site.timeouts.reader(self, self._stranger)

    def _slow_reader(self) -> None:
        before, now = self._unread or 0, unread(self.transport)
        if now <= before - LEAST_TAKEN or now > before:  # more than before: what was on its way when it got full
            self._await_reader()
        else:
            self._log.info("{peer} does not read its answer", peer=str(self.transport.getPeer()))  # type: ignore[union-attr]
            self.cut()

    # -- the head

    def dataReceived(self, data: bytes) -> None:
        """Bytes came. Called by the transport."""
        if self._takes_plain() and (head := plain_head(data, self._before)) is not None:
            self._plain(head)
            return
        timeouts = self.site.timeouts
        if self.waiting is timeouts.idles:
            timeouts.head(self)
        elif self.waiting is timeouts.bodies or (self.waiting is timeouts.heads and self._known):
            timeouts.bodies.add(self)
        inside = (
            self._busyReceiving
        )  # what came behind a body, given back after the answer: it is looked at further out
        LineReceiver.dataReceived(self, data)
        if not inside and self.line_mode and not self._lingering and b"\n" in self._buffer:
            # What is left has no line end in it: a lone LF, which others may take for one (RFC 9112, section 2.2).
            self._refuse(400, "A header line does not end with CR LF")

    def _takes_plain(self) -> bool:
        """Whether the next byte is the first of a request, and nothing else is under way here."""
        return (
            self.line_mode == 1
            and not self._buffer
            and not self._receivedHeaderSize
            and not self.requests
            and bool(self.persistent)
            and not (self.paused or self._busyReceiving or self._lingering)
        )

    def _plain(self, head: PlainHead) -> None:
        """A head is complete, and as much of its body as has come: go on as after the head's last line."""
        request: Any = self.requestFactory(self)
        self.requests.append(request)
        self._command, self._path, self._version = head.method, head.target, b"HTTP/1.1"
        request.requestHeaders._rawHeaders = head.headers
        self._busyReceiving = True
        leave(self)
        try:
            if head.length:
                self._maybeChooseTransferDecoder(CONTENT_LENGTH, b"%d" % head.length)
                self.allHeadersReceived()
                self.setRawMode()
                if head.body:
                    self.rawDataReceived(head.body)
            else:
                if CONNECTION in head.headers:
                    self.persistent = self.checkPersistence(request, self._version)
                request.gotLength(0)
                if request.user is not None:
                    self._before = head  # of strangers nothing is kept
                self.allContentReceived()
        finally:
            self._busyReceiving = False

    def lineReceived(self, line: bytes) -> None:
        """A line of the head."""
        if self._lingering:
            return
        if self._receivedHeaderSize + len(line) + 2 > HEAD_BYTES:
            self._refuse(431, f"The request's head has more than {HEAD_BYTES} bytes")
        elif line[:1] in (b" ", b"\t"):
            # Folded lines are obsolete, and not all proxies read them alike (RFC 9112, section 5.2).
            self._refuse(400, "A header line begins with a space")
        else:
            self._receivedHeaderSize += 2
            super().lineReceived(line)

    def lineLengthExceeded(self, line: bytes) -> None:
        """A line of the head does not end."""
        if not self._lingering:
            self._refuse(431, f"The request's head has more than {HEAD_BYTES} bytes")

    def headerReceived(self, line: bytes) -> bool:
        """A header line is complete."""
        if self._receivedHeaderCount >= MAX_HEADERS:
            self._refuse(431, f"The request has more than {MAX_HEADERS} headers")
            return False
        return bool(super().headerReceived(line))

    def _maybeChooseTransferDecoder(self, header: bytes, data: bytes) -> bool:
        if header == b"Content-Length" and len(data) > MAX_LENGTH_DIGITS:
            return self._failChooseTransferDecoder()
        if header == b"Transfer-Encoding" and (data.lower() != b"chunked" or self._version != b"HTTP/1.1"):
            # HTTP/1.0 has no chunks: a proxy in front may have read another end of this request than we would.
            return self._failChooseTransferDecoder()
        if not super()._maybeChooseTransferDecoder(header, data):
            return False
        if header == b"Transfer-Encoding":
            decoder: Any = self._transferDecoder
            self._transferDecoder = Chunks(decoder.dataCallback, decoder.finishCallback)
        return True

    def allHeadersReceived(self) -> None:
        """The head is complete."""
        leave(self)
        super().allHeadersReceived()
        if self.length != 0 and not self._lingering:
            self._await_body()

    def _await_body(self) -> None:
        timeouts = self.site.timeouts
        (timeouts.bodies if self._known else timeouts.heads).add(self)

    @property
    def _known(self) -> bool:
        """Whether the sender of the request that comes in is known; a stranger has less time."""
        return bool(self.requests) and self.requests[-1].user is not None

    def _respondToBadRequestAndDisconnect(self) -> None:
        self._refuse(400, "This is not a request of HTTP/1.1")

    def _refuse(self, status: int, message: str) -> None:
        """Answer what is not, or not yet, a request."""
        transport: Any = self.transport
        self._log.debug("{status} {peer}: {why}", status=status, peer=str(transport.getPeer()), why=message)
        body = errors.body(message)
        self.persistent = False
        transport.write(
            f"HTTP/1.1 {status} {errors.phrase(status)}\r\nConnection: close\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        self._linger()

    # -- the body

    def rawDataReceived(self, data: bytes) -> None:
        """Some of a body."""
        if self._lingering:
            self._discarded += len(data)
            if self._discarded > LINGER_BYTES:
                self.forceAbortClient()
        else:
            super().rawDataReceived(data)

    def _send100Continue(self) -> None:
        if self.requests and self.requests[-1]._admitted:
            super()._send100Continue()

    def allContentReceived(self) -> None:
        """A request is complete."""
        if not self._lingering:
            leave(self)
            super().allContentReceived()
            if self.requests and self.requests[0].user is None and self.waiting is None:
                self._await_reader()  # a stranger counts as long as the answer takes

    # -- the end

    def requestDone(self, request: Request) -> None:
        """A response is complete; where the client still sends, wait a little for it to read the answer."""
        if request.body_outstanding:
            self.requests.remove(request)
            self._linger()
            return
        if not self._waitingForTransport:
            self._unread = None
            leave(self)
            if self.persistent:
                self.site.timeouts.idles.add(self)
        super().requestDone(request)

    def _linger(self) -> None:
        self.site.timeouts.lingers.add(self)
        self._lingering = True
        self.setRawMode()
        half_close = getattr(self.transport, "loseWriteConnection", None)
        if half_close is not None and not self.isSecure():  # below TLS it would cut the answer off
            half_close()
        self.resume_reading()
