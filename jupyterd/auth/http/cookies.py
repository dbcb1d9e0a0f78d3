"""Cookies as browsers send them, and as clients do that only half know how (pure)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any

DAY = 86400.0
_OCTAL_OR_QUOTED = re.compile(r"\\(?:([0-3][0-7][0-7])|(.))")
_NEEDS_QUOTES = re.compile(r"[^\w!#%&'()*+./:<=>?@\[\]^`{|}~$-]", re.ASCII)
_FORBIDDEN = re.compile(r"[\x00-\x20;\x7f]")


def parse(header: str) -> dict[str, str]:
    """The cookies of a ``Cookie`` header.

    Of two cookies with one name the first counts: browsers send the one with the longer path, ours, first.
    Attributes that some clients send back (``Path=/; HttpOnly``) come out as cookies that nobody asks for.
    """
    cookies: dict[str, str] = {}
    for part in header.split(";"):
        name, equals, value = part.partition("=")
        if not equals:
            continue
        cookies.setdefault(name.strip(), _unquote(value.strip()))
    return cookies


def _unquote(value: str) -> str:
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value
    return _OCTAL_OR_QUOTED.sub(lambda m: chr(int(m[1], 8)) if m[1] else m[2], value[1:-1])


ATTRIBUTES = frozenset(
    {"path", "domain", "expires", "expires_days", "max_age", "httponly", "secure", "samesite", "partitioned", "version"}
)
"""What operators may set; ``version`` is that of a signature, of which there is one."""


def attributes(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options under one spelling: operators also write ``SameSite`` and ``Max-Age``."""
    return {name.lower().replace("-", "_"): value for name, value in options.items()}


def set_cookie(
    name: str,
    value: str,
    *,
    path: str = "/",
    domain: str | None = None,
    expires: float | None = None,
    max_age: int | None = None,
    httponly: bool = False,
    secure: bool = False,
    samesite: str | None = None,
    partitioned: bool = False,
) -> str:
    """The value of a ``Set-Cookie`` header.

    :param expires: seconds since the epoch; None for a cookie that ends with the browser's session.
    :raises ValueError: a name, path or domain that would end the header early.
    """
    for attribute in (name, path, domain or "", samesite or ""):
        if _FORBIDDEN.search(attribute):
            raise ValueError(f"not usable in a cookie: {attribute!r}")
    if any(ord(character) < 0x20 for character in value):
        raise ValueError("a cookie's value has no control characters")
    parts = [f"{name}={_quote(value)}"]
    if domain:
        parts.append(f"Domain={domain}")
    if expires is not None:
        parts.append(f"expires={formatdate(expires, usegmt=True)}")
    if max_age is not None:
        parts.append(f"Max-Age={int(max_age)}")
    if httponly:
        parts.append("HttpOnly")
    parts.append(f"Path={path}")
    if secure:
        parts.append("Secure")
    if samesite:
        parts.append(f"SameSite={samesite}")
    if partitioned:
        parts.append("Partitioned")
    return "; ".join(parts)


def _quote(value: str) -> str:
    if value and not _NEEDS_QUOTES.search(value):
        return value
    escaped = "".join(
        f"\\{ord(c):03o}" if c in ",;\x7f" or ord(c) > 126 else f"\\{c}" if c in '"\\' else c for c in value
    )
    return f'"{escaped}"'


def clear_cookie(name: str, path: str = "/", domain: str | None = None) -> str:
    """The value of a ``Set-Cookie`` header that makes a browser forget a cookie."""
    return set_cookie(name, "", path=path, domain=domain, expires=0.0)
