"""A server that nobody uses stops itself, where the operator wants that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

LOOK_SECONDS = 60.0
"""How often it is looked at: the server may live that much longer than it was told."""


class IdleStop(Service):
    """Stops the server after a time without kernels, terminals and activity (``shutdown_no_activity_timeout``).

    :param clock: the reactor.
    :param timeout: seconds; 0 or less: never.
    :param busy: how much there is that must not be stopped: kernels and terminals.
    :param last_used: when anything was used, in the clock's seconds.
    :param stop: called once.
    """

    log = Logger()

    def __init__(
        self,
        clock: Any,
        timeout: float,
        *,
        busy: Callable[[], int],
        last_used: Callable[[], float],
        stop: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._timeout = timeout
        self._busy = busy
        self._last_used = last_used
        self._stop = stop
        self._loop = LoopingCall(self._look)
        self._loop.clock = clock

    def startService(self) -> None:
        """Begin to look."""
        super().startService()
        if self._timeout > 0:
            self.log.info("Will shut down after {seconds} seconds with no kernels.", seconds=self._timeout)
            self._loop.start(LOOK_SECONDS, now=False)

    def stopService(self) -> None:
        """Look no more."""
        super().stopService()
        if self._loop.running:
            self._loop.stop()

    def _look(self) -> None:
        unused = self._clock.seconds() - self._last_used()
        if self._busy() or unused <= self._timeout:
            return
        self._loop.stop()
        self.log.info("No kernels for {seconds} seconds; shutting down.", seconds=int(unused))
        self._stop()
