"""Thread pools for blocking work, off the reactor: one for each duty, by name.

Each duty has its own pool, so that a hung network mount can not stop kernels from starting. Handing work over is a good
part of what a small request costs: see :class:`Threads`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import cached_property
from threading import Lock, Thread
from time import monotonic
from typing import Any, ParamSpec, Protocol, TypeVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger
from twisted.python.failure import Failure

from jupyterd.errors import Unavailable
from jupyterd.system.asyncio_bridge import caller_from_threads

P = ParamSpec("P")
T = TypeVar("T", covariant=True)

PATIENCE = 0.003
"""Seconds for which a call may hold a thread before the next one in line gets another."""

PAUSE = 0.1
"""Seconds after which it is looked again where there can be no more threads, or the system gives none."""


class InThread(Protocol):
    """Call ``function`` where it may block; the Deferred fires in the reactor's thread."""

    def __call__(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Deferred[T]: ...


class NoThread(Unavailable):
    """The system gives no thread."""


class _Worker:
    """One thread of a pool.

    :ivar since: when it took the call that it makes; None while it makes none.
    :ivar wake: held while it sleeps; released to wake it.
    """

    __slots__ = ("since", "thread", "wake")

    def __init__(self, work: Callable[[_Worker], None], name: str) -> None:
        self.thread = Thread(target=work, args=(self,), name=name, daemon=True)
        self.since: float | None = None
        self.wake = Lock()
        self.wake.acquire()


class Threads(Service):
    """A thread pool that lives as long as its service; threads start with the first calls.

    Threads that wake at the same time take the interpreter's lock from each other at every system call, which costs
    more than short work does. So one thread makes the calls; another wakes when that one has been held by a call for
    :data:`PATIENCE` while others wait, and sleeps again when one is free.

    A thread that hangs keeps neither the reactor nor the process: the reactor never waits for one, and all are daemons.

    :param size: the largest number of threads, hence of calls under way at once; more calls wait in line.
    :param seconds: the time, for any thread.
    """

    log = Logger()

    def __init__(self, reactor: Any, name: str, size: int, seconds: Callable[[], float] = monotonic) -> None:
        self._reactor = reactor
        self._seconds = seconds
        self._pool_name = name
        self._size = size
        self._lock = Lock()
        self._calls: deque[tuple[Deferred[Any], Callable[[], Any]]] = deque()
        self._awake: list[_Worker] = []
        self._asleep: list[_Worker] = []
        self._ending = False
        self._looks = False
        self._under_way = 0
        self._short = False
        self._asked = False
        self._stopped: Deferred[None] | None = None

    @cached_property
    def _call_from_thread(self) -> Callable[..., Any]:
        return caller_from_threads(self._reactor)

    def describe(self) -> dict[str, Any]:
        """The pool for people: its name, size, how many calls are under way and how many wait."""
        with self._lock:
            busy = sum(worker.since is not None for worker in self._awake)
            return {"name": self._pool_name, "size": self._size, "busy": busy, "waiting": len(self._calls)}

    def startService(self) -> None:
        """Threads may start from now on; before it too, for what is built first."""
        super().startService()
        self._stopped, self._ending = None, False

    def __call__(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """Run ``function`` in one of the pool's threads; when they have ended, in a thread for this call alone.

        :raises NoThread: by the Deferred, where the pool has none and the system gives it none; later calls try again.
        """
        done: Deferred[T] = Deferred()
        with self._lock:
            self._calls.append((done, lambda: function(*args, **kwargs)))
            woken = self._asleep.pop() if self._asleep and not self._awake else None
            if woken is not None:
                self._awake.append(woken)
            threads = bool(self._awake)
        self._under_way += 1
        if woken is not None:
            woken.wake.release()
        elif threads:
            self._look_later()
        elif not self._start_thread():
            return self._not_taken(done)
        return done

    def _not_taken(self, done: Deferred[T]) -> Deferred[T]:
        """No thread is there to make a call, which is the only one in line."""
        with self._lock:
            self._calls.clear()
        self._under_way -= 1
        return fail(NoThread("The server can not start a thread just now"))

    # -- threads that wake, in the reactor's thread

    def _look_later(self, after: float = PATIENCE) -> None:
        if not self._looks:
            self._looks = True
            self._reactor.callLater(after, self._look)

    def _look(self) -> None:
        """Wake or start a thread, where calls wait and all that are awake are held by theirs."""
        self._looks = False
        with self._lock:
            if not self._calls:
                return
            woken, full = None, False
            wanted = not self._is_one_free(None)
            if wanted and self._asleep:
                woken = self._asleep.pop()
                self._awake.append(woken)
        if woken is not None:
            woken.wake.release()
        elif wanted and not (full := len(self._awake) >= self._size):
            full = not self._start_thread()
        self._look_later(PAUSE if full else PATIENCE)

    def _is_one_free(self, but: _Worker | None) -> bool:
        """Whether a thread that is awake makes no call, or has just begun one. With the lock."""
        late = self._seconds() - PATIENCE
        return any(each is not but and (each.since is None or each.since > late) for each in self._awake)

    def _start_thread(self) -> bool:
        """Whether the system gave one; with fewer than wanted, calls wait in line."""
        number = len(self._awake) + len(self._asleep)
        worker = _Worker(self._work, f"{self._pool_name}-{number}")
        with self._lock:
            self._awake.append(worker)
        try:
            worker.thread.start()
        except (RuntimeError, MemoryError) as error:  # the limit of processes, of a container's pids, of memory
            with self._lock:
                self._awake.remove(worker)
            if not self._short:
                self.log.error("no thread for {pool}: {error}", pool=self._pool_name, error=str(error))
            self._short = True
            return False
        self._short = False
        return True

    def works(self) -> bool:
        """Whether a call finds a thread; one is tried where there was none."""
        return not self._short or bool(self._awake or self._asleep) or self._start_thread()

    def answers(self) -> bool:
        """Whether the pool works, for a watchdog that asks again and again.

        It does when nobody uses it, when the call that was put in line at the last question has come back, and when
        all its threads have a call: a pool that is busy with long work is not dead. It does not when a thread has
        ended, when the system gives it none, or when a thread is free and that call has not come back.
        """
        threads = [*self._awake, *self._asleep]
        if self._stopped is not None or not (threads or self._under_way):
            return True
        if not threads or not all(worker.thread.is_alive() for worker in threads):
            return False
        if self._asked:
            return self._under_way > len(threads)
        self._asked = True
        self(lambda: None).addBoth(self._answered)
        return True

    def _answered(self, _: Any) -> None:
        self._asked = False

    # -- in a thread

    def _work(self, worker: _Worker) -> None:
        """A thread's life."""
        while (waiting := self._take(worker)) is not None:
            done, call = waiting
            result: Any
            try:
                result = call()
            except BaseException:  # noqa: BLE001 - it belongs to who waits
                result = Failure()
            self._call_from_thread(self._finish, done, result)
            del waiting, done, call, result  # nothing is held while nothing is done

    def _take(self, worker: _Worker) -> tuple[Deferred[Any], Callable[[], Any]] | None:
        """The next call; sleeps while there is none, or another thread is free to make it. None at the end."""
        while True:
            with self._lock:
                worker.since = None
                if self._calls and (self._ending or not self._is_one_free(worker)):
                    worker.since = self._seconds()
                    return self._calls.popleft()
                self._awake.remove(worker)
                if self._ending:
                    return None
                self._asleep.append(worker)
            worker.wake.acquire()

    # -- the end

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
            with self._lock:
                self._ending = True
                woken, self._asleep = self._asleep, []
                self._awake += woken
            for worker in woken:
                worker.wake.release()
        self._tell_if_done()
        return self._stopped

    def _tell_if_done(self) -> None:
        if self._stopped is not None and not self._under_way and not self._stopped.called:
            self._stopped.callback(None)
