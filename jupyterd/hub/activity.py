"""Telling the Hub when this server was last used, which its culler goes by."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from jupyterd.errors import JupyterdError

JITTER = 0.1
"""Of the interval, either way: servers that the Hub has started together do not all tell it at the same time."""
FIRST_WAIT = 1.0
MAX_WAIT = 15.0
GIVE_UP = 60.0
"""Seconds after which a time is not told any more: the next one is."""


class ActivityReports(Service):
    """Tells the Hub at intervals, where there is something new to tell.

    :param post: sends the JSON.
    :param last: when the server was last used, in the clock's seconds.
    :param text: a time of the clock, in ISO 8601.
    :param interval: seconds.
    :param server_name: which of the user's servers this is; empty for the one without a name.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        post: Callable[[Mapping[str, Any]], Awaitable[None]],
        last: Callable[[], float],
        text: Callable[[float], str],
        interval: float,
        server_name: str,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._clock = clock
        self._post = post
        self._last = last
        self._text = text
        self._interval = interval
        self._name = server_name
        self._chance = chance
        self._told = -1.0
        self._running: Deferred[None] | None = None

    def startService(self) -> None:
        """Begin, with a report at once."""
        super().startService()
        self.log.info("Updating Hub with activity every {seconds} seconds", seconds=self._interval)
        self._running = Deferred.fromCoroutine(self._run())
        self._running.addErrback(self._ended)

    def stopService(self) -> Deferred[None] | None:
        """Stop; what is under way is given up."""
        super().stopService()
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
        return None

    def _ended(self, failure: Any) -> None:
        if not failure.check(CancelledError):
            self.log.failure("activity is not told to the Hub any more", failure)

    async def _run(self) -> None:
        while True:
            await self._report()
            await deferLater(self._clock, self._interval * (1 + JITTER * (2 * self._chance() - 1)))

    async def _report(self) -> None:
        last = self._last()
        if last <= self._told:
            return  # a time that the Hub knows already
        text = self._text(last)
        body = {"servers": {self._name: {"last_activity": text}}, "last_activity": text}
        wait, began = FIRST_WAIT, self._clock.seconds()
        while True:
            try:
                await self._post(body)
            except JupyterdError as error:
                self.log.error("Error notifying Hub of activity: {why}", why=error.message)
            else:
                self._told = last
                return
            if self._clock.seconds() - began >= GIVE_UP:
                return
            # Between half and all of it: of many servers that have lost the same Hub not all come back at once.
            await deferLater(self._clock, wait * (0.5 + 0.5 * self._chance()))
            wait = min(wait * 2, MAX_WAIT)
