"""Manager of all kernels of one server: started, listed, interrupted, restarted, shut down; no HTTP."""

from __future__ import annotations

import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from jupyterd.errors import Failed, Invalid, NotFound
from jupyterd.kernels.channels.kernel_channels import KernelChannels
from jupyterd.kernels.channels.policy import Observer
from jupyterd.kernels.events import KernelEvents
from jupyterd.kernels.kernel import Kernel
from jupyterd.kernels.process.death import Death
from jupyterd.kernels.process.external import ExternalKernels, ExternalProcess
from jupyterd.kernels.process.launcher_interface import Launcher, Order
from jupyterd.kernels.restarter import Restarter
from jupyterd.kernels.settings import KernelRestarter, MappingKernelSettings, with_sections
from jupyterd.kernels.working_directory import working_directory
from jupyterd.kernelspecs.manager import NoSuchKernelSpec
from jupyterd.system.threads import InThread

__all__ = ["AsyncMappingKernelManager", "MappingKernelManager", "NoSuchKernel", "NoSuchKernelSpec"]

MERCY = 10.0
"""Seconds beyond ``shutdown_wait_time`` for a kernel's end when the daemon stops."""

KERNEL_ID = re.compile(r"[A-Za-z0-9_]+(-[A-Za-z0-9_]+)*")


class NoSuchKernel(NotFound):
    """Nothing runs under that id."""

    def __init__(self, kernel_id: str) -> None:
        super().__init__(f"Kernel does not exist: {kernel_id}")


class Ledger(Protocol):
    """Where kernels are written down, so that the next daemon finds them again."""

    def remember(self, kernel: Kernel) -> None:
        """It runs, or has died: write it down in a moment."""

    def forget(self, kernel_id: str) -> None:
        """It is shut down."""

    def settled(self) -> Deferred[None]:
        """Fires when all is written that was to be."""

    def is_kept(self, kernel: Kernel) -> bool:
        """Whether the next daemon will find it."""


class ChannelsFactory(Protocol):
    """Makes the channels of a kernel."""

    def __call__(self, kernel_id: str, observer: Observer) -> KernelChannels: ...


