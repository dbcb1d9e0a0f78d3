"""Stages of start and stop: which services there are before which others, whenever they are added."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from twisted.application.service import IService, MultiService, Service
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.logger import Logger


class Stage(IntEnum):
    """When a service starts; it stops in the opposite order."""

    THREADS = 0
    """Thread pools: all others may use them until they have stopped."""
    BACKENDS = 1
    """What domains reach others by: a gateway, a child process that several share."""
    DOMAINS = 2
    """Kernels, contents, terminals. None waits for another one of them."""
    RECORDS = 3
    """What brings together what domains have: it finishes while they are still there."""
    PORTS = 4
    """What lets clients in: it starts when all is there, and stops before anything goes."""


class _Row(MultiService):
    """The services of one stage. They stop side by side, and one that fails is no hindrance to the others."""

    log = Logger()

    def stopService(self) -> Deferred[Any]:
        """Stop all; the Deferred fires when the last has stopped, and never fails."""
        Service.stopService(self)
        return DeferredList([self._stop(service) for service in reversed(list(self))])

    def _stop(self, service: IService) -> Deferred[Any]:
        stopped = maybeDeferred(service.stopService)
        return stopped.addErrback(
            lambda failure: self.log.failure("{service} did not stop cleanly", failure, service=service)
        )


class Stages(MultiService):
    """All services of a daemon. They start stage by stage, and stop so in the opposite order, each stage at once.

    What a service still does while it stops may use those of earlier stages.
    """

    def __init__(self) -> None:
        super().__init__()
        self._rows = {stage: _Row() for stage in Stage}
        for row in self._rows.values():
            row.setServiceParent(self)

    def add(self, stage: Stage, service: IService) -> None:
        """Take a service; it is started at once if its stage has been."""
        service.setServiceParent(self._rows[stage])

    def of(self, stage: Stage) -> list[IService]:
        """The services of a stage, in the order in which they were added."""
        return list(self._rows[stage])

    def stopService(self) -> Deferred[None]:
        """Stop all; the Deferred fires when the last has stopped."""
        Service.stopService(self)
        return Deferred.fromCoroutine(self._stop_each())

    async def _stop_each(self) -> None:
        for stage in reversed(Stage):
            await self._rows[stage].stopService()
