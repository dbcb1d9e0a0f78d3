"""Plain head of a request: parsed in one go where nothing in it could be read in two ways.

Nearly all requests are so: a head that came as a whole, of a method without a body, whose lines hold names known here
and printable ASCII. Whatever is anything else (a body, a folded line, a name or a byte that is not known, half a head)
is None here and goes line by line through twisted.web's parser, with all its checks. It saves an eighth of what a small
request costs. Source: RFC 9112, sections 2 to 5.
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
    b"X-Real-IP", b"Forwarded",
)  # fmt: skip
"""Header names as clients write them; nothing that says where a request ends is among them."""

_REQUEST = re.compile(rb"(GET|HEAD|DELETE|OPTIONS) ([!-~]+) HTTP/1\.1")
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


class PlainHead(NamedTuple):
    """What a plain head says.

    :ivar lines: the header lines as they came, with the empty line behind them.
    :ivar headers: values by name, as :class:`twisted.web.http_headers.Headers` keeps them.
    """

    method: bytes
    target: bytes
    lines: bytes
    headers: dict[bytes, list[bytes]]


def plain_head(data: bytes, before: PlainHead | None = None) -> PlainHead | None:
    """Parse ``data`` if it is one whole plain head and nothing else; None where it has to be looked at closer.

    :param before: an earlier one of the same connection. Clients send the same header lines again and again; then they
        are not parsed again.
    """
    if len(data) > MAX_PLAIN_BYTES:
        return None
    first, _, lines = data.partition(b"\r\n")
    request = _REQUEST.fullmatch(first)
    if request is None:
        return None
    if before is not None and before.lines == lines:
        headers = {name: values[:] for name, values in before.headers.items()}
        return PlainHead(request[1], request[2], lines, headers)
    parsed = _headers_in(lines)
    return None if parsed is None else PlainHead(request[1], request[2], lines, parsed)


def _headers_in(text: bytes) -> dict[bytes, list[bytes]] | None:
    if text[-4:] != b"\r\n\r\n":
        return None
    lines = text[:-4].split(b"\r\n")
    if text.translate(None, _PRINTABLE) != b"\r\n" * (len(lines) + 1):
        return None  # a lone CR or LF, a tab, a control character, a byte that is not ASCII
    headers: dict[bytes, list[bytes]] = {}
    for line in lines:
        written, colon, value = line.partition(b":")
        name = _KNOWN.get(written)
        if name is None or not colon:
            return None
        headers.setdefault(name, []).append(value.strip(b" "))
    return headers
