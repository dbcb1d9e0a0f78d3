"""Restarter: kernels' processes launched, waited for, run again when they end, given up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from jupyterd.errors import Failed, Gone, TimedOut
from jupyterd.kernels.events import KernelEvents
from jupyterd.kernels.kernel import Kernel
from jupyterd.kernels.process.death import Death
from jupyterd.kernels.settings import KernelRestarter, MappingKernelSettings


@dataclass(eq=False)
class Restarter:
    """Keeps kernels running.

    :param restarter: when a kernel that died is started again.
    :param forget: shuts down a kernel that has been dead for ``dead_kernel_timeout``.
    :param remember: writes down what the next daemon has to know of one.
    """

    clock: IReactorTime
    settings: MappingKernelSettings
    restarter: KernelRestarter
    report: KernelEvents
    forget: Callable[[Kernel], Deferred[None]]
    remember: Callable[[Kernel], None] = lambda kernel: None
    log = Logger()

    # -- started and restarted

    async def launch(self, kernel: Kernel) -> None:
        """Run a new kernel's process, unless it is to end already.

        :raises Failed: it can not be run.
        """
        await kernel.turn.acquire()
        try:
            if kernel.ending is None:
                await kernel.process.start()
                self._launched(kernel)
        finally:
            kernel.turn.release()

    def launch_later(self, kernel: Kernel) -> None:
        """The same, while nobody waits: a kernel that can not be run is dead by that."""
        Deferred.fromCoroutine(self.launch(kernel)).addErrback(self._never_ran, kernel)

    def _never_ran(self, failure: Failure, kernel: Kernel) -> None:
        self.log.failure("kernel {kernel_id} did not start", failure, kernel_id=kernel.id)
        self.lose(kernel, Death(failure=failure.getErrorMessage()))

    async def prove(self, kernel: Kernel) -> None:
        """Wait for a new kernel's first word, at most ``startup_check_timeout``.

        If it ended in place of that, and there is another way to start it, start it that way.

        :raises Failed: it ended in place of saying anything.
        """
        while (death := await kernel.first_word(self.settings.startup_check_timeout)) is not None:
            kernel.channels.disconnect()
            if not kernel.process.retry(death):
                self.log.warn("Kernel {kernel_id} did not start: {reason}", kernel_id=kernel.id, reason=death.reason)
                raise Failed(f"Kernel died before it could be used. {death.reason}")
            await self.launch(kernel)

    async def run_again(self, kernel: Kernel, *, now: bool, new_ports: bool = False) -> None:
        """Stop its process, if it has not ended, and run it again; its turn must be held.

        :raises Failed: it can not be run; it is dead by that.
        """
        try:
            await kernel.process.restart(now=now, new_ports=new_ports)
        except Exception as error:
            self.lose(kernel, Death(failure=str(error)))
            raise
        kernel.channels.disconnect()
        self._launched(kernel)

    def _launched(self, kernel: Kernel) -> None:
        kernel.launched()
        kernel.life.launched()
        self.remember(kernel)
        kernel.channels.connect(kernel.process.connection_info)
        self._wait_for(kernel)

    def found(self, kernel: Kernel) -> None:
        """Its process runs, since before this daemon did."""
        kernel.launched()
        kernel.ever_spoke = True
        kernel.channels.connect(kernel.process.connection_info)
        self._wait_for(kernel)

    def _wait_for(self, kernel: Kernel) -> None:
        Deferred.fromCoroutine(self._await_answer(kernel)).addErrback(self._unexpected, kernel)

    async def _await_answer(self, kernel: Kernel) -> None:
        try:
            await kernel.channels.ready(self.settings.kernel_info_timeout)
        except TimedOut:
            if not kernel.spoke:
                self.log.warn("Timeout waiting for kernel_info_reply: {kernel_id}", kernel_id=kernel.id)
        except Gone:
            pass  # it was shut down meanwhile
        else:
            kernel.answered()

    def _unexpected(self, failure: Failure, kernel: Kernel) -> None:
        self.log.failure("kernel {kernel_id}: unexpected failure", failure, kernel_id=kernel.id)

    # -- ended by itself

    def ended(self, kernel: Kernel, death: Death) -> None:
        """Its process ended: run it again, or give it up."""
        if kernel.ending is not None or kernel.died_unheard(death):
            return
        if not self._may_restart(kernel):
            self.lose(kernel, death)
            return
        self.log.warn(
            "Kernel {kernel_id} died, restarting it ({count}/{limit}): {reason}",
            kernel_id=kernel.id,
            count=kernel.failures,
            limit=self.restarter.restart_limit,
            reason=death.reason,
        )
        kernel.life.died(death)
        self.report.death(kernel.process.name, kernel.id, death, restarting=True)
        Deferred.fromCoroutine(self._autorestart(kernel, death)).addErrback(self._unexpected, kernel)

    def _may_restart(self, kernel: Kernel) -> bool:
        if not kernel.process.autorestart:
            return False
        if self.clock.seconds() - kernel.launched_at >= self.restarter.stable_start_time:
            kernel.failures = 0
        kernel.failures += 1
        return kernel.failures <= self.restarter.restart_limit

    async def _autorestart(self, kernel: Kernel, death: Death) -> None:
        await kernel.turn.acquire()
        try:
            if kernel.execution_state != "autorestarting":
                return
            if not kernel.ever_spoke and kernel.process.retry(death):
                await kernel.process.start()
                self._launched(kernel)
            else:
                new_ports = self.restarter.random_ports_until_alive and not kernel.ever_spoke
                await self.run_again(kernel, now=True, new_ports=new_ports)
        except Exception as error:  # noqa: BLE001 - nobody waits for it: it is told to the clients
            self.lose(kernel, Death(failure=str(error)))
        finally:
            kernel.turn.release()

    def lose(self, kernel: Kernel, death: Death) -> None:
        """Nobody starts it again; it stays listed for a while, with its reason."""
        if kernel.execution_state in ("dead", "terminating"):
            return
        self.log.error("Kernel {kernel_id} died: {reason}", kernel_id=kernel.id, reason=death.reason)
        kernel.life.lost(death)
        self.remember(kernel)
        self.report.death(kernel.process.name, kernel.id, death, restarting=False)

    def forget_later(self, kernel: Kernel) -> IDelayedCall:
        """Forget a kernel that is dead when ``dead_kernel_timeout`` is over."""
        return self.clock.callLater(self.settings.dead_kernel_timeout, self._forget, kernel)

    def _forget(self, kernel: Kernel) -> None:
        if kernel.ending is None:
            self.log.info("Kernel {kernel_id} is dead, forgetting it", kernel_id=kernel.id)
            self.forget(kernel).addErrback(self._unexpected, kernel)
