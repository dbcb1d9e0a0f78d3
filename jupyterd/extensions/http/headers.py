"""Headers of forwarded requests and of their answers: which pass, which are the daemon's own (pure).

Source: RFC 9110, section 7.6.1 (hop-by-hop headers).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from jupyterd.extensions.signed_requests import OWN

Lines = list[tuple[bytes, bytes]]

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
NOT_FORWARDED = HOP_BY_HOP | {*OWN, b"content-length", b"cookie", b"expect", b"x-forwarded-for", b"x-forwarded-proto"}
"""Request headers that are dropped, or written anew."""

NOT_RELAYED = HOP_BY_HOP | {b"server", b"date", *OWN}
"""Response headers of the host that are dropped; and all ``Access-Control-`` ones: the guard has decided on those."""


def forwarded(raw: Iterable[tuple[bytes, Sequence[bytes]]]) -> Lines:
    """A client's headers, as the host gets them; less what a ``Connection`` header names."""
    lines: Lines = []
    named: set[bytes] = set()
    for name, values in raw:
        lower = name.lower()
        if lower == b"connection":
            named.update(token.strip().lower() for value in values for token in value.split(b","))
        elif lower not in NOT_FORWARDED:
            lines += [(name, value) for value in values]
    if named <= NOT_FORWARDED:
        return lines
    return [(name, value) for name, value in lines if name.lower() not in named]


def cookies(sent: Sequence[bytes], xsrf: str | None) -> bytes | None:
    """The ``Cookie`` header for the host.

    :param sent: the client's.
    :param xsrf: the token of a cookie that the answer sets: pages made by the host have to hold the same one.
    """
    parts = [value.strip() for value in sent if value.strip()]
    if xsrf is not None:
        parts.append(b"_xsrf=" + xsrf.encode("ascii"))
    return b"; ".join(parts) if parts else None


def relayed(headers: Iterable[tuple[bytes, bytes]]) -> Lines:
    """The host's response headers, as the client gets them."""
    lines: Lines = []
    for name, value in headers:
        lower = name.lower()
        if lower in NOT_RELAYED or lower.startswith(b"access-control-"):
            continue
        if lower == b"set-cookie" and value.lstrip().startswith(b"_xsrf="):
            continue
        lines.append((name, value))
    return lines


def request_head(method: bytes, target: bytes, headers: Lines) -> bytes:
    """A request's head, its target byte for byte."""
    return b"".join(
        [method, b" ", target, b" HTTP/1.1\r\n", *(name + b": " + value + b"\r\n" for name, value in headers), b"\r\n"]
    )
