"""Signatures of kernel messages: HMAC over the first four parts, and no message twice.

Source: jupyter_client documentation, "Messaging in Jupyter", wire protocol; RFC 2104.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from hmac import compare_digest
from typing import Any

from jupyterd.errors import Invalid
from jupyterd.kernels.messages.websocket_codec import Parts

HISTORY = 65536
"""Signatures remembered, as ``Session.digest_history_size`` has it by default."""


class UnknownScheme(Invalid):
    """A signature scheme that this Python does not know."""


class Signer:
    """Signs and verifies for one kernel's key.

    The two hashes of HMAC are begun once with the key; a message costs two copies of them.

    :param key: the kernel's key; empty means that messages are not signed.
    :param scheme: ``hmac-`` and the name of a hash in :mod:`hashlib`.
    :param history: how many signatures are remembered, so that no message is taken twice; 0 remembers none.
    :raises UnknownScheme: the scheme is none.
    """

    def __init__(self, key: bytes, scheme: str = "hmac-sha256", history: int = HISTORY) -> None:
        self.signed = bool(key)
        self._half = history // 2
        self._recent: set[int] = set()
        self._older: set[int] = set()
        self._inner, self._outer = _keyed(key, scheme)

    def sign(self, parts: Parts) -> bytes:
        """The signature of a message's first four parts, in hexadecimal; empty without a key."""
        if not self.signed:
            return b""
        inner = self._inner.copy()
        for part in parts[:4]:
            inner.update(part)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return bytes(outer.hexdigest(), "ascii")

    def refusal(self, message: Parts) -> str | None:
        """Why ``message`` (its signature, then its parts) is not taken, or None.

        A message that is taken is remembered, and refused when it comes again.
        """
        if not self.signed:
            return None
        inner = self._inner.copy()
        if len(message[4]) < 65536:
            inner.update(b"".join(message[1:5]))
        else:
            for part in message[1:5]:
                inner.update(part)
        outer = self._outer.copy()
        outer.update(inner.digest())
        signature = message[0]
        if not compare_digest(outer.hexdigest().encode(), signature):
            return "signature" if signature else "no signature"
        if self._half:
            seen = hash(bytes(signature))
            if seen in self._recent or seen in self._older:
                return "replay"
            self._recent.add(seen)
            if len(self._recent) > self._half:
                self._older = self._recent
                self._recent = set()
        return None


def _keyed(key: bytes, scheme: str) -> tuple[Any, Any]:
    protocol, _, name = scheme.partition("-")
    make: Callable[[bytes], Any] | None = getattr(hashlib, name, None) if name in hashlib.algorithms_available else None
    if protocol != "hmac" or make is None or not hasattr(make(b""), "block_size") or make(b"").digest_size == 0:
        raise UnknownScheme(f"no such signature scheme: {scheme!r}")
    block = make(b"").block_size
    if len(key) > block:
        key = make(key).digest()
    key = key.ljust(block, b"\0")
    return make(bytes(byte ^ 0x36 for byte in key)), make(bytes(byte ^ 0x5C for byte in key))
