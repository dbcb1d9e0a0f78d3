"""One HTTP/1.1 connection to the extension host: a request goes out as it is written, its answer comes as it arrives.

twisted.web's client would rewrite the request's target, and take no switch of protocols for an answer.
Source: RFC 9112, sections 6 (message body) and 9.3 (persistence).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.http import PotentialDataLoss, _IdentityTransferDecoder

from jupyterd.web.server.chunked_body import Chunks
from jupyterd.web.server.transport import write_now

HEAD_BYTES = 256 * 1024
"""Bytes of a response's head; more, and the answer is 502."""

NO_BODY = (204, 304)


class BadAnswer(Exception):
    """The host's answer is not HTTP, or its head is too large."""


@dataclass(frozen=True)
class Head:
    """The head of an answer.

    :ivar last: the last value of each header, by its name in lower case.
    """

    status: int
    phrase: bytes
    headers: list[tuple[bytes, bytes]]
    last: dict[bytes, bytes]

    def get(self, name: bytes) -> bytes | None:
        """A header's last value; ``name`` in lower case."""
        return self.last.get(name)


class Listener(Protocol):
    """Takes an answer."""

    def head(self, head: Head) -> None:
        """The head is complete. After a ``101`` all further bytes are :meth:`body`."""

    def body(self, data: bytes) -> None:
        """Some of the body; nothing, where the head has come without any."""

    def done(self) -> None:
        """The answer is complete."""

    def lost(self, reason: Exception) -> None:
        """The answer will not be completed."""


class Upstream(TwistedProtocol):
    """A connection; one exchange at a time.

    :param idle: called with the connection when it can be used again.
    :param gone: called with the connection when it is lost.
    :param made: called with the connection when it is there.
    """

    def __init__(
        self,
        idle: Callable[[Upstream], None],
        gone: Callable[[Upstream], None],
        made: Callable[[Upstream], None] = lambda _: None,
    ) -> None:
        self._idle = idle
        self._gone = gone
        self._made = made
        self._listener: Listener | None = None
        self._buffer = b""
        self._decoder: Any = None
        self._without_body = False
        self._keep = True
        self._sent = False
        self.switched = False

    def connectionMade(self) -> None:
        """The host has accepted it."""
        self._made(self)

    # -- the request

    def begin(self, head: bytes, listener: Listener, *, without_body: bool) -> None:
        """Send a request's head, and what of its body is there.

        :param without_body: the answer has no body, whatever its head says (``HEAD``).
        """
        self._listener = listener
        self._without_body = without_body
        self._buffer, self._decoder, self._keep, self._sent = b"", None, True, False
        self.write(head)

    def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        if self.transport is not None:
            write_now(self.transport, data)

    def sent(self) -> None:
        """The request is complete."""
        self._sent = True

    def abort(self) -> None:
        """Give the exchange up; the host sees its client go."""
        self._listener = None
        transport: Any = self.transport
        if transport is not None:
            transport.abortConnection()

    # -- the answer

    def dataReceived(self, data: bytes) -> None:
        """Bytes of the host."""
        if self._listener is None:
            self.abort()  # nobody asked
        elif self.switched:
            self._listener.body(data)
        elif self._decoder is not None:
            self._feed(data)
        else:
            self._buffer += data
            self._look()

    def _look(self) -> None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > HEAD_BYTES:
                self._broken(BadAnswer(f"the head of the answer has more than {HEAD_BYTES} bytes"))
            return
        text, rest = self._buffer[:end], self._buffer[end + 4 :]
        self._buffer = b""
        try:
            head = parse_head(text)
        except ValueError as error:
            self._broken(BadAnswer(str(error)))
            return
        if 100 <= head.status < 200 and head.status != 101:
            self._buffer = rest
            self._look()
            return
        self._take(head, rest)

    def _take(self, head: Head, rest: bytes) -> None:
        listener = self._listener
        assert listener is not None
        self._keep = (head.get(b"connection") or b"").lower() != b"close"
        self.switched = head.status == 101
        length, coding = head.get(b"content-length"), (head.get(b"transfer-encoding") or b"").lower()
        listener.head(head)
        listener = self._listener  # another one, where the protocol was switched
        if listener is None:
            return
        if self.switched:
            if rest:
                listener.body(rest)
            return
        if self._without_body or head.status in NO_BODY or (length == b"0" and not coding):
            self._complete(b"")
            return
        if length is not None and not coding and len(rest) == int(length):  # nearly all
            listener.body(rest)
            self._complete(b"")
            return
        if coding == b"chunked":
            self._decoder = Chunks(listener.body, self._complete)
        else:
            self._keep = self._keep and length is not None
            self._decoder = _IdentityTransferDecoder(
                None if length is None else int(length), listener.body, self._complete
            )
        if rest:
            self._feed(rest)
        if self._listener is listener:
            listener.body(b"")  # the rest may come late: its head does not wait for that

    def _feed(self, data: bytes) -> None:
        try:
            self._decoder.dataReceived(data)
        except (http._MalformedChunkedDataError, ValueError, PotentialDataLoss) as error:
            self._broken(BadAnswer(f"the body of the answer is not framed: {error}"))

    def _complete(self, rest: bytes) -> None:
        listener, self._listener, self._decoder = self._listener, None, None
        transport: Any = self.transport
        if transport is not None:
            transport.resumeProducing()  # who took the answer may have stopped it
        if self._keep and self._sent and not rest:
            self._idle(self)
        elif transport is not None:
            transport.loseConnection()
        if listener is not None:
            listener.done()

    def _broken(self, reason: Exception) -> None:
        listener = self._listener
        self.abort()
        if listener is not None:
            listener.lost(reason)

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008 - Twisted's signature
        """The host has closed the connection, or ended."""
        listener = self._listener
        self._gone(self)
        if listener is None:
            return
        if self.switched:
            self._listener = None
            listener.done()
            return
        if self._decoder is not None:
            try:
                self._decoder.noMoreData()
            except PotentialDataLoss:  # the end of the connection is the end of the body
                self._listener = None
                listener.done()
                return
            except Exception:  # noqa: BLE001 - told to the listener below
                pass
        self._listener = None
        listener.lost(reason.value if isinstance(reason.value, Exception) else BadAnswer(str(reason.value)))


def parse_head(text: bytes) -> Head:
    """A response's head, without the empty line at its end.

    :raises ValueError: it is none.
    """
    status_line, *lines = text.split(b"\r\n")
    version, _, rest = status_line.partition(b" ")
    code, _, phrase = rest.partition(b" ")
    if not version.startswith(b"HTTP/1.") or len(code) != 3 or not code.isdigit():
        raise ValueError("the answer of the extension host is not HTTP/1.1")
    headers: list[tuple[bytes, bytes]] = []
    last: dict[bytes, bytes] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        lower, value = name.lower(), value.strip()
        if not colon or not name or name != name.strip():
            raise ValueError("a header of the answer has no name")
        if lower == b"content-length" and (last.get(lower, value) != value or not _is_length(value)):
            raise ValueError("the length of the answer is not one")
        headers.append((name, value))
        last[lower] = value
    return Head(int(code), phrase, headers, last)


def _is_length(value: bytes) -> bool:
    return value.isdigit() and len(value) <= 18
