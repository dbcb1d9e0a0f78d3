"""Head of an answer as bytes, and the time that it tells."""

from __future__ import annotations

import time
from typing import Any

from twisted.web.http import datetimeToString


def answer_head(version: bytes, code: bytes, reason: bytes, headers: Any) -> bytes:
    """A status line and headers with the empty line behind them. Names and values were looked at when they were set.

    :param headers: twisted.web's ``Headers``.
    """
    lines = [b"%b %b %b" % (version, code, reason)]
    for name, values in headers._rawHeaders.items():
        lines.extend(b"%b: %b" % (name, value) for value in values)
    return b"\r\n".join(lines) + b"\r\n\r\n"


_told: tuple[int, bytes] = (0, b"")


def date_now() -> bytes:
    """The Date header of now; made once a second. Source: RFC 9110, section 6.6.1."""
    global _told
    now = int(time.time())
    if now != _told[0]:
        _told = now, datetimeToString(now)
    return _told[1]
