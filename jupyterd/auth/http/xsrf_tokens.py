"""Tokens against cross-site request forgery: a random value in the ``_xsrf`` cookie that a page must repeat
elsewhere.

A token is ``2|<mask>|<token under the mask>|<seconds>``, mask and token in hex. A fresh mask each time it is
shown keeps it safe inside compressed pages (the BREACH attack). Clients may also send the bare 16 bytes in hex.
"""

from __future__ import annotations

import binascii
import hmac
import os

COOKIE = "_xsrf"
SIZE = 16
MAX_COOKIE_LENGTH = 512  # characters
MAX_TOKEN_BYTES = 64  # bytes

MISSING = "'_xsrf' argument missing from {method}"
MALFORMED = "'_xsrf' argument has invalid format"
MISMATCH = "XSRF cookie does not match {method} argument"


def new() -> bytes:
    """Sixteen random bytes: the token itself."""
    return os.urandom(SIZE)


def show(token: bytes, now: float) -> str:
    """The token, under a new mask, as it stands in cookies, headers and forms.

    :param now: seconds since the epoch.
    """
    mask = os.urandom(4)
    return f"2|{mask.hex()}|{_masked(mask, token).hex()}|{int(now)}"


def read(text: str) -> bytes | None:
    """The token inside ``text``; None when there is none."""
    if not text or len(text) > MAX_COOKIE_LENGTH or not text.isascii():
        return None
    version, bar, rest = text.partition("|")
    if not bar:
        # Version 1 had no structure: hex, or else the text itself.
        return _short(_unhex(text) or text.encode())
    fields = rest.split("|")
    if version != "2" or len(fields) != 3 or not fields[2].isdigit():
        return None
    mask, masked = _unhex(fields[0]), _unhex(fields[1])
    if mask is None or masked is None or len(mask) != 4:
        return None
    return _short(_masked(mask, masked))


def complaint(cookie: str | None, given: str | None, method: str) -> str | None:
    """What is wrong with a request's token, in words for its sender; None when it is right.

    :param cookie: what the ``_xsrf`` cookie holds.
    :param given: what the header, the query or the form holds.
    """
    if not given:
        return MISSING.format(method=method)
    token = read(given)
    if token is None:
        return MALFORMED
    expected = read(cookie) if cookie else None
    if expected is None or not hmac.compare_digest(token, expected):
        return MISMATCH.format(method=method)
    return None


def _short(token: bytes) -> bytes | None:
    return token if 0 < len(token) <= MAX_TOKEN_BYTES else None


def _unhex(text: str) -> bytes | None:
    try:
        return binascii.a2b_hex(text)
    except (binascii.Error, ValueError):
        return None


def _masked(mask: bytes, token: bytes) -> bytes:
    return bytes(byte ^ mask[index & 3] for index, byte in enumerate(token))
