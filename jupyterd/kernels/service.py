"""Service of all kernels within the daemon: culled while it runs, ended when it stops."""

from __future__ import annotations

from collections.abc import Callable

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from jupyterd.kernels.culling import Culler
from jupyterd.kernels.manager import MappingKernelManager
from jupyterd.system.daemon_directory import DaemonDirectory

FIRST_SWEEP = 5.0
"""Seconds after the start at which it is looked for what killed daemons left."""

SWEEPS = 600.0
"""Seconds after which it is looked again."""


class KernelsService(Service):
    """Culls idle kernels; ends all when the daemon stops.

    :param directories: what all kernels share on disk; removed in the end.
    :param keep: whether kernels that the next daemon finds again are left to it.
    """

    log = Logger()

    def __init__(
        self, kernels: MappingKernelManager, *directories: DaemonDirectory, keep: Callable[[], bool] = lambda: False
    ) -> None:
        self._kernels = kernels
        self._keep = keep
        self._directories = directories
        self._timer: IDelayedCall | None = None
        self._culler = Culler(
            kernels,
            kernels.clock,
            lambda: kernels,
            lambda kernel_id: Deferred.fromCoroutine(kernels.shutdown(kernel_id)),
        )

    def startService(self) -> None:
        """Begin to cull."""
        super().startService()
        self._culler.startService()
        self._timer = self._kernels.clock.callLater(FIRST_SWEEP, self._sweep)

    def stopService(self) -> Deferred[None]:
        """End all kernels; the Deferred fires when the last has ended and nothing of them is left."""
        super().stopService()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._culler.stopService()
        return Deferred.fromCoroutine(self._end())

    def _sweep(self) -> None:
        """Remove what daemons that were killed have left, again and again: others may be killed while we live."""
        self._timer = None
        self._kernels.in_thread(self._sweep_all).addErrback(
            lambda failure: self.log.failure("could not look for what other daemons left", failure)
        )
        self._timer = self._kernels.clock.callLater(SWEEPS, self._sweep)

    def _sweep_all(self) -> None:
        """In a thread."""
        for directory in self._directories:
            directory.sweep()

    async def _end(self) -> None:
        if self._keep():
            await self._kernels.leave()
        await self._kernels.shutdown_all()
        for directory in self._directories:
            directory.close()
