"""Culling: kernels that nobody uses are shut down."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from jupyterd.kernels.settings import CULL_INTERVAL
from jupyterd.system.periodic import Periodic

if TYPE_CHECKING:
    from jupyterd.kernels.kernel import Kernel
    from jupyterd.kernels.settings import MappingKernelSettings


def idle_too_long(kernel: Kernel, settings: MappingKernelSettings, now: float) -> float | None:
    """For how many seconds a kernel has been idle, where that is longer than it may be; else None.

    A kernelspec's metadata may hold a ``cull_idle_timeout`` of its own.
    """
    timeout = kernel.process.metadata.get("cull_idle_timeout", settings.cull_idle_timeout)
    idle = now - kernel.last_activity
    if kernel.execution_state == "dead":
        return idle
    if not isinstance(timeout, (int, float)) or idle <= timeout:
        return None
    if kernel.execution_state == "busy" and not settings.cull_busy:
        return None
    if kernel.connections and not settings.cull_connected:
        return None
    return idle


class Culler(Periodic):
    """Looks for idle kernels every ``cull_interval`` seconds, where ``cull_idle_timeout`` is above 0.

    :param kernels: gives all kernels.
    :param shut_down: shuts one down, by its id.
    """

    log = Logger()

    def __init__(
        self,
        settings: MappingKernelSettings,
        clock: IReactorTime,
        kernels: Callable[[], Iterable[Kernel]],
        shut_down: Callable[[str], Deferred[Any]],
    ) -> None:
        super().__init__(clock)
        self._settings = settings
        self._kernels = kernels
        self._shut_down = shut_down

    def interval(self) -> float:
        """``cull_interval``, where kernels are culled."""
        settings = self._settings
        if settings.cull_idle_timeout <= 0:
            return 0.0
        if settings.cull_interval <= 0:
            self.log.warn(
                "Invalid value for 'cull_interval' detected ({interval}) - using default value ({default}).",
                interval=settings.cull_interval,
                default=CULL_INTERVAL,
            )
            settings.cull_interval = CULL_INTERVAL
        self.log.info(
            "Culling kernels with idle durations > {timeout} seconds at {interval} second intervals",
            timeout=settings.cull_idle_timeout,
            interval=settings.cull_interval,
        )
        return float(settings.cull_interval)

    def turn(self) -> None:
        """Shut down each kernel that is idle for too long."""
        now = self._clock.seconds()
        for kernel in list(self._kernels()):
            idle = idle_too_long(kernel, self._settings, now)
            if idle is None or kernel.ending is not None:
                continue
            self.log.warn(
                "Culling '{state}' kernel '{name}' ({kernel_id}) with {connections} connections due to {idle} seconds "
                "of inactivity.",
                state=kernel.execution_state,
                name=kernel.process.name,
                kernel_id=kernel.id,
                connections=kernel.connections,
                idle=int(idle),
            )
            self._shut_down(kernel.id).addErrback(self._failed, kernel.id)

    def _failed(self, failure: Any, kernel_id: str) -> None:
        self.log.failure("kernel {kernel_id} could not be culled", failure, kernel_id=kernel_id)
