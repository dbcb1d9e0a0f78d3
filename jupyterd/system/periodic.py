"""Periodic services: what is done every few seconds while the daemon runs."""

from __future__ import annotations

from typing import Any

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger


class Periodic(Service):
    """Calls :meth:`turn` every :meth:`interval` seconds from its start to its stop.

    A turn that gives a Deferred is waited for before the next. One that fails is the last, and told to the log.
    """

    first_at_once = False
    """The first turn is at the start, and not one interval later."""
    log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._loop = LoopingCall(self.turn)
        self._loop.clock = clock

    def interval(self) -> float:
        """Seconds between turns; 0 or less: there are none. Asked for at the start."""
        raise NotImplementedError

    def turn(self) -> Any:
        """What is done each time."""
        raise NotImplementedError

    def startService(self) -> None:
        """Begin."""
        super().startService()
        seconds = self.interval()
        if seconds > 0:
            self._loop.start(seconds, now=self.first_at_once).addErrback(
                lambda failure: self.log.failure("{service} has failed and is not tried again", failure, service=self)
            )

    def stopService(self) -> Any:
        """End; a turn under way goes on."""
        super().stopService()
        self.no_more()

    def no_more(self) -> None:
        """Make the turn under way, or the last one, the last."""
        if self._loop.running:
            self._loop.stop()
