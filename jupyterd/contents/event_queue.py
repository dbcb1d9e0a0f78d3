"""Event queue, from the threads in which files are worked on to the bus, which is the reactor's."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from twisted.internet.interfaces import IReactorFromThreads

Emit = Callable[[dict[str, Any]], None]


class _Here(threading.local):
    holding = False


class EventQueue:
    """Takes events in any thread. Those of an operation wait for its result: one wake-up of the reactor carries both.

    :param emit: takes them in the reactor's thread.
    """

    def __init__(self, reactor: IReactorFromThreads, emit: Emit) -> None:
        self._reactor = reactor
        self._emit = emit
        self._waiting: deque[dict[str, Any]] = deque()
        self._here = _Here()

    def __call__(self, data: dict[str, Any]) -> None:
        """Take an event."""
        self._waiting.append(data)
        if not self._here.holding:
            self._reactor.callFromThread(self.deliver)

    @contextmanager
    def held(self) -> Iterator[None]:
        """What this thread emits meanwhile waits for :meth:`deliver`."""
        self._here.holding = True
        try:
            yield
        finally:
            self._here.holding = False

    def deliver(self) -> None:
        """Emit what waits. Called in the reactor's thread."""
        while self._waiting:
            self._emit(self._waiting.popleft())
