"""Keyed locks: what is done to a path, a session, a kernel waits for what is done to the same one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Iterable
from typing import Any, TypeVar

from twisted.internet.defer import DeferredLock

T = TypeVar("T")


class KeyedLocks:
    """A lock for each name that is in use, and none for any other."""

    def __init__(self) -> None:
        self._locks: dict[Hashable, DeferredLock] = {}

    def __contains__(self, name: Hashable) -> bool:
        """Something is being done to it just now."""
        return name in self._locks

    def __len__(self) -> int:
        return len(self._locks)

    async def alone(self, names: Iterable[Any], work: Callable[[], Awaitable[T]]) -> T:
        """Run ``work`` while nothing else has any of the names; they are taken in their order, so that nobody waits
        for each other."""
        taken: list[tuple[Hashable, DeferredLock]] = []
        try:
            for name in sorted(set(names)):
                lock = self._locks.setdefault(name, DeferredLock())
                await lock.acquire()
                taken.append((name, lock))
            return await work()
        finally:
            for name, lock in taken:
                lock.release()
                if not lock.locked and self._locks.get(name) is lock:
                    del self._locks[name]
