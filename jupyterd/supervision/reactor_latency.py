"""Latency of the reactor: its turns measured, and a watchdog thread that logs the stack of what stalls it.

A turn is what the event loop does between two waits for events. Its length is measured where the loop waits, so that
an idle reactor is not woken; the thread looks a few times a second.
"""

from __future__ import annotations

import sys
import threading
import traceback
from bisect import bisect_left
from collections.abc import Callable
from time import monotonic
from typing import Any

from twisted.application.service import Service
from twisted.logger import Logger

BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds; upper bounds of the histogram of turns."""
TOLD_EVERY = 60.0
"""Seconds between two stacks in the log; stalls in between are counted."""
DEEPEST = 40
"""Frames of a stack that are logged, the innermost ones."""


class Turns:
    """Turns of the event loop: how many, how long, since when the present one runs.

    :ivar since: monotonic seconds at which the present turn began; 0.0 while the loop waits.
    :ivar counts: turns by :data:`BUCKETS`, the last for all that were longer.
    :ivar total: seconds of all turns.
    :ivar worst: seconds of the longest.
    """

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self.since = 0.0
        self.counts = [0] * (len(BUCKETS) + 1)
        self.total = 0.0
        self.worst = 0.0
        self._now = now

    def watch(self, select: Callable[..., Any]) -> Callable[..., Any]:
        """``select`` of an event loop's selector, with the turns between its calls measured."""
        now, counts = self._now, self.counts

        def timed(timeout: float | None = None) -> Any:
            """The selector's own, which ends a turn and begins the next."""
            since = self.since
            if since:
                took = now() - since
                self.total += took
                if took < BUCKETS[0]:
                    counts[0] += 1
                else:
                    counts[bisect_left(BUCKETS, took)] += 1
                    self.worst = max(self.worst, took)
            self.since = 0.0
            try:
                return select(timeout)
            finally:
                self.since = now()

        return timed


class StallWatchdog(Service):
    """Logs what holds the reactor for longer than ``seconds``, once a minute at most, and counts it.

    :param turns: of the reactor's loop.
    :param selector: the loop's selector, whose ``select`` is measured from the start on.
    :param seconds: what counts as a stall; 0 switches the thread off, turns are measured all the same.
    :ivar stalls: how many there were.
    """

    log = Logger()

    def __init__(self, turns: Turns, selector: Any, seconds: float) -> None:
        self.turns = turns
        self.stalls = 0
        self._selector = selector
        self._seconds = seconds
        self._over = threading.Event()
        self._held_by = 0
        self._last_seen = 0.0
        self._last_told = -TOLD_EVERY

    def startService(self) -> None:
        """Measure turns, and begin to look."""
        super().startService()
        if self._selector is not None and "select" not in vars(self._selector):
            self._selector.select = self.turns.watch(self._selector.select)
        self._held_by = threading.get_ident()
        if self._seconds > 0:
            self._over.clear()
            threading.Thread(target=self._look_on, name="stalls", daemon=True).start()

    def stopService(self) -> None:
        """Look no longer. The thread ends by itself, nobody waits for it."""
        super().stopService()
        self._over.set()

    def _look_on(self) -> None:
        while not self._over.wait(self._seconds / 2):
            self.look(monotonic())

    def look(self, now: float) -> None:
        """Look once, at ``now`` (monotonic seconds): count a turn that is too long, and tell its stack."""
        since = self.turns.since
        if not since or since == self._last_seen or now - since < self._seconds:
            return
        self._last_seen = since
        self.stalls += 1
        if now - self._last_told < TOLD_EVERY:
            return
        self._last_told = now
        frame = sys._current_frames().get(self._held_by)
        stack = "".join(traceback.format_stack(frame)[-DEEPEST:]) if frame is not None else "unknown\n"
        self.log.warn(
            "the reactor is held for {seconds:.2f} s (stall {number}) by:\n{stack}",
            seconds=now - since, number=self.stalls, stack=stack.rstrip(),
        )  # fmt: skip
