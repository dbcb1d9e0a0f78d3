"""TLS that hands a large write over in one piece: half of the CPU time of a download.

Twisted encrypts 16 KiB, the most that a TLS record holds, and writes each record to the socket's buffer by itself.
"""

from __future__ import annotations

from OpenSSL.SSL import Error, WantReadError
from twisted.protocols.tls import BufferingTLSTransport
from twisted.python.failure import Failure

RECORD = 2**14
"""Bytes of a record (RFC 8446, section 5.1)."""

OVERHEAD = 64
"""More than what a record has beside them."""

HANDSHAKE = 2**13
"""What may wait to be sent besides: session tickets, a change of keys."""


class BulkTLS(BufferingTLSTransport):
    """TLS of one connection."""

    def _write(self, bytes: bytes) -> None:  # noqa: A002 - Twisted's name
        """Encrypt all, then send all. Called by :meth:`write`, and for what had to wait."""
        if self._lostTLSConnection:
            return
        view, sent = memoryview(bytes), 0
        try:
            while sent < len(view):
                sent += self._tlsConnection.send(view[sent : sent + RECORD])
        except WantReadError:
            self._bufferedWrite(bytes[sent:])
        except Error:
            self._tlsShutdownFinished(Failure())
            return
        self._send_all(sent)

    def _send_all(self, size: int) -> None:
        room = size + OVERHEAD * (size // RECORD + 1) + HANDSHAKE
        while True:
            try:
                encrypted = self._tlsConnection.bio_read(room)
            except WantReadError:
                return
            assert self.transport is not None
            self.transport.write(encrypted)
            if len(encrypted) < room:
                return
