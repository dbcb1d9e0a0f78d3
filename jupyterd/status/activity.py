"""Activity: when the server was last used, and when it started."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from jupyterd.system.timestamps import isoformat
from jupyterd.web.server.request import Request

# Asking about activity is none: a monitor must not keep an idle server alive.
QUIET = frozenset({("api",), ("api", "status"), ("api", "resolvePath"), ("api", "security", "csp-report")})
MAX_ASKED = 256
"""Paths that are remembered, the ones asked for last."""


class Activity:
    """Counts requests to the API as use.

    :param clock: the reactor.
    :param others: tell when other parts were last used, in the clock's seconds; None for never.
    """

    def __init__(self, clock: Any, others: Sequence[Callable[[], float | None]] = ()) -> None:
        self._clock = clock
        self._others = list(others)
        self.started: float = clock.seconds()
        self._used: float = self.started
        self._worked: float = self.started
        self._asked: OrderedDict[bytes, None] = OrderedDict()
        self._offset = time.time() - self.started

    def also(self, when: Callable[[], float | None]) -> None:
        """Count what another part tells as use; see ``others``."""
        self._others.append(when)

    def request(self, request: Request) -> None:
        """A request was answered."""
        segments = request.__dict__.get("segments") or ()
        if not _is_api(segments) or tuple(segments) in QUIET or (request.args and b"no_track_activity" in request.args):
            return
        if request.code not in (401, 403, 404):
            self._used = self._clock.seconds()
            if not self._polls(request):
                self._worked = self._used

    def _polls(self, request: Request) -> bool:
        """Whether a page asks again what it has asked before: it does so while nobody is there to look at it."""
        if request.method not in (b"GET", b"HEAD"):
            return False
        known = request.path in self._asked
        self._asked[request.path] = None
        self._asked.move_to_end(request.path)
        if len(self._asked) > MAX_ASKED:
            self._asked.popitem(last=False)
        return known

    def last_work(self) -> float:
        """When somebody last did something with it, in the clock's seconds; a page that is left open does nothing."""
        return max([self._worked, *(when() or 0.0 for when in self._others)])

    def last(self) -> float:
        """When anything was last used, in the clock's seconds."""
        return max([self._used, *(when() or 0.0 for when in self._others)])

    def text(self, seconds: float) -> str:
        """A time of the clock in ISO 8601, in UTC with microseconds and Z."""
        return isoformat(self.wall(seconds), "microseconds")

    def wall(self, seconds: float) -> float:
        """A time of the clock in seconds since 1970."""
        offset: float = time.time() - self._clock.seconds()
        if abs(offset - self._offset) > 1.0:  # the machine slept, or its clock was set; else equal times stay equal
            self._offset = offset
        wall: float = seconds + self._offset
        return wall


def _is_api(segments: Sequence[str]) -> bool:
    return bool(segments) and (segments[0] == "api" or list(segments[:2]) == ["lab", "api"])
