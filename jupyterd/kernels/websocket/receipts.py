"""Receipts: which bytes of a websocket its client has acknowledged, by TCP or by pongs.

Two things tell. The system knows what the peer's TCP has confirmed: exact, also for a connection that breaks, but
behind a proxy or a tunnel the peer is not the client, and a client that resets its connection throws away what it
had not read. A pong tells what the client itself has read, some time later. Where the first can not be trusted the
second counts: then a message may come twice, and none is lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from struct import pack
from typing import Any, Protocol

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.tcp import Connection
from twisted.internet.unix import Server as UNIXServer
from twisted.python.failure import Failure

from jupyterd.auth.http.proxies import PROXY_HEADERS
from jupyterd.kernels.websocket.tls_records import TLSRecords
from jupyterd.web.server.unacknowledged import queued, waiting

PAUSE = 0.02
"""Seconds between pings where a pong matters only after a reset."""

MUCH = 64 * 1024
"""So many bytes are asked about sooner, there too."""

PING = 2 + 8
"""Bytes of a ping of ours. Source: RFC 6455, section 5.2."""

UNANSWERED = 16
"""Pings on their way at a time where only pongs tell."""

RECEIVED_SHUTDOWN = 2
"""The peer has said that it sends no more. Source: OpenSSL, SSL_get_shutdown(3)."""


def proxied(headers: Mapping[str, str]) -> bool:
    """Whether a request came through a proxy that says so."""
    return any(name in headers for name in PROXY_HEADERS)


class Sent(Protocol):
    """What the system knows of the bytes that a transport was given."""

    exact: bool
    """Whether :meth:`unconfirmed` can be trusted while the connection lasts."""

    @property
    def records(self) -> TLSRecords | None:
        """Those of TLS; None without."""

    @property
    def orderly(self) -> bool:
        """Whether a peer that has closed its end has read all before, as far as that can be told."""

    def unconfirmed(self, given: int) -> int:
        """How many of the ``given`` bytes the peer has not confirmed."""


class OverNothing:
    """A transport that is no socket: what it was given has arrived."""

    exact = orderly = True
    records = None

    def unconfirmed(self, given: int) -> int:
        """See :class:`Sent`."""
        return 0


class OverTCP:
    """Bytes as they are, over TCP: who closes and leaves something unread resets the connection."""

    exact = orderly = True
    records = None

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def unconfirmed(self, given: int) -> int:
        """See :class:`Sent`: in the transport's hands and the system's."""
        transport = self._transport
        end = 1 if getattr(transport, "_writeDisconnected", False) else 0  # TCP counts its own end
        return waiting(transport) + max(0, queued(transport) - end)


class OverUNIX:
    """A UNIX socket: the system does not tell what was read, only that all was when the peer closed it in order."""

    exact, orderly = False, True

    def __init__(self, transport: Any, records: TLSRecords | None = None) -> None:
        self._transport, self.records = transport, records

    def unconfirmed(self, given: int) -> int:
        """See :class:`Sent`."""
        return waiting(self._transport)


class OverTLS:
    """TLS over TCP: a record can be read when all of its bytes have arrived."""

    exact = True

    def __init__(self, tls: Any, tcp: Any) -> None:
        self._tls = tls
        over = OverTCP(tcp)
        self.records = TLSRecords(tls, tcp, lambda: over.unconfirmed(0))

    @property
    def orderly(self) -> bool:
        """See :class:`Sent`: what TLS has taken and its client has not read is seen by nobody, but for a farewell."""
        connection = self._tls._tlsConnection
        return bool(connection is not None and connection.get_shutdown() & RECEIVED_SHUTDOWN)

    def unconfirmed(self, given: int) -> int:
        """See :class:`Sent`."""
        return given - self.records.arrived()


def sent_over(transport: Any) -> Sent:
    """What tells about ``transport``."""
    if isinstance(transport, UNIXServer):
        return OverUNIX(transport)
    if isinstance(transport, Connection):
        return OverTCP(transport)
    below = getattr(transport, "transport", None)
    if isinstance(below, Connection) and hasattr(transport, "_tlsConnection"):
        if isinstance(below, UNIXServer):
            return OverUNIX(below, TLSRecords(transport, below, partial(waiting, below)))
        return OverTLS(transport, below)
    return OverNothing()


class Receipts:
    """What the client of one websocket has.

    Where only pongs tell, pings follow the frames. Elsewhere they go ahead of them: a client that has read a message
    has answered the ping before it, and leaves nothing unread behind, which would make a reset of its leaving.

    :param seconds: the time.
    :param held: bytes that the transport was not given yet.
    :param ping: sends a ping with a payload.
    :param pongs_only: somebody stands between, so that the system's word is not the client's.
    :ivar written: bytes of whole frames so far, of all kinds.
    :ivar records: those of TLS on the connection; None without.
    """

    def __init__(
        self,
        transport: Any,
        seconds: Callable[[], float],
        held: Callable[[], int],
        ping: Callable[[bytes], None],
        pongs_only: bool,
    ) -> None:
        self.written = 0
        self._sent = sent_over(transport)
        self.records = self._sent.records
        self._seconds, self._held, self._ping = seconds, held, ping
        self._proxied = pongs_only
        self._pongs_only = pongs_only or not self._sent.exact
        self._asked: deque[tuple[bytes, int]] = deque()
        self._asked_until = self._answered = 0
        self._asked_at = -PAUSE
        self._final: int | None = None

    def ahead(self, first: int) -> None:
        """Frames are about to be written, the first of them of ``first`` bytes: who answers has read that one too."""
        if self._pongs_only or self._asked:
            return
        now = self._seconds()
        if now - self._asked_at >= PAUSE or self.written - self._asked_until > MUCH:
            self._asked_at = now
            self._ask(PING + first)

    def behind(self) -> None:
        """Frames were written: ask the client whether it has them."""
        if self._pongs_only and len(self._asked) < UNANSWERED:
            self._ask(0)

    def _ask(self, further: int) -> None:
        payload = pack("!Q", self.written)
        self._asked_until = self.written + further
        self._asked.append((payload, self._asked_until))
        self._ping(payload)

    def pong(self, payload: bytes) -> None:
        """The client answered a ping, ours or another."""
        if not any(payload == asked for asked, _ in self._asked):
            return
        while self._asked:
            asked, self._answered = self._asked.popleft()
            if asked == payload:
                break
        if self.written > self._asked_until + PING:
            self.behind()

    def unconfirmed(self) -> int:
        """Bytes that the client may not have, were the connection to end now, or when it ended."""
        if self._final is not None:
            return self._final
        return self.unanswered() if self._pongs_only else self._told()

    def unanswered(self) -> int:
        """Bytes that may have to be sent again, whatever happens."""
        return self.written - self._answered

    def ended(self, reason: Failure, said_goodbye: bool) -> None:
        """The connection is about to go; the system forgets with the socket what it knows, so it is asked here."""
        if self._final is not None:
            return
        if reason.check(ConnectionLost) and not reason.check(ConnectionAborted) and not said_goodbye:
            self._final = self.unanswered()  # a reset
        elif reason.check(ConnectionDone) and not said_goodbye and not self._sent.orderly:
            self._final = self.unanswered()
        elif reason.check(ConnectionDone) and not self._proxied:
            self._final = self._told()
        else:
            self._final = self.unconfirmed()

    def _told(self) -> int:
        held = self._held()
        return min(self.unanswered(), held + self._sent.unconfirmed(self.written - held))
