"""Cache of what the Hub has said of tokens: bounded, for a time, asked once however many wait for it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from jupyterd.hub.errors import HubAway

UNKNOWN_AGE = 60.0
"""Seconds, at most, for which a token that is not known stays so."""
AWAY = 2.0
"""Seconds after a failed try in which no other one is made: all who come in a burst get the same answer."""

T = TypeVar("T")


@dataclass
class _Entry(Generic[T]):
    value: T | None
    confirmed: float


class TokenCache(Generic[T]):
    """Remembers tokens by their hash.

    :param max_age: seconds that an answer counts; 0 for ever. It is asked for again, in the background, from half of
        them on, so that nobody waits and a Hub that restarts is not noticed.
    :param size: entries, the ones used last.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime, max_age: float, size: int) -> None:
        self._clock = clock
        self._max_age = max_age
        self._size = size
        self._entries: OrderedDict[bytes, _Entry[T]] = OrderedDict()
        self._asking: dict[bytes, list[Deferred[T | None]]] = {}
        self._away_until = 0.0
        self._why: HubAway | None = None

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, session: str, token: str, ask: Callable[[], Awaitable[T | None]]) -> T | Deferred[T | None] | None:
        """What is known of a token, or will be.

        :param session: the login at the Hub that it is shown with: after another login it is asked for again.
        :param ask: asks the Hub.
        """
        key = sha256(f"{session}\0{token}".encode("utf-8", "surrogatepass")).digest()
        entry = self._entries.get(key)
        if entry is not None and self._counts(entry):
            self._entries.move_to_end(key)
            if entry.value is not None and self._old(entry) and key not in self._asking:
                self._start(key, ask)
            return entry.value
        if key in self._asking:
            waiting: Deferred[T | None] = Deferred()
            self._asking[key].append(waiting)
            return waiting
        if self._clock.seconds() < self._away_until and self._why is not None:
            return fail(self._why)
        waiting = Deferred()
        self._start(key, ask, waiting)
        return waiting

    def forget(self, session: str, token: str) -> None:
        """Ask again next time."""
        self._entries.pop(sha256(f"{session}\0{token}".encode("utf-8", "surrogatepass")).digest(), None)

    def _counts(self, entry: _Entry[T]) -> bool:
        age = self._clock.seconds() - entry.confirmed
        if entry.value is None:
            return age < (min(UNKNOWN_AGE, self._max_age) if self._max_age else UNKNOWN_AGE)
        return not self._max_age or age < self._max_age

    def _old(self, entry: _Entry[T]) -> bool:
        age = self._clock.seconds() - entry.confirmed
        return bool(self._max_age) and age > self._max_age / 2 and self._clock.seconds() >= self._away_until

    def _start(self, key: bytes, ask: Callable[[], Awaitable[T | None]], *waiting: Deferred[T | None]) -> None:
        self._asking[key] = list(waiting)
        asking = Deferred.fromCoroutine(_awaited(ask))
        asking.addCallbacks(self._told, self._failed, callbackArgs=(key,), errbackArgs=(key,))
        asking.addErrback(lambda failure: self.log.failure("a token was not looked up", failure))

    def _told(self, value: T | None, key: bytes) -> None:
        self._away_until = 0.0
        self._entries[key] = _Entry(value, self._clock.seconds())
        self._entries.move_to_end(key)
        while len(self._entries) > self._size:
            self._entries.popitem(last=False)
        for waiting in self._asking.pop(key):
            waiting.callback(value)

    def _failed(self, failure: Failure, key: bytes) -> None:
        if isinstance(failure.value, HubAway):
            self._away_until, self._why = self._clock.seconds() + AWAY, failure.value
        waiting = self._asking.pop(key)
        if not waiting:
            self.log.info("a token could not be confirmed again: {why}", why=str(failure.value))
        for each in waiting:
            each.errback(failure)


async def _awaited(ask: Callable[[], Awaitable[T | None]]) -> T | None:
    return await ask()
