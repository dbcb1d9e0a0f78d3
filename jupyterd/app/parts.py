"""Objects of one daemon: each is named once, and made when it is first asked for.

Modules are imported by what needs them: what the first answer does not need is not loaded before it. Nothing depends
on which is asked for first: what runs has a stage (:mod:`jupyterd.supervision.start_stop_stages`).
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from jupyterd.contents.thread_pools import ThreadPools
from jupyterd.dashboard.log_lines import LogLines
from jupyterd.kernels.log.totals import MessageTotals
from jupyterd.log import Levels
from jupyterd.status.activity import Activity
from jupyterd.status.counters import EventCounters
from jupyterd.supervision.start_stop_stages import Stage, Stages
from jupyterd.system.daemon_directory import DaemonDirectory, local_places
from jupyterd.system.threads import Threads
from jupyterd.web.pages import Pages
from jupyterd.web.root import Root
from jupyterd.web.server.access_log import AccessLog
from jupyterd.web.server.request import Request
from jupyterd.web.server.site import Site
from jupyterd.web.server.timeouts import Timeouts
from jupyterd.web.websocket.compression import Compression

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyterd.app.frontends import FrontEnds
    from jupyterd.app.gateway import Engine
    from jupyterd.app.hub import HubSide
    from jupyterd.app.recovery import Keeping
    from jupyterd.auth.guard import Guard
    from jupyterd.config.manager import ConfigManager
    from jupyterd.contents.service import Contents
    from jupyterd.events.bus import EventBus
    from jupyterd.events.progress import Progress
    from jupyterd.extensions.http.inquiry import Inquiry
    from jupyterd.extensions.native import NativeExtensions
    from jupyterd.gateway.kernelspecs import GatewaySpecs
    from jupyterd.kernels.manager import MappingKernelManager
    from jupyterd.kernels.service import KernelsService
    from jupyterd.kernelspecs.manager import KernelSpecs
    from jupyterd.outputs.recorder import Recorder
    from jupyterd.outputs.runs.runs import Runs
    from jupyterd.sessions.manager import SessionManager
    from jupyterd.settings.load import Settings
    from jupyterd.status.metrics import RequestTimes
    from jupyterd.supervision.handover.predecessor import Predecessor
    from jupyterd.supervision.listener import Listener
    from jupyterd.supervision.reactor_latency import StallWatchdog
    from jupyterd.terminals.manager import Terminals


class Parts:
    """What the features of one daemon are built from.

    :param reactor: the one reactor.
    :param settings: what the operator wants.
    """

    def __init__(self, reactor: Any, settings: Settings) -> None:
        self.reactor = reactor
        self.settings = settings
        self.config = settings.config
        self.server = settings.server
        self.services = Stages()
        self.root = Root(self.server.base_url)
        self.pools: list[Threads] = []
        self.log_lines = LogLines()
        self.levels = Levels(cast(int, self.server.log_level), self.server.log_levels)
        self.counters = EventCounters()
        self.totals = MessageTotals()
        # Threads start with the first calls: a pool that nobody uses costs nothing.
        self.in_thread = self._threads("jupyterd", 4)  # short work of all features: parsing, SQLite, kernelspecs
        self.log_threads = self._threads("kernel-logs", 4)  # a disk that hangs holds up nothing else
        self.network_threads = self._threads("network", 2)  # a firewall that swallows packets holds a thread for long
        self.state_thread = self._threads("state", 1)  # writes the state file, in order
        self.password_thread = self._threads("passwords", 1)
        self.thread_pools = ThreadPools(
            self._threads("contents", 8), self._threads("contents-read", 8), self._threads("contents-large", 1)
        )
        self.activity = Activity(reactor, self._last_uses())  # the daemon's time begins here
        self.start_seconds = 0.0  # from then until it listened

    def _threads(self, name: str, size: int) -> Threads:
        threads = Threads(self.reactor, name, size)
        self.services.add(Stage.THREADS, threads)
        self.pools.append(threads)
        return threads

    def takes_work(self) -> bool:
        """The daemon has started, is not about to end, and its threads work."""
        return bool(self.services.running) and all(pool.works() for pool in self.pools)

    def silent_pools(self) -> list[str]:
        """The names of thread pools that do not answer."""
        return [pool.describe()["name"] for pool in self.pools if not pool.answers()]

    def _last_uses(self) -> list[Callable[[], float | None]]:
        uses: list[Callable[[], float | None]] = [lambda: self.kernels.last_activity]
        if self.server.terminals_enabled:
            uses.append(lambda: self.terminals.active_at())
        return uses

    # -- HTTP

    @cached_property
    def pages(self) -> Pages:
        """Templates."""
        server = self.server
        return Pages(
            server.base_url,
            server.extra_template_paths,
            server.jinja_environment_options,
            {**(self.hub.page_variables if self.hub is not None else {}), **server.jinja_template_vars},
        )

    @cached_property
    def guard(self) -> Guard:
        """Decides on every request."""
        from jupyterd.app.auth import make_guard

        guard = make_guard(self.server, self.settings.make, self.reactor)
        return guard if self.hub is None else self.hub.post(guard)

    @cached_property
    def hub(self) -> HubSide | None:
        """The JupyterHub that says who comes in; None where there is none."""
        if not hasattr(self.server.identity_provider, "hub_auth"):
            return None
        from jupyterd.app.hub import HubSide

        return HubSide(self.reactor, self.server)

    @cached_property
    def site(self) -> Site:
        """The factory of all HTTP connections."""
        server = self.server
        return Site(
            self.root,
            self.guard,
            reactor=self.reactor,
            in_thread=self.in_thread,
            max_body=server.max_body_size,
            max_held=server.max_buffer_size,
            compression=Compression.of(server.websocket_compression_options),
            timeouts=Timeouts(
                self.reactor,
                head=server.http_head_timeout,
                body=server.http_body_timeout,
                idle=server.http_idle_timeout,
                reader=server.http_reader_timeout,
                most=server.http_max_waiting_connections,
            ),
            access=self.access_log,
            error_page=self.pages.error,
        )

    @cached_property
    def access_log(self) -> AccessLog:
        """Tells the log of each answer."""
        return AccessLog(self.settings.verbose, self._answered)

    @cached_property
    def stalls(self) -> StallWatchdog:
        """Tells what holds the reactor."""
        from jupyterd.supervision.reactor_latency import StallWatchdog, Turns

        loop = getattr(self.reactor, "_asyncioEventloop", None)
        return StallWatchdog(Turns(), getattr(loop, "_selector", None), self.server.stall_seconds)

    @cached_property
    def bus(self) -> EventBus:
        """Who hears what happens."""
        from jupyterd.events.bus import EventBus

        return EventBus(self.config)

    def emit(self, schema_id: str, data: dict[str, Any]) -> None:
        """Tell the event bus."""
        self.counters.count(schema_id, data)
        self.bus.emit(schema_id, data)

    @cached_property
    def progress(self) -> Progress:
        """What takes a while, for events and the dashboard."""
        from jupyterd.events.progress import Progress

        return Progress(self.reactor, self.emit)

    # -- objects that several features use

    @cached_property
    def gateway(self) -> Engine | None:
        """Where kernels run, if not here; None where they do."""
        from jupyterd.gateway import is_set

        if not is_set(self.config):
            return None
        from jupyterd.app.gateway import engine

        def default_is(name: str) -> None:
            self.kernels.default_kernel_name = name

        return engine(self.reactor, self.settings, self.in_thread, self.emit, default_is)

    @property
    def kernelspecs(self) -> KernelSpecs | GatewaySpecs:
        """Which kernels there are, here or at the gateway."""
        from jupyterd.app.kernels import stock_specs

        if self.gateway is not None and stock_specs(self.server):
            return self.gateway.specs
        return self.installed

    @cached_property
    def installed(self) -> KernelSpecs:
        """Which kernels are installed here."""
        from jupyterd.app.kernels import installed_specs

        return installed_specs(self.settings, self.in_thread)

    @cached_property
    def keeping(self) -> Keeping | None:
        """What outlives the daemon; None where nothing does."""
        from jupyterd.app.recovery import keeping

        return keeping(self.reactor, self.server)

    @cached_property
    def kernels(self) -> MappingKernelManager:
        """All kernels."""
        from jupyterd.app.kernels import Wiring

        return Wiring(
            reactor=self.reactor,
            settings=self.settings,
            gateway=self.gateway,
            keeping=self.keeping if self.gateway is None else None,
            installed=self.installed,
            in_thread=self.in_thread,
            state_thread=self.state_thread,
            log_threads=self.log_threads,
            socket_directory=self.socket_directory,
            log_directory=self.log_directory,
            totals=self.totals,
            emit=self.emit,
            recording=lambda channels: self.recorder.of(channels),
            runs=lambda: self.runs,
        ).build()

    @cached_property
    def kernels_service(self) -> KernelsService:
        """Culls kernels, and ends them with the daemon."""
        from jupyterd.kernels.service import KernelsService

        return KernelsService(self.kernels, self.socket_directory, self.log_directory, keep=self.keep_at_stop)

    def keep_at_stop(self) -> bool:
        """Whether kernels and terminals go on when the daemon stops."""
        return self.keeping is not None and self.keeping.keep_at_stop

    @cached_property
    def socket_directory(self) -> DaemonDirectory:
        """Where kernels' sockets lie."""
        return DaemonDirectory("jupyterd-ipc-", local_places())

    @cached_property
    def log_directory(self) -> DaemonDirectory:
        """Where kernels' logs are continued on disk, and notes of what else this daemon has there."""
        return DaemonDirectory("jupyterd-log-", [self.server.runtime_dir])

    @cached_property
    def recorder(self) -> Recorder:
        """Which cells' outputs are not in their notebooks yet."""
        from jupyterd.app.outputs import recorder

        keeping = self.keeping if self.gateway is None else None
        service = recorder(
            self.reactor,
            self.server,
            self.in_thread,
            notebooks=lambda kernel_id: self.sessions.notebooks_on(kernel_id),
            change=lambda path, step: self.contents.change(path, step),
            emit=self.emit,
            store=None if keeping is None else lambda: keeping.kept.store,
            state_thread=self.state_thread,
            kernels_stay=self.keep_at_stop,
        )
        self.services.add(Stage.RECORDS, service)
        return service

    @cached_property
    def runs(self) -> Runs:
        """Notebooks that are run here."""
        from jupyterd.app.outputs import runs

        keeping = self.keeping if self.gateway is None else None
        service = runs(
            self.reactor,
            self.recorder,
            contents=lambda: self.contents,
            sessions=lambda: self.sessions,
            kernels=lambda: self.kernels,
            emit=self.emit,
            kept=None if keeping is None else keeping.kept,
            state_thread=self.state_thread,
            kernels_stay=self.keep_at_stop,
        )
        self.services.add(Stage.RECORDS, service)
        return service

    @cached_property
    def sessions(self) -> SessionManager:
        """Which document runs on which kernel."""
        from jupyterd.sessions.manager import kernel_path_of

        sessions: SessionManager = self.settings.make("session_manager_class")
        kept = None if self.keeping is None else self.keeping.kept
        sessions.serve(
            kernels=self.kernels,
            in_thread=self.in_thread,
            kernel_path=lambda path: self.contents.ask(kernel_path_of, path),
            kept_in=None if kept is None else lambda: kept.store.where,
        )
        return sessions

    @cached_property
    def terminals(self) -> Terminals:
        """All terminals."""
        from jupyterd.app.terminals import terminals

        return terminals(self.reactor, self.settings, self.keeping, self.state_thread, self.keep_at_stop)

    @cached_property
    def request_times(self) -> RequestTimes:
        """How long answers take."""
        from jupyterd.status.metrics import RequestTimes

        return RequestTimes()

    def _answered(self, request: Request, seconds: float) -> None:
        """Count an answer as use, and its time."""
        self.activity.request(request)
        if self.server.record_http_request_metrics:
            self.request_times(request, seconds)

    @cached_property
    def contents(self) -> Contents:
        """The contents service; its manager is built with it."""
        from jupyterd.app.contents import contents

        service = contents(self.reactor, self.settings, self.thread_pools, self.emit, self.progress)
        service.outputs = self.recorder
        self.services.add(Stage.DOMAINS, service)
        return service

    @cached_property
    def front_ends(self) -> FrontEnds:
        """JupyterLab and Notebook, as far as they are installed."""
        from jupyterd.app.frontends import FrontEnds

        return FrontEnds(
            self.settings,
            self.reactor,
            self.in_thread,
            self.network_threads,
            contents=lambda: self.contents,
            kernels=lambda: self.kernels,
            provider=lambda: self.guard.provider,
            page_config=None if self.extensions is None else self.extensions.page_config,
            native_page_config=lambda: {} if self.native_extensions is None else self.native_extensions.page_config,
        )

    @cached_property
    def native_extensions(self) -> NativeExtensions | None:
        """Extensions of jupyterd itself; None where none is installed."""
        from jupyterd.app.extensions import load_native

        return load_native(self, lambda service: self.services.add(Stage.RECORDS, service))

    @cached_property
    def extensions(self) -> Inquiry | None:
        """Server extensions in their host; None, and nothing of them loaded, where there are none."""
        from jupyterd.app.extensions import build, wanted

        names = wanted(self.settings)
        return None if names is None else build(self, names)

    @cached_property
    def front(self) -> Listener:
        """The ports."""
        from jupyterd.supervision.listener import Listener
        from jupyterd.supervision.systemd_notify import Notify

        found = None if self.keeping is None else self.keeping.when_found
        successor = None if self.keeping is None else self.keeping.successor
        notify = Notify.from_environment()

        def listens() -> None:
            self.start_seconds = round(self.reactor.seconds() - self.activity.started, 3)
            self.progress.told("start", "server", self.start_seconds)

        return Listener(
            self.reactor,
            self.site,
            self.server,
            notify,
            self.log_directory,
            found,
            successor,
            listens,
            in_thread=self.in_thread,
        )

    @cached_property
    def predecessor(self) -> Predecessor | None:
        """Hands over to another process of the same server; None where nothing outlives this one."""
        if self.keeping is None:
            return None
        from jupyterd.app.recovery import predecessor

        return predecessor(self.reactor, self.keeping, self.front)

    @cached_property
    def config_manager(self) -> ConfigManager:
        """Front ends' own settings."""
        from jupyterd.config.manager import read_nbconfig
        from jupyterd.extensions.discovery import NOTEBOOK_SHIM, is_installed

        manager: ConfigManager = self.settings.make("config_manager_class")
        if self.server.jpserver_extensions.get(NOTEBOOK_SHIM) and is_installed(NOTEBOOK_SHIM):
            read_nbconfig(manager)
        return manager
