"""Progress of what takes a while: conversions, uploads, copies, starts. Told by events, and kept for the dashboard."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from time import monotonic
from typing import Any

SCHEMA = "https://events.jupyter.org/jupyterd/progress/v1"

QUIET_SECONDS = 1.0
"""What is done sooner is not told."""

TELL_SECONDS = 0.5
"""Between two events about one task."""

MAX_TASKS = 100
"""At once; what more there is is not told."""

Emit = Callable[[str, dict[str, Any]], None]


class Progress:
    """All that takes a while in one daemon.

    :param reactor: tells the time, and is where events are told.
    :param emit: the event bus.
    """

    def __init__(self, reactor: Any, emit: Emit) -> None:
        self.reactor = reactor
        self.emit = emit
        self._numbers = count(1)
        self._tasks: dict[int, Task] = {}

    def begin(self, kind: str, name: str, total: int | None = None, unit: str = "") -> Task:
        """Something begins. Called in the reactor's thread.

        :param kind: ``convert``, ``upload``, ``copy`` or ``start``.
        :param name: of what, for people: a path.
        :param total: how much there is to do; None where that is not known.
        :param unit: what is counted: ``bytes``, ``files``; empty where nothing is.
        """
        task = Task(self, next(self._numbers), kind, name, total, unit)
        if len(self._tasks) < MAX_TASKS:
            self._tasks[task.number] = task
            task.show_later()
        return task

    def begin_in_thread(self, kind: str, name: str, total: int | None = None, unit: str = "") -> ThreadTask:
        """The same where a thread does it; what is told of it comes to the reactor's thread."""
        return ThreadTask(self, kind, name, total, unit)

    def told(self, kind: str, name: str, seconds: float) -> None:
        """Tell of something that is over, and could not be told of before."""
        task = Task(self, next(self._numbers), kind, name, None, "")
        self.emit(SCHEMA, {**task.data("done"), "seconds": round(seconds, 3)})

    def forget(self, task: Task) -> None:
        """It is over."""
        self._tasks.pop(task.number, None)

    def describe(self) -> list[dict[str, Any]]:
        """What is under way and has been for long enough to be told."""
        return [task.data("running") for task in self._tasks.values() if task.shown]


class Task:
    """One thing. See :meth:`Progress.begin`.

    :ivar shown: it has taken so long that it is told.
    """

    def __init__(self, progress: Progress, number: int, kind: str, name: str, total: int | None, unit: str) -> None:
        self._progress = progress
        self.number, self._kind, self._name, self._total, self._unit = number, kind, name, total, unit
        self._done = 0
        self._began = self._told_at = progress.reactor.seconds()
        self._timer: Any = None
        self._over = self.shown = False

    def show_later(self) -> None:
        """Tell of it, if it is not over soon."""
        self._timer = self._progress.reactor.callLater(QUIET_SECONDS, self._show)

    def _show(self) -> None:
        self._timer, self.shown = None, True
        self._tell("running")

    def advance(self, done: int = 1) -> None:
        """So much more is done."""
        self._done += done
        if self.shown and not self._over and self._progress.reactor.seconds() - self._told_at >= TELL_SECONDS:
            self._tell("running")

    def end(self, failed: bool = False) -> None:
        """It is over; harmless a second time."""
        if self._over:
            return
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._progress.forget(self)
        if self.shown:
            self._tell("failed" if failed else "done")

    def data(self, state: str) -> dict[str, Any]:
        """The event about it."""
        return {
            "id": str(self.number),
            "kind": self._kind,
            "name": self._name,
            "state": state,
            "done": self._done,
            "total": self._total,
            "unit": self._unit,
            "seconds": round(self._progress.reactor.seconds() - self._began, 3),
        }

    def _tell(self, state: str) -> None:
        self._told_at = self._progress.reactor.seconds()
        self._progress.emit(SCHEMA, self.data(state))


class ThreadTask:
    """A task that a thread does: counts there, and hands the counts on a few times a second."""

    def __init__(self, progress: Progress, kind: str, name: str, total: int | None, unit: str) -> None:
        self._call = progress.reactor.callFromThread
        self._task: Task | None = None
        self._gathered = 0
        self._handed_at = monotonic()

        def begin() -> None:
            self._task = progress.begin(kind, name, total, unit)

        self._call(begin)

    def advance(self, done: int = 1) -> None:
        """So much more is done. Called in its thread."""
        self._gathered += done
        if (now := monotonic()) - self._handed_at >= TELL_SECONDS / 2:
            gathered, self._gathered, self._handed_at = self._gathered, 0, now
            self._call(self._advance, gathered)

    def end(self, failed: bool = False) -> None:
        """It is over. Called in its thread."""
        self._call(self._advance, self._gathered, True, failed)

    def _advance(self, done: int, over: bool = False, failed: bool = False) -> None:
        assert self._task is not None  # the reactor makes calls in their order
        self._task.advance(done)
        if over:
            self._task.end(failed)
