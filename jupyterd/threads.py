"""Blocking work, off the reactor: one named thread pool for each duty.

Each duty has its own pool, so that a hung network mount can not stop kernels from starting.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, Protocol, TypeVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

P = ParamSpec("P")
T = TypeVar("T", covariant=True)


class InThread(Protocol):
    """Call ``function`` where it may block; the Deferred fires in the reactor's thread."""

    def __call__(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Deferred[T]: ...


class Threads(Service):
    """A thread pool that lives as long as its service; threads start with the first call.

    :param size: the largest number of threads, hence of calls under way at once; more calls wait in line.
    """

    def __init__(self, reactor: IReactorFromThreads, name: str, size: int) -> None:
        self._reactor = reactor
        self._pool_name = name
        self._size = size
        self._pool: ThreadPool | None = None
        self._stopped = False

    def startService(self) -> None:
        """Threads may start from now on; before it too, for what is built first."""
        super().startService()
        self._stopped = False

    def __call__(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """Run ``function`` in one of the pool's threads; here, at once, when they have ended.

        What is tidied up last may come after the end of the threads. A new pool would never end, nor the process.
        """
        if self._stopped:
            return maybeDeferred(function, *args, **kwargs)
        if self._pool is None:
            self._pool = ThreadPool(0, self._size, self._pool_name)
            self._pool.start()
        return deferToThreadPool(self._reactor, self._pool, function, *args, **kwargs)

    def stopService(self) -> None:
        """Wait for the calls under way, then end the threads."""
        super().stopService()
        self._stopped = True
        if self._pool is not None:
            self._pool.stop()
            self._pool = None
