"""Signed requests: what the daemon says of a request that it forwards to the extension host (pure).

Only the daemon knows the key, so that the host believes nobody else who gets hold of its socket. Both sides use this
module; the host strips the headers before any extension sees the request.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

IDENTITY = b"X-Jupyterd-Identity"
MAC = b"X-Jupyterd-Mac"
OWN = (b"x-jupyterd-identity", b"x-jupyterd-mac")
"""Headers that are never taken from a client, in lower case."""

MAX_SECONDS = 300.0
"""Older or newer than this, a signature is not believed."""

_encode = json.JSONEncoder(separators=(",", ":")).encode

FIELDS = ("username", "name", "display_name", "initials", "avatar_url", "color")


class BadSignature(Exception):
    """Missing, forged, of another request, or too old."""


@dataclass(frozen=True)
class Claim:
    """What is said of a request.

    :param user: the fields of :class:`jupyterd.auth.user.User`; empty where nobody is known.
    :param by_token: the request showed the token; else a cookie.
    :param update: the number of the last update that the host must have taken before it answers.
    :param time: seconds since the epoch; whole ones, so that what is said of many requests is encoded once.
    """

    user: Mapping[str, Any] = field(default_factory=dict)
    by_token: bool = False
    update: int = 0
    time: float = 0.0


def describe(user: Any) -> dict[str, Any]:
    """The fields of a user that the host is told; of classes written elsewhere those that they have."""
    return {name: value for name in FIELDS if isinstance(value := getattr(user, name, None), str)}


def sign(key: bytes, method: bytes, target: bytes, claim: Claim) -> tuple[bytes, bytes]:
    """The values of :data:`IDENTITY` and :data:`MAC`.

    :param target: the request target as it is sent, byte for byte.
    """
    identity = _identity(tuple(claim.user.items()), claim.by_token, claim.update, claim.time)
    return identity, _mac(key, method, target, identity)


@lru_cache(maxsize=64)
def _identity(user: tuple[tuple[str, Any], ...], by_token: bool, update: int, time: float) -> bytes:
    claimed = {"user": dict(user), "by_token": by_token, "update": update, "time": time}
    return base64.urlsafe_b64encode(_encode(claimed).encode())


def verify(key: bytes, method: bytes, target: bytes, identity: bytes, mac: bytes, now: float) -> Claim:
    """What was claimed.

    :param now: seconds since the epoch.
    :raises BadSignature: not to be believed.
    """
    if not hmac.compare_digest(mac, _mac(key, method, target, identity)):
        raise BadSignature("the signature is not the daemon's")
    try:
        claim = Claim(**json.loads(base64.urlsafe_b64decode(identity)))
    except (ValueError, TypeError, binascii.Error) as error:
        raise BadSignature(f"the claim can not be read: {error}") from error
    if abs(now - claim.time) > MAX_SECONDS:
        raise BadSignature("the signature is too old")
    return claim


def _mac(key: bytes, method: bytes, target: bytes, identity: bytes) -> bytes:
    message = b"\n".join((method, target, identity))  # none of them can hold a newline
    return hmac.digest(key, message, "sha256").hex().encode()
