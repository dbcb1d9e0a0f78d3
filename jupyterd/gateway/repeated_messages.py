"""Repeated messages: what a gateway says again after a lost connection, although it had arrived."""

from __future__ import annotations

from jupyterd.kernels.messages.websocket_codec import Bytes

REMEMBERED = 65536
"""Messages that are known again; no gateway says more twice. At most twice as many are remembered."""


class RepeatedMessages:
    """Those of one kernel: a header that came over an earlier connection is a repeat."""

    def __init__(self) -> None:
        self._earlier: set[int] = set()
        self._recent: set[int] = set()
        self._older: set[int] = set()

    def connecting(self) -> None:
        """What came until now came over an earlier connection."""
        fresh = self._recent | self._older
        self._earlier = fresh if len(fresh) >= REMEMBERED else fresh | self._earlier
        if len(self._earlier) > 2 * REMEMBERED:
            self._earlier = fresh
        self._recent, self._older = set(), set()

    def is_one(self, header: Bytes) -> bool:
        """Whether the message of ``header`` has come before; it is remembered by that."""
        key = hash(bytes(header))
        if key in self._earlier:
            return True
        self._recent.add(key)
        if len(self._recent) >= REMEMBERED:
            self._older, self._recent = self._recent, set()
        return False
