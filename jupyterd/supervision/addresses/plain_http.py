"""Plain HTTP on a TLS port: who forgot the ``s`` is led to the right address, or told in a sentence."""

from __future__ import annotations

import re
from typing import Any

from twisted.protocols.tls import TLSMemoryBIOFactory

from jupyterd.supervision.addresses.bulk_tls import BulkTLS

MAX_HEAD = 8192
"""Bytes of a head that are looked at; the connection's time is limited by who is behind TLS."""

_HEAD = re.compile(rb"(GET|HEAD) (/[!-~]*) HTTP/1\.[01]\r?\n")
_HOST = re.compile(rb"\r?\nhost:[ \t]*([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?[ \t]*\r?\n", re.IGNORECASE)
_SENTENCE = b"This port speaks HTTPS: write https:// before the address.\n"


class TLSOrSentence(BulkTLS):
    """TLS, unless a client begins with letters, as HTTP does and TLS never (RFC 8446, section 5.1)."""

    _plain: bytes | None = None
    _begun = False

    def dataReceived(self, bytes: bytes) -> None:  # noqa: A002 - Twisted's name
        """Bytes came. Called by the transport."""
        if not self._begun:
            self._begun = True
            self._plain = b"" if bytes[:1].isalpha() else None
        if self._plain is None:
            super().dataReceived(bytes)
        elif not self._lostTLSConnection:
            self._plain += bytes
            if b"\n\r\n" in self._plain or b"\n\n" in self._plain or len(self._plain) > MAX_HEAD:
                self._answer(answer(self._plain))

    def _answer(self, text: bytes) -> None:
        self._lostTLSConnection = True
        transport: Any = self.transport
        transport.write(text)
        transport.loseConnection()


class Factory(TLSMemoryBIOFactory):
    """Makes them."""

    protocol = TLSOrSentence


def answer(head: bytes) -> bytes:
    """What plain HTTP gets: the way to the same page over TLS where that is known, else a sentence.

    :param head: of its request, whole or cut.
    """
    line, host = _HEAD.match(head), _HOST.search(head)
    if line is None or host is None:
        return _response(b"400 Bad Request", b"")
    return _response(b"307 Temporary Redirect", b"Location: https://%b%b%b\r\n" % (host[1], host[2] or b"", line[2]))


def _response(status: bytes, location: bytes) -> bytes:
    return (
        b"HTTP/1.1 %b\r\n%bContent-Type: text/plain; charset=UTF-8\r\nX-Content-Type-Options: nosniff\r\n"
        b"Cache-Control: no-store\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b"
        % (status, location, len(_SENTENCE), _SENTENCE)
    )
