"""The life of all kernels within the daemon's own: culled while it runs, ended when it stops."""

from __future__ import annotations

from collections.abc import Callable

from twisted.application.service import Service
from twisted.internet.defer import Deferred

from jupyterd.kernels.culling import Culler
from jupyterd.kernels.manager import MappingKernelManager
from jupyterd.system.daemon_directory import DaemonDirectory


class KernelsService(Service):
    """Culls idle kernels; ends all when the daemon stops.

    :param directories: what all kernels share on disk; removed in the end.
    :param keep: whether kernels that the next daemon finds again are left to it.
    """

    def __init__(
        self, kernels: MappingKernelManager, *directories: DaemonDirectory, keep: Callable[[], bool] = lambda: False
    ) -> None:
        self._kernels = kernels
        self._keep = keep
        self._directories = directories
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

    def stopService(self) -> Deferred[None]:
        """End all kernels; the Deferred fires when the last has ended and nothing of them is left."""
        super().stopService()
        self._culler.stopService()
        return Deferred.fromCoroutine(self._end())

    async def _end(self) -> None:
        if self._keep():
            await self._kernels.leave()
        await self._kernels.shutdown_all()
        for directory in self._directories:
            directory.close()