class MappingKernelManager(MappingKernelSettings):
    """The kernels, by their ids. :meth:`serve` gives it what it works with."""

    twisted_log = Logger()

    launcher: Launcher
    clock: IReactorTime
    in_thread: InThread

    def serve(
        self,
        *,
        launcher: Launcher,
        channels: ChannelsFactory,
        clock: IReactorTime,
        in_thread: InThread,
        emit: Callable[[str, dict[str, Any]], None],
        external_dir: str | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        """Begin to manage.

        :param launcher: runs kernels.
        :param channels: makes a kernel's channels.
        :param clock: wall-clock time.
        :param emit: tells the event bus.
        :param external_dir: where others leave connection files of their kernels; None where nobody may.
        :param ledger: where kernels are written down for the next daemon; None where they end with this one.
        """
        self.ledger = ledger
        self.launcher = launcher
        self.clock = clock
        self.in_thread = in_thread
        self._channels = channels
        self._report = KernelEvents(emit)
        self._external = (
            None if external_dir is None else ExternalKernels(external_dir, in_thread, self._adopt, self._let_go)
        )
        self._kernels: dict[str, Kernel] = {}
        self._last_activity = clock.seconds()
        restarter = KernelRestarter(
            config=with_sections(self.config, "KernelRestarter", "IOLoopKernelRestarter", "AsyncIOLoopKernelRestarter")
        )
        self._runner = Restarter(
            clock,
            self,
            restarter,
            self._report,
            forget=lambda kernel: Deferred.fromCoroutine(self.shutdown(kernel.id, now=True)),
            remember=lambda kernel: None if ledger is None else ledger.remember(kernel),
        )

    # -- which there are

    def __contains__(self, kernel_id: object) -> bool:
        return kernel_id in self._kernels

    def __len__(self) -> int:
        return len(self._kernels)

    def __iter__(self) -> Iterator[Kernel]:
        return iter(list(self._kernels.values()))

    def __getitem__(self, kernel_id: str) -> Kernel:
        """The kernel of that id.

        :raises NoSuchKernel: there is none.
        """
        try:
            return self._kernels[kernel_id]
        except KeyError:
            raise NoSuchKernel(kernel_id) from None

    def channels_of(self, kernel_id: str) -> KernelChannels:
        """The channels of a kernel.

        :raises NoSuchKernel: there is none of that id.
        :raises Failed: it could not be started.
        """
        kernel = self[kernel_id]
        if kernel.execution_state == "dead" and not kernel.running:
            raise Failed(f"Kernel {kernel_id} could not be started. {kernel.reason}")
        return kernel.channels

    def model(self, kernel_id: str) -> dict[str, Any]:
        """The REST model of a kernel.

        :raises NoSuchKernel: there is none of that id.
        """
        return self[kernel_id].model()

    async def list_models(self) -> list[dict[str, Any]]:
        """The REST models of all kernels, those of others and dead ones among them."""
        if self._external is not None:
            await self._external.look()
        return [kernel.model() for kernel in self]

    def living(self) -> list[Kernel]:
        """Those that are not dead."""
        return [kernel for kernel in self if kernel.execution_state != "dead"]

    def running(self) -> Mapping[str, int]:
        """How many living kernels there are of each kernelspec, for metrics."""
        return Counter(kernel.process.name for kernel in self.living())

    @property
    def connections(self) -> int:
        """Open websockets to all kernels."""
        return sum(kernel.connections for kernel in self)

    @property
    def last_activity(self) -> float:
        """When any kernel was last active, or shut down; seconds since the epoch."""
        return max([self._last_activity, *(kernel.last_activity for kernel in self)])

    def cwd_for_path(self, path: str) -> str:
        """The directory that an API path stands for, or the nearest above it that exists; blocks."""
        return working_directory(self.root_dir, path)

    async def resolve_path(self, kernel_id: str, path: str) -> str | None:
        """The absolute path of a file that a kernel calls ``path``, None where it has none.

        :raises NoSuchKernel: there is no kernel of that id.
        """
        return await self.in_thread(self[kernel_id].process.resolve_path, path)

    # -- what is done with them

    async def start(
        self,
        name: str | None = None,
        *,
        path: str | None = None,
        kernel_id: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Kernel:
        """Start a kernel, or give the one that runs under ``kernel_id`` already.

        :param name: its kernelspec; None for ``default_kernel_name``.
        :param path: the API path whose directory it works in.
        :param env: its whole environment; None for the daemon's.
        :raises NoSuchKernelSpec: there is no kernelspec of that name.
        :raises Failed: it can not be started; what it wrote to standard error is in the message.
        """
        if kernel_id is not None and kernel_id in self._kernels:
            self.twisted_log.info("Using existing kernel: {kernel_id}", kernel_id=kernel_id)
            return self._kernels[kernel_id]
        kernel_id = str(uuid.uuid4()) if kernel_id is None else kernel_id
        if not KERNEL_ID.fullmatch(kernel_id) or len(kernel_id) > 64:
            raise Invalid(f"Not a kernel id: {kernel_id!r}")
        name = self.default_kernel_name if name is None else name
        try:
            kernel = await self._start(kernel_id, name, path, env)
        except Exception as error:
            self._report.failed("start", name, kernel_id, error)
            raise
        self._report.done("start", kernel.process.name, kernel_id, "started")
        return kernel

    async def _start(self, kernel_id: str, name: str, path: str | None, env: Mapping[str, str] | None) -> Kernel:
        cwd = None if path is None else await self.in_thread(self.cwd_for_path, path)
        kernel = self._new_kernel(kernel_id)
        order = self._order(kernel, name, cwd, env, path)
        kernel.process = await self.launcher.process(order, lambda death: self._runner.ended(kernel, death))
        if kernel_id in self._kernels:
            return self._kernels[kernel_id]
        kernel.channels = self._channels(kernel_id, kernel)
        self._kernels[kernel_id] = kernel
        if self.use_pending_kernels:
            self._runner.launch_later(kernel)
            return kernel
        try:
            await self._runner.launch(kernel)
            await self._runner.prove(kernel)
        except Exception:
            if kernel.ending is None:
                await self._abandon(kernel)
            raise
        if kernel.id not in self._kernels:
            raise Failed(f"Kernel was shut down while it started: {kernel.id}")
        if self.ledger is not None:
            await self.ledger.settled()
        self.twisted_log.info("Kernel started: {kernel_id}", kernel_id=kernel_id)
        return kernel

    def _order(
        self, kernel: Kernel, name: str, cwd: str | None, env: Mapping[str, str] | None, path: str | None
    ) -> Order:
        return Order(
            kernel.id,
            name,
            cwd,
            env,
            path,
            ask=lambda kind, content: self._ask(kernel, kind, content),
            stopped=lambda: self._stopped(kernel),
        )

    def recall(
        self, kernel_id: str, name: str, cwd: str | None, env: Mapping[str, str] | None, path: str | None
    ) -> tuple[Kernel, Order, Callable[[Death], None]]:
        """A kernel that a former daemon started, without its process yet: what that is made with."""
        kernel = self._new_kernel(kernel_id)
        order = self._order(kernel, name, cwd, env, path)
        return kernel, order, lambda death: self._runner.ended(kernel, death)

    async def recalled(self, kernel: Kernel, process: Any, lives: bool, reason: str, listened: bool) -> None:
        """Such a kernel is here now; see :meth:`recall`.

        :param reason: why it does not live.
        :param listened: the keeper has listened to it.
        """
        kernel.process = process
        kernel.channels = self._channels(kernel.id, kernel)
        await kernel.channels.resume(process.connection_info, lives=lives, listened=listened)
        self._kernels[kernel.id] = kernel
        if lives:
            self._runner.found(kernel)
        else:
            self._runner.lose(kernel, Death(told=reason))

    def new_keeper(self) -> None:
        """The keeper was killed; another one has what lives of its kernels, and is to listen to them."""
        for kernel in self:
            kernel.channels.new_keeper()

    async def leave(self) -> None:
        """Leave the kernels that the next daemon finds again; only the others are there after this."""
        if self.ledger is None:
            return
        for kernel in self:
            if self.ledger.is_kept(kernel):
                self._kernels.pop(kernel.id)
                process: Any = kernel.process
                process.let_go()
                await kernel.channels.leave()
        await self.ledger.settled()

    async def _abandon(self, kernel: Kernel) -> None:
        kernel.life.terminate()
        try:
            await self._release(kernel)
        except Exception:  # noqa: BLE001 - why it did not start is what its client is told
            self.twisted_log.failure("kernel {kernel_id} left something behind", kernel_id=kernel.id)

    async def interrupt(self, kernel_id: str) -> None:
        """Stop what a kernel runs; its process and variables stay.

        :raises NoSuchKernel: there is none of that id.
        :raises Failed: it is not running.
        """
        kernel = self[kernel_id]
        try:
            if kernel.execution_state in ("dead", "terminating"):
                raise Failed("Cannot interrupt kernel. No kernel is running!")
            if not kernel.running:
                raise Failed("Kernel is in a pending state. Cannot interrupt.")
            await kernel.process.interrupt()
        except Exception as error:
            self._report.failed("interrupt", kernel.process.name, kernel_id, error)
            raise
        self._report.done("interrupt", kernel.process.name, kernel_id, "interrupted")
        self.twisted_log.info("Kernel interrupted: {kernel_id}", kernel_id=kernel_id)

    async def restart(self, kernel_id: str, now: bool = False) -> Kernel:
        """Stop a kernel and start it again; its id, its clients and its log stay.

        :param now: kill it; else it is asked first.
        :raises NoSuchKernel: there is none of that id, or it is being shut down.
        :raises Failed: it can not be started again; it is dead by that, unless what a start needs was missing.
        """
        kernel = self[kernel_id]
        await kernel.turn.acquire()
        try:
            if kernel.ending is not None:
                raise NoSuchKernel(kernel_id)
            if not kernel.process.owned:
                raise Failed("An external kernel can not be restarted from here")
            kernel.process.prepare()
            kernel.life.restart()
            kernel.channels.hold()
            kernel.reason, kernel.failures = "", 0
            await self._runner.run_again(kernel, now=now)
        except Exception as error:
            self._report.failed("restart", kernel.process.name, kernel_id, error)
            raise
        finally:
            kernel.turn.release()
        self._report.done("restart", kernel.process.name, kernel_id, "restarted")
        self.twisted_log.info("Kernel restarted: {kernel_id}", kernel_id=kernel_id)
        return kernel

    async def shutdown(self, kernel_id: str, now: bool = False) -> None:
        """End a kernel; whoever asks while it ends waits for the same end.

        :param now: kill it; else it is asked first.
        :raises NoSuchKernel: there is none of that id.
        """
        kernel = self[kernel_id]
        if kernel.ending is None:
            kernel.ending = Deferred()
            await self._shut_down(kernel, now)
        else:
            done: Deferred[None] = Deferred()
            kernel.ending.chainDeferred(done)
            await done

    async def _shut_down(self, kernel: Kernel, now: bool) -> None:
        assert kernel.ending is not None
        self.twisted_log.info("Kernel shutdown: {kernel_id}", kernel_id=kernel.id)
        await kernel.turn.acquire()
        try:
            kernel.life.terminate()
            await self._release(kernel, now)
            self._last_activity = self.clock.seconds()
        except Exception as error:
            self._report.failed("shutdown", kernel.process.name, kernel.id, error)
            raise
        finally:
            kernel.turn.release()
            kernel.ending.callback(None)
        self._report.done("shutdown", kernel.process.name, kernel.id, "shutdown")

    async def _release(self, kernel: Kernel, now: bool = True) -> None:
        """End a kernel's process and forget all of it."""
        try:
            await kernel.process.stop(now=now)
        finally:
            self._kernels.pop(kernel.id, None)
            if self.ledger is not None:
                self.ledger.forget(kernel.id)
            kernel.channels.close("Kernel shut down")
            kernel.heard()

    async def shutdown_all(self, now: bool = False) -> None:
        """End all kernels at the same time; one that does not end in its time, and :data:`MERCY`, is left behind."""
        ends = []
        for kernel in self:
            end = Deferred.fromCoroutine(self.shutdown(kernel.id, now))
            end.addTimeout(kernel.process.shutdown_wait_time + MERCY, self.clock)
            end.addErrback(self._not_ended, kernel)
            ends.append(end)
        await gatherResults(ends)

    def _not_ended(self, failure: Failure, kernel: Kernel) -> None:
        self.twisted_log.failure("kernel {kernel_id} was not shut down cleanly", failure, kernel_id=kernel.id)

    # -- for others

    def _ask(self, kernel: Kernel, kind: str, content: dict[str, Any]) -> None:
        patience = max(kernel.process.shutdown_wait_time, 1.0)
        asked = kernel.channels.request(kind, content, channel="control", timeout=patience)
        # The end of the process, or nothing, is the answer that counts.
        Deferred.fromCoroutine(asked).addErrback(lambda _: None)

    def _stopped(self, kernel: Kernel) -> None:
        kernel.channels.lose("The kernel was restarted before it replied.")
        kernel.channels.disconnect()

    def _new_kernel(self, kernel_id: str) -> Kernel:
        return Kernel(kernel_id, self.clock, frozenset(self.untracked_message_types), self._runner.forget_later)

    def _adopt(self, connection: Mapping[str, Any]) -> str:
        kernel = self._new_kernel(str(uuid.uuid4()))
        kernel.process = ExternalProcess(connection, lambda kind, content: self._ask(kernel, kind, content))
        kernel.channels = self._channels(kernel.id, kernel)
        try:
            kernel.channels.connect(kernel.process.connection_info)
        except Exception:
            kernel.channels.close()
            raise
        kernel.running = True
        kernel.life.idle()
        self._kernels[kernel.id] = kernel
        return kernel.id

    async def _let_go(self, kernel_id: str) -> None:
        if kernel_id in self._kernels:
            await self.shutdown(kernel_id)


class AsyncMappingKernelManager(MappingKernelManager):
    """The name that most operators' files use; the same class."""
