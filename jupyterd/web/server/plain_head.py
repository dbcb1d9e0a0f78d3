"""Plain head of a request: parsed in one go where nothing in it could be read in two ways.

Nearly all requests are so: a head that came as a whole, of printable ASCII, with at most one plain Content-Length, and
nothing behind its body. Whatever is anything else (a chunked body, a folded line, an odd byte, half a head, a second
request) is None here and goes line by line through twisted.web's parser, with all its checks, which takes a browser's
request five times as long. Source: RFC 9112, sections 2 to 6.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from twisted.web.http_headers import Headers

MAX_PLAIN_BYTES = 8 * 1024
"""Bytes; a longer head is taken line by line."""

NAMES = (
    b"Host", b"Authorization", b"Cookie", b"Origin", b"Referer", b"User-Agent", b"Accept", b"Accept-Encoding",
    b"Accept-Language", b"Accept-Charset", b"Connection", b"Cache-Control", b"Pragma", b"DNT", b"Priority",
    b"If-None-Match", b"If-Modified-Since", b"If-Match", b"If-Unmodified-Since", b"If-Range", b"Range", b"Via",
    b"Sec-Fetch-Site", b"Sec-Fetch-Mode", b"Sec-Fetch-Dest", b"Sec-Fetch-User", b"Sec-GPC", b"Sec-CH-UA",
    b"Sec-CH-UA-Mobile", b"Sec-CH-UA-Platform", b"Upgrade-Insecure-Requests", b"X-XSRFToken", b"X-Requested-With",
    b"X-Request-Id", b"X-Forwarded-For", b"X-Forwarded-Host", b"X-Forwarded-Port", b"X-Forwarded-Proto", b"X-Scheme",
    b"X-Real-IP", b"Forwarded", b"Content-Type", b"Content-Length",
)  # fmt: skip
"""Header names as clients write them, with which they are found at once."""

LEFT = frozenset({b"transfer-encoding", b"expect", b"upgrade", b"te", b"trailer"})
"""Names that say how a body comes, or that no body is what comes next: left to the parser."""

MAX_LINES = 100
"""Header lines; a head with more is taken line by line."""

_REQUEST = re.compile(rb"(GET|HEAD|DELETE|OPTIONS|POST|PUT|PATCH) ([!-~]+) HTTP/1\.1")
_NAME = re.compile(rb"[A-Za-z][A-Za-z0-9-]{0,63}")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_PRINTABLE = bytes(range(0x20, 0x7F))


def kept_name(name: bytes) -> bytes:
    """The name under which twisted.web's ``Headers`` keep a header."""
    headers = Headers()
    headers.addRawHeader(name, b"")
    return next(iter(headers._rawHeaders))


def _canonical() -> dict[bytes, bytes]:
    """Name, as it may be written, to the name that it is kept under."""
    known = {}
    for name in NAMES:
        kept = kept_name(name)
        known.update(dict.fromkeys((name, name.lower(), name.title(), kept), kept))
    return known


_KNOWN = _canonical()
CONTENT_LENGTH = kept_name(b"Content-Length")


class PlainHead(NamedTuple):
    """What a plain head says.

    :ivar lines: the header lines as they came, with the empty line behind them.
    :ivar headers: values by name, as :class:`twisted.web.http_headers.Headers` keeps them.
    :ivar length: bytes of the body; None where the head does not say.
    :ivar body: as much of the body as came with the head.
    """

    method: bytes
    target: bytes
    lines: bytes
    headers: dict[bytes, list[bytes]]
    length: int | None
    body: bytes


def plain_head(data: bytes, before: PlainHead | None = None) -> PlainHead | None:
    """Parse ``data`` if it begins with a whole plain head and ends within its body; None where it has to be looked at
    closer.

    :param before: an earlier one of the same connection. Clients send the same header lines again and again; then they
        are not parsed again.
    """
    end = data.find(b"\r\n\r\n", 0, MAX_PLAIN_BYTES) + 4
    begin = data.find(b"\r\n", 0, end) + 2
    if begin < 2 or begin == end:
        return None
    request = _REQUEST.fullmatch(data, 0, begin - 2)
    if request is None:
        return None
    lines, body = data[begin:end], data[end:]
    if before is not None and before.lines == lines:
        headers, length = {name: values[:] for name, values in before.headers.items()}, before.length
    else:
        parsed = _headers_in(lines)
        if parsed is None:
            return None
        headers, length = parsed, None
        if CONTENT_LENGTH in headers:
            told = headers[CONTENT_LENGTH]
            if len(told) != 1 or _LENGTH.fullmatch(told[0]) is None:
                return None
            length = int(told[0])
    if len(body) > (length or 0):
        return None
    return PlainHead(request[1], request[2], lines, headers, length, body)


def _headers_in(text: bytes) -> dict[bytes, list[bytes]] | None:
    lines = text[:-4].split(b"\r\n")
    if len(lines) > MAX_LINES or text.translate(None, _PRINTABLE) != b"\r\n" * (len(lines) + 1):
        return None  # a lone CR or LF, a tab, a control character, a byte that is not ASCII
    headers: dict[bytes, list[bytes]] = {}
    for line in lines:
        written, colon, value = line.partition(b":")
        name = _KNOWN.get(written) or _other_name(written)
        if name is None or not colon:
            return None
        headers.setdefault(name, []).append(value.strip(b" "))
    return headers


def _other_name(written: bytes) -> bytes | None:
    if _NAME.fullmatch(written) is None or written.lower() in LEFT:
        return None
    return kept_name(written)
