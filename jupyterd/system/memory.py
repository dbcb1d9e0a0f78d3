"""Memory that the C library keeps though nobody needs it: one arena for all threads, and free pages given back.

Each thread would get an arena of its own, of which most stays empty: there is one interpreter lock, so that threads
hardly ever allocate at the same time. Source: mallopt(3), malloc_trim(3).
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from contextlib import suppress

from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime

_M_ARENA_MAX = -8

FIRST = 0.5
"""Seconds after the start at which free pages are given back."""

INTERVAL = 10.0
"""Seconds after which they are again, where something was done meanwhile."""


def use_one_arena() -> None:
    """Have all threads allocate from one arena, unless the operator has said how many there may be."""
    if "MALLOC_ARENA_MAX" in os.environ:
        return
    with suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def trim() -> None:
    """Give free pages back to the system; takes a millisecond or two."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


class Trimming(Service):
    """Gives free pages back, a while after something was done.

    :param last_used: when something was last done, in any unit; asked for whether it has changed.
    :param trim: see :func:`trim`.
    """

    def __init__(self, clock: IReactorTime, last_used: Callable[[], float], trim: Callable[[], None] = trim) -> None:
        self._clock = clock
        self._last_used = last_used
        self._trim = trim
        self._seen: float | None = None
        self._call: IDelayedCall | None = None

    def startService(self) -> None:
        """Begin."""
        super().startService()
        self._call = self._clock.callLater(FIRST, self._look)

    def _look(self) -> None:
        self._call = self._clock.callLater(INTERVAL, self._look)
        last = self._last_used()
        if last != self._seen:
            self._seen = last
            self._trim()

    def stopService(self) -> None:
        """End."""
        super().stopService()
        if self._call is not None:
            self._call.cancel()
            self._call = None
