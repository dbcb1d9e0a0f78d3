"""Kernels of a daemon: their manager, launcher, channels and logs wired, from its settings; and their mounts.

Those of kernelspecs and sessions too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from jupyterd.web.root import Root

if TYPE_CHECKING:
    from jupyterd.app.gateway import Engine
    from jupyterd.app.recovery import Keeping
    from jupyterd.gateway.kernelspecs import GatewaySpecs
    from jupyterd.kernels.channels.kernel_channels import KernelChannels
    from jupyterd.kernels.channels.policy import Observer
    from jupyterd.kernels.channels.recording import Recording
    from jupyterd.kernels.channels.settings import ZMQChannelsWebsocketConnection
    from jupyterd.kernels.log.totals import MessageTotals
    from jupyterd.kernels.manager import MappingKernelManager
    from jupyterd.kernels.process.launcher_interface import Launcher
    from jupyterd.kernels.recovery.standin import Standin
    from jupyterd.kernelspecs.manager import KernelSpecs
    from jupyterd.outputs.runs.runs import Runs
    from jupyterd.sessions.manager import SessionManager
    from jupyterd.settings.load import Settings
    from jupyterd.settings.server_app import ServerApp
    from jupyterd.state.surviving import Kept
    from jupyterd.system.daemon_directory import DaemonDirectory
    from jupyterd.system.threads import InThread
    from jupyterd.web.call import Call


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """What kernels are made of; :meth:`build` makes their manager.

    :ivar gateway: where they run; None where they run here.
    :ivar keeping: what outlives the daemon; None where nothing does, as with a gateway.
    :ivar state_thread: writes the state file.
    :ivar log_threads: write logs.
    :ivar recording: makes what records which cells are run.
    :ivar runs: notebooks that are run here.
    """

    reactor: Any
    settings: Settings
    gateway: Engine | None
    keeping: Keeping | None
    installed: KernelSpecs
    in_thread: InThread
    state_thread: InThread
    log_threads: InThread
    socket_directory: DaemonDirectory
    log_directory: DaemonDirectory
    totals: MessageTotals
    emit: Callable[[str, dict[str, Any]], None]
    recording: Callable[[KernelChannels], Recording]
    runs: Callable[[], Runs]

    def build(self) -> MappingKernelManager:
        """The manager, with all that it uses."""
        from jupyterd.kernels.recovery.ledger import KernelLedger

        server = self.settings.server
        manager, launcher = self._manager, self._launcher
        manager.serve(
            launcher=launcher,
            channels=self._channels,
            clock=self.reactor,
            in_thread=self.in_thread,
            emit=self.emit,
            external_dir=server.external_connection_dir if server.allow_external_kernels else None,
            ledger=None if self._kept is None else KernelLedger(self._kept, self.state_thread),
        )
        if self.keeping is not None:
            self._keep(self.keeping, manager, launcher)
        return manager

    @property
    def _kept(self) -> Kept | None:
        return None if self.keeping is None else self.keeping.kept

    @cached_property
    def _manager(self) -> MappingKernelManager:
        made: MappingKernelManager = self.settings.make("kernel_manager_class")
        return made

    @cached_property
    def _connection(self) -> ZMQChannelsWebsocketConnection:
        """Settings of channels and logs."""
        from jupyterd.kernels.channels.settings import ZMQChannelsWebsocketConnection

        if self.gateway is not None:
            return self.gateway.connection
        return ZMQChannelsWebsocketConnection(parent=self.settings.server)

    @cached_property
    def _launcher(self) -> Launcher:
        if self.gateway is not None:
            return self.gateway.launcher
        from jupyterd.kernels.process.process_launcher import ProcessLauncher

        kept, runtime_dir = self._kept, self.settings.server.runtime_dir
        sockets, notes, keeper = (
            (self.socket_directory, self.log_directory, None)
            if kept is None
            else (kept.sockets, kept.sockets, kept.keeper)
        )
        return ProcessLauncher(self.reactor, self._manager, self.installed, runtime_dir, sockets, notes, keeper)

    def _channels(self, kernel_id: str, observer: Observer) -> KernelChannels:
        """One kernel's channels."""
        from jupyterd.kernels.channels.kernel_channels import KernelChannels
        from jupyterd.kernels.channels.policy import MessagePolicy

        kept = self._kept
        directory = self.log_directory.join(kernel_id) if kept is None else kept.log_directory(kernel_id)
        return KernelChannels(
            kernel_id,
            reactor=self.reactor,
            settings=self._connection,
            in_thread=self.log_threads,
            spill_dir=directory,
            standin=None if kept is None else self._standin(kept, kernel_id, directory),
            observer=observer,
            policy=MessagePolicy.of(self._manager),
            network=None if self.gateway is None else self.gateway.network,
            recording=self.recording,
            totals=self.totals,
        )

    def _standin(self, kept: Kept, kernel_id: str, directory: str) -> Standin:
        """Has the keeper hear the kernel while no daemon does."""
        from jupyterd.kernels.recovery.standin import Standin

        quota = self._connection.message_log_disk_bytes
        return Standin(kept.keeper, kernel_id, directory, self.log_threads, quota)

    def _keep(self, keeping: Keeping, manager: MappingKernelManager, launcher: Launcher) -> None:
        """Have kernels and runs found again that a former daemon has left."""
        from jupyterd.app.outputs import finder
        from jupyterd.kernels.process.process_launcher import ProcessLauncher
        from jupyterd.kernels.recovery.adoption import Recovery

        kept = keeping.kept
        assert isinstance(launcher, ProcessLauncher)  # there is no gateway
        keeping.finders.append(Recovery(kept, self.state_thread, manager, launcher).find)
        keeping.finders.append(finder(self.runs, kept, self.state_thread))
        kept.keeper.replaced.append(manager.new_keeper)


