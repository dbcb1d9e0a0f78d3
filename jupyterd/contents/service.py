"""The contents of this server, for resources: each operation off the reactor, saves of one path one after the other."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from threading import Thread
from typing import Any, TypeVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredLock

from jupyterd.contents.either import at_once
from jupyterd.contents.paths import clean
from jupyterd.threads import InThread

T = TypeVar("T")
Operation = Callable[..., Coroutine[Any, Any, T]]


class Contents(Service):
    """Runs operations (see :mod:`jupyterd.contents.operations`) on a contents manager.

    :param manager: a :class:`ContentsManager`, or a class written against the reference's interface.
    :param in_thread: where synchronous managers work.
    """

    def __init__(self, reactor: Any, manager: Any, in_thread: InThread) -> None:
        self.manager = manager
        self._in_thread = in_thread
        self._asyncio = AsyncioThread(reactor) if is_asynchronous(manager) else None
        self._locks: dict[str, DeferredLock] = {}

    def run(self, operation: Operation[T], *args: Any) -> Deferred[T]:
        """Run an operation where it may block; the Deferred fires in the reactor's thread."""
        if self._asyncio is not None:
            return self._asyncio.run(operation(self.manager, *args))
        return self._in_thread(lambda: at_once(operation(self.manager, *args)))

    async def alone(self, paths: list[str], work: Callable[[], Awaitable[T]]) -> T:
        """Run ``work`` while nothing else changes any of the paths."""
        names = sorted({clean(path) for path in paths})
        taken: list[tuple[str, DeferredLock]] = []
        try:
            for name in names:
                lock = self._locks.setdefault(name, DeferredLock())
                taken.append((name, lock))
                await lock.acquire()
            return await work()
        finally:
            for name, lock in taken:
                self._release(name, lock)

    def _release(self, name: str, lock: DeferredLock) -> None:
        lock.release()
        if not lock.locked and self._locks.get(name) is lock:
            del self._locks[name]

    def stopService(self) -> None:
        """Drop unfinished uploads; end the asyncio thread."""
        super().stopService()
        uploads = getattr(self.manager, "uploads", None)
        if uploads is not None and hasattr(uploads, "close"):
            uploads.close()
        if self._asyncio is not None:
            self._asyncio.stop()


PUBLIC = (
    "get",
    "save",
    "delete_file",
    "rename_file",
    "file_exists",
    "dir_exists",
    "is_hidden",
    "new",
    "copy",
    "update",
)


def is_asynchronous(manager: Any) -> bool:
    """The manager has coroutines of its own; those of the built-in classes never wait when called in a thread."""
    for name in PUBLIC:
        method = getattr(type(manager), name, None)
        if inspect.iscoroutinefunction(method) and not method.__module__.startswith("jupyterd."):
            return True
    return False


class AsyncioThread:
    """An asyncio loop in a thread of its own: what an asynchronous manager blocks there stops nobody else.

    The thread starts with the first coroutine.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None

    def run(self, coroutine: Coroutine[Any, Any, T]) -> Deferred[T]:
        """The coroutine's result, in the reactor's thread."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = Thread(target=self._loop.run_forever, name="contents-asyncio", daemon=True)
            self._thread.start()
        done: Deferred[T] = Deferred()
        asyncio.run_coroutine_threadsafe(self._finish(coroutine, done), self._loop)
        return done

    async def _finish(self, coroutine: Coroutine[Any, Any, T], done: Deferred[T]) -> None:
        try:
            result = await coroutine
        except BaseException as error:  # noqa: BLE001 - it belongs to who waits
            self._reactor.callFromThread(done.errback, error)
        else:
            self._reactor.callFromThread(done.callback, result)

    def stop(self) -> None:
        """End the loop."""
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(timeout=5)
            self._loop = None
