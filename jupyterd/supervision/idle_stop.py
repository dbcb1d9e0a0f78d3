"""Idle stop: a server that nobody uses stops itself, where the operator wants that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

from jupyterd.system.periodic import Periodic

LOOK_SECONDS = 60.0
"""How often it is looked at: the server may live that much longer than it was told."""


class IdleStop(Periodic):
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
        super().__init__(clock)
        self._timeout = timeout
        self._busy = busy
        self._last_used = last_used
        self._stop = stop

    def interval(self) -> float:
        """A minute, where there is a time after which it ends."""
        if self._timeout <= 0:
            return 0.0
        self.log.info("Will shut down after {seconds} seconds with no kernels.", seconds=self._timeout)
        return LOOK_SECONDS

    def turn(self) -> None:
        """Stop the server, if nobody has used it for so long."""
        unused = self._clock.seconds() - self._last_used()
        if self._busy() or unused <= self._timeout:
            return
        self.no_more()
        self.log.info("No kernels for {seconds} seconds; shutting down.", seconds=int(unused))
        self._stop()