def stock_specs(server: ServerApp) -> bool:
    """Whether kernelspecs are found as ever, by no class of the operator's."""
    from jupyterd.compat.class_names import ours
    from jupyterd.kernelspecs.manager import STOCK_CLASS

    return bool(ours(server.kernel_spec_manager_class) == STOCK_CLASS)


def installed_specs(settings: Settings, in_thread: InThread) -> KernelSpecs:
    """The kernels that are installed here."""
    from jupyterd.kernelspecs.manager import KernelSpecs

    server = settings.server

    def client() -> Any:
        if not stock_specs(server):
            return settings.make("kernel_spec_manager_class")
        from jupyterd.kernelspecs.finder import KernelSpecManager

        return KernelSpecManager(parent=server)

    return KernelSpecs(client, in_thread, server.base_url)


def mount(
    root: Root,
    kernels: Callable[[], MappingKernelManager],
    sessions: Callable[[], SessionManager],
    may_write: Callable[[Call], Awaitable[bool]],
) -> None:
    """``/api/kernels``, their websockets, their logs, and code run over REST.

    :param sessions: they keep dead kernels listed.
    :param may_write: whether who asks may change notebooks.
    """

    def resource() -> Any:
        from jupyterd.kernels.resource import KernelsResource

        return KernelsResource(kernels(), lambda: sessions().kernel_ids()).app.resource()

    def channels() -> Any:
        from jupyterd.kernels.websocket.resource import ChannelsResource

        return ChannelsResource(kernels().channels_of, may_write).app.resource()

    root.mount("/api/kernels", resource, auth="kernels")
    root.mount("/api/kernels/*/channels", channels, auth="kernels", websocket=True)
    root.mount("/api/kernels/*/log", channels, auth="kernels")
    root.mount("/api/kernels/*/execute", channels, auth="kernels", action="execute")


def mount_kernelspecs(
    root: Root, specs: Callable[[], KernelSpecs | GatewaySpecs], kernels: Callable[[], MappingKernelManager]
) -> None:
    """``/api/kernelspecs``, and their logos at ``/kernelspecs``."""

    def resource() -> Any:
        from jupyterd.kernelspecs.resource import KernelSpecsResource

        return KernelSpecsResource(specs(), lambda: str(kernels().default_kernel_name)).app.resource()

    root.mount("/api/kernelspecs", resource, auth="kernelspecs")
    root.mount("/kernelspecs", resource, auth="kernelspecs", page=True)


def mount_sessions(root: Root, sessions: Callable[[], SessionManager]) -> None:
    """``/api/sessions``."""

    def resource() -> Any:
        from jupyterd.sessions.resource import SessionsResource

        return SessionsResource(sessions()).app.resource()

    root.mount("/api/sessions", resource, auth="sessions")
