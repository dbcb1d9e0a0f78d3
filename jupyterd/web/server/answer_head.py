"""Head of an answer as bytes, and the time that it tells."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from twisted.web.http import datetimeToString

from jupyterd.web.server.plain_head import kept_name

CONTENT_LENGTH, CONTENT_TYPE = kept_name(b"Content-Length"), kept_name(b"Content-Type")
DATE, SERVER, REQUEST_ID = kept_name(b"Date"), kept_name(b"Server"), kept_name(b"X-Request-Id")
SERVER_NAME = b"jupyterd"
_OWN = frozenset({CONTENT_LENGTH, CONTENT_TYPE, DATE, SERVER, REQUEST_ID})


def answer_head(version: bytes, code: bytes, reason: bytes, headers: Any) -> bytes:
    """A status line and headers with the empty line behind them. Names and values were looked at when they were set.

    :param headers: twisted.web's ``Headers``.
    """
    lines = [b"%b %b %b" % (version, code, reason)]
    for name, values in headers._rawHeaders.items():
        lines.extend(b"%b: %b" % (name, value) for value in values)
    return b"\r\n".join(lines) + b"\r\n\r\n"


def short_head(
    status: int, phrase: bytes, content_type: bytes, length: bytes, common: tuple[tuple[bytes, bytes], ...], name: bytes
) -> bytes:
    """The head of an answer that has no more of its own than its type and length: most are so.

    :param common: headers that many answers share, all of them known when the server started, but for CORS.
    :param name: the request's.
    """
    return b"HTTP/1.1 %d %b\r\nContent-Type: %b\r\nContent-Length: %b\r\n%bDate: %b\r\n%b: %b\r\n\r\n" % (
        status, phrase, content_type, length, _lines(common), date_now(), REQUEST_ID, name,
    )  # fmt: skip


@lru_cache(maxsize=32)
def _lines(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Lines of headers, and who answers; without those that each answer has of its own."""
    shared = [(name, value) for name, value in headers if name not in _OWN]
    return b"".join(b"%b: %b\r\n" % header for header in (*shared, (SERVER, SERVER_NAME)))


_told: tuple[int, bytes] = (0, b"")


def date_now() -> bytes:
    """The Date header of now; made once a second. Source: RFC 9110, section 6.6.1."""
    global _told
    now = int(time.time())
    if now != _told[0]:
        _told = now, datetimeToString(now)
    return _told[1]
