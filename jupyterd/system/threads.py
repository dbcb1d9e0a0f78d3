"""Thread pools for blocking work, off the reactor: one for each duty, by name.

Each duty has its own pool, so that a hung network mount can not stop kernels from starting. Handing work over is a good
part of what a small request costs: a pool is one queue without conditions around it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from queue import SimpleQueue
from threading import Thread
from typing import Any, ParamSpec, Protocol, TypeVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger
from twisted.python.failure import Failure

from jupyterd.errors import Unavailable
from jupyterd.system.asyncio_bridge import caller_from_threads

P = ParamSpec("P")
T = TypeVar("T", covariant=True)


class InThread(Protocol):
    """Call ``function`` where it may block; the Deferred fires in the reactor's thread."""

    def __call__(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Deferred[T]: ...


class NoThread(Unavailable):
    """The system gives no thread."""


class Threads(Service):
    """A thread pool that lives as long as its service; threads start with the first calls.

    A thread that hangs keeps neither the reactor nor the process: the reactor never waits for one, and all are daemons.

    :param size: the largest number of threads, hence of calls under way at once; more calls wait in line.
    """

    log = Logger()

    def __init__(self, reactor: IReactorFromThreads, name: str, size: int) -> None:
        self._reactor = reactor
        self._pool_name = name
        self._size = size
        self._calls: SimpleQueue[tuple[Deferred[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._threads: list[Thread] = []
        self._under_way = 0
        self._short = False
        self._asked = False
        self._stopped: Deferred[None] | None = None

    @cached_property
    def _call_from_thread(self) -> Callable[..., Any]:
        return caller_from_threads(self._reactor)

    def describe(self) -> dict[str, Any]:
        """The pool for people: its name, size, how many calls are under way and how many wait."""
        busy = min(self._under_way, self._size)
        return {"name": self._pool_name, "size": self._size, "busy": busy, "waiting": self._under_way - busy}

    def startService(self) -> None:
        """Threads may start from now on; before it too, for what is built first."""
        super().startService()
        self._stopped = None

    def __call__(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """Run ``function`` in one of the pool's threads; when they have ended, in a thread for this call alone.

        :raises NoThread: by the Deferred, where the pool has none and the system gives it none; later calls try again.
        """
        if self._stopped is not None or len(self._threads) < min(self._under_way + 1, self._size):
            started = self._start_thread()
            if not started and (self._stopped is not None or not self._threads):
                return fail(NoThread("The server can not start a thread just now"))
        done: Deferred[T] = Deferred()
        self._under_way += 1
        self._calls.put((done, lambda: function(*args, **kwargs)))
        if self._stopped is not None:
            self._calls.put(None)
        return done

    def _start_thread(self) -> bool:
        """Whether the system gave one; with fewer than wanted, calls wait in line."""
        thread = Thread(target=self._work, name=f"{self._pool_name}-{len(self._threads)}", daemon=True)
        try:
            thread.start()
        except (RuntimeError, MemoryError) as error:  # the limit of processes, of a container's pids, of memory
            if not self._short:
                self.log.error("no thread for {pool}: {error}", pool=self._pool_name, error=str(error))
            self._short = True
            return False
        self._short = False
        self._threads.append(thread)
        return True

    def works(self) -> bool:
        """Whether a call finds a thread; one is tried where there was none."""
        return not self._short or bool(self._threads) or self._start_thread()

    def answers(self) -> bool:
        """Whether the pool works, for a watchdog that asks again and again.

        It does when nobody uses it, when the call that was put in line at the last question has come back, and when
        all its threads have a call: a pool that is busy with long work is not dead. It does not when a thread has
        ended, when the system gives it none, or when a thread is free and that call has not come back.
        """
        if self._stopped is not None or not (self._threads or self._under_way):
            return True
        if not self._threads or not all(thread.is_alive() for thread in self._threads):
            return False
        if self._asked:
            return self._under_way > len(self._threads)
        self._asked = True
        self(lambda: None).addBoth(self._answered)
        return True

    def _answered(self, _: Any) -> None:
        self._asked = False

    def _work(self) -> None:
        """A thread's life."""
        while (waiting := self._calls.get()) is not None:
            done, call = waiting
            result: Any
            try:
                result = call()
            except BaseException:  # noqa: BLE001 - it belongs to who waits
                result = Failure()
            self._call_from_thread(self._finish, done, result)
            del waiting, done, call, result  # nothing is held while nothing is done

    def _finish(self, done: Deferred[Any], result: Any) -> None:
        self._under_way -= 1
        done.callback(result)
        self._tell_if_done()

    def stopService(self) -> Deferred[None]:
        """End the threads after the calls under way and those in line; the Deferred fires when no call is left.

        It never fires where a call hangs: who waits has to know for how long.
        """
        super().stopService()
        if self._stopped is None:
            self._stopped = Deferred()
            threads, self._threads = self._threads, []
            for _ in threads:
                self._calls.put(None)
        self._tell_if_done()
        return self._stopped

    def _tell_if_done(self) -> None:
        if self._stopped is not None and not self._under_way and not self._stopped.called:
            self._stopped.callback(None)
