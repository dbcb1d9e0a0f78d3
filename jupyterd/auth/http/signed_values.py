"""Signed values: what a client keeps for us and can not change, in the form that Jupyter's other servers use.

``2|1:0|10:<seconds>|<n>:<name>|<n>:<value in base64>|<HMAC-SHA256 in hex>``: each field behind its length, the
signature over all that stands before it. The older form, a SHA-1 over fields without lengths, is not accepted.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from functools import lru_cache

DAY = 86400.0
MAX_COOKIE_LENGTH = 8192  # characters; a browser keeps 4096 for a cookie
MAX_REMEMBERED = 128
"""Values of which it is known, at a time, that they are ours."""


def sign(secret: bytes, name: str, value: str, now: float) -> str:
    """``value`` under ``name``, with the time and a signature.

    :param now: seconds since the epoch.
    """
    encoded = base64.b64encode(value.encode()).decode()
    body = f"2|1:0|{_field(str(int(now)))}|{_field(name)}|{_field(encoded)}|"
    return body + _signature(secret, body)


def unsign(secret: bytes, name: str, signed: str, now: float, max_age_days: float = 31) -> str | None:
    """The value that was signed under ``name``; None when it was forged, belongs to another name, or is too old."""
    if len(signed) > MAX_COOKIE_LENGTH:
        return None
    try:
        seconds, value = _checked(secret, name, signed)
    except ValueError:
        return None
    return None if seconds < now - max_age_days * DAY else value


@lru_cache(maxsize=MAX_REMEMBERED)
def _checked(secret: bytes, name: str, signed: str) -> tuple[int, str]:
    """When a value was signed, and the value. Browsers show the same with each request.

    :raises ValueError: it is not ours. What raises is not remembered: strangers fill nothing.
    """
    if not signed.startswith("2|") or not signed.isascii():
        raise ValueError("not in this form")
    body, bar, signature = signed.rpartition("|")
    # The signature first: nothing that a stranger wrote is looked into.
    if not hmac.compare_digest(_signature(secret, body + bar), signature):
        raise ValueError("forged")
    fields = _fields(body[2:])
    if fields is None or len(fields) != 4:
        raise ValueError("not in this form")
    _key_version, seconds, signed_name, encoded = fields
    if signed_name != name or not seconds.isdigit():
        raise ValueError("of another name")
    return int(seconds), base64.b64decode(encoded, validate=True).decode()


def _field(text: str) -> str:
    return f"{len(text)}:{text}"


def _signature(secret: bytes, body: str) -> str:
    return hmac.digest(secret, body.encode(), hashlib.sha256).hex()


def _fields(text: str) -> list[str] | None:
    fields: list[str] = []
    while text:
        length, colon, rest = text.partition(":")
        if not colon or not length.isdigit() or len(length) > 4:
            return None
        size = int(length)
        if len(rest) < size or (len(rest) > size and rest[size] != "|"):
            return None
        fields.append(rest[:size])
        text = rest[size + 1 :]
    return fields
