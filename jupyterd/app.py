"""The composition root: every object of the daemon is built here, once, and every prefix is mounted here.

Features are imported by the builder that needs them, resources are made at their first request: what the first answer
does not need is not loaded before it.
"""

from __future__ import annotations

from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger

from jupyterd.threads import Threads
from jupyterd.web.access import AccessLog
from jupyterd.web.compression import Compression
from jupyterd.web.limits import HTTPLimits
from jupyterd.web.pages import Pages
from jupyterd.web.patience import Patience
from jupyterd.web.root import Root
from jupyterd.web.site import Site

if TYPE_CHECKING:
    from jupyterd.settings import Settings


class Ordered(MultiService):
    """Starts its services in order and stops them one after the other in the opposite order.

    What a service still does while it stops (kernels end, sessions are written) may use those that started before it.
    """

    log = Logger()

    def stopService(self) -> Deferred[None]:
        """Stop all; the Deferred fires when the last has stopped."""
        Service.stopService(self)
        return Deferred.fromCoroutine(self._stop_each())

    async def _stop_each(self) -> None:
        for service in reversed(list(self)):
            try:
                await maybeDeferred(service.stopService)
            except Exception:  # noqa: BLE001 - the others must stop all the same
                self.log.failure("{service} did not stop cleanly", service=service)


class House:
    """The objects of one daemon.

    :param reactor: the one reactor.
    :param settings: what the operator wants.
    """

    log = Logger()

    def __init__(self, reactor: Any, settings: Settings) -> None:
        self.reactor = reactor
        self.settings = settings
        self.config = settings.config
        self.server = settings.server
        self.services = Ordered()
        self.root = Root(self.server.base_url)

    def build(self) -> MultiService:
        """All of it."""
        for feature in (
            self._status,
            self._identity,
            self._kernelspecs,
            self._kernels,
            self._sessions,
            self._contents,
            self._config_sections,
            self._events,
            self._terminals,
            self._nbconvert,
            self._frontends,
        ):
            feature()
        self._listening()
        self._read_what_is_set()
        return self.services

    def _read_what_is_set(self) -> None:
        """Make what the operator has set something of: a mistake ends the start, and not the first request.

        All else is made when it is first asked for.
        """
        touches = self.settings.touches
        if touches("jupyterd.contents") or "contents_manager_class" in self.config.get("ServerApp", {}):
            _ = self.contents
        if touches("jupyterd.sessions"):
            _ = self.sessions
        if touches("jupyterd.config"):
            _ = self.config_manager
        if touches("jupyter_events"):
            _ = self.bus

    # -- shared by features

    @cached_property
    def in_thread(self) -> Threads:
        """Short work of all features: parsing, SQLite, kernelspecs."""
        return self._threads("jupyterd", 4)

    def _threads(self, name: str, size: int) -> Threads:
        threads = Threads(self.reactor, name, size)
        threads.setServiceParent(self.services)
        return threads

    @cached_property
    def pages(self) -> Pages:
        """Templates."""
        server = self.server
        return Pages(
            server.base_url,
            server.extra_template_paths,
            server.jinja_environment_options,
            server.jinja_template_vars,
        )

    @cached_property
    def guard(self) -> Any:
        """Decides on every request."""
        from jupyterd.auth.build import make_guard

        return make_guard(self.server, self.settings.make, self.reactor)

    @cached_property
    def site(self) -> Site:
        """The factory of all HTTP connections."""
        limits = HTTPLimits(parent=self.server)
        return Site(
            self.root,
            self.guard,
            reactor=self.reactor,
            in_thread=self.in_thread,
            max_body=self.server.max_body_size,
            max_held=self.server.max_buffer_size,
            compression=Compression.of(self.server.websocket_compression_options),
            patience=Patience(
                self.reactor,
                head=limits.head_timeout,
                body=limits.body_timeout,
                idle=limits.idle_timeout,
                reader=limits.reader_timeout,
                most=limits.most_waiting,
            ),
            access=AccessLog(self.settings.verbose, self._answered),
            error_page=self.pages.error,
        )

    @cached_property
    def bus(self) -> Any:
        """Who hears what happens."""
        from jupyterd.events.bus import EventBus

        return EventBus(self.config)

    def emit(self, schema_id: str, data: dict[str, Any]) -> None:
        """Tell the event bus."""
        self.bus.emit(schema_id, data)

    # -- objects that several features use

    @cached_property
    def gateway(self) -> Any:
        """Where kernels run, if not here; None where they do."""
        from jupyterd.gateway import is_set

        if not is_set(self.config):
            return None
        from jupyterd.gateway.build import engine

        def default_is(name: str) -> None:
            self.kernels.default_kernel_name = name

        found = engine(self.reactor, self.settings, self.in_thread, lambda *event: self.emit(*event), default_is)
        found.service.setServiceParent(self.services)
        return found

    @cached_property
    def kernelspecs(self) -> Any:
        """Which kernels are installed."""
        from jupyterd.kernelspecs.manager import STOCK_CLASS, KernelSpecs
        from jupyterd.stock import ours

        stock = ours(self.server.kernel_spec_manager_class) == STOCK_CLASS
        if stock and self.gateway is not None:
            return self.gateway.specs

        def client() -> Any:
            if not stock:
                return self.settings.make("kernel_spec_manager_class")
            from jupyterd.kernelspecs.client import KernelSpecManager

            return KernelSpecManager(parent=self.server)

        return KernelSpecs(client, self.in_thread, self.server.base_url)

    @cached_property
    def kernels(self) -> Any:
        """All kernels."""
        from jupyterd.directory import DaemonDirectory, local_places
        from jupyterd.kernels.channels import KernelChannels
        from jupyterd.kernels.connection import ZMQChannelsWebsocketConnection
        from jupyterd.kernels.policy import MessagePolicy
        from jupyterd.kernels.processes import ProcessLauncher
        from jupyterd.kernels.service import KernelsService

        server, gateway = self.server, self.gateway
        kernels = self.settings.make("kernel_manager_class")
        connection = ZMQChannelsWebsocketConnection(parent=server) if gateway is None else gateway.connection
        sockets = DaemonDirectory("jupyterd-ipc-", local_places())
        logs = DaemonDirectory("jupyterd-log-", [server.runtime_dir])

        log_threads = self._threads("kernel-logs", 4)  # a disk that hangs holds up nothing else

        def channels(kernel_id: str, observer: Any) -> KernelChannels:
            return KernelChannels(
                kernel_id,
                reactor=self.reactor,
                settings=connection,
                in_thread=log_threads,
                spill_dir=logs.join(kernel_id),
                observer=observer,
                policy=MessagePolicy.of(kernels),
                network=None if gateway is None else gateway.network,
            )

        def processes() -> ProcessLauncher:
            return ProcessLauncher(self.reactor, kernels, self.kernelspecs, server.runtime_dir, sockets, logs)

        kernels.serve(
            launcher=processes() if gateway is None else gateway.launcher,
            channels=channels,
            clock=self.reactor,
            in_thread=self.in_thread,
            emit=lambda schema_id, data: self.emit(schema_id, data),
            external_dir=server.external_connection_dir if server.allow_external_kernels else None,
        )
        KernelsService(kernels, sockets, logs).setServiceParent(self.services)
        return kernels

    @cached_property
    def sessions(self) -> Any:
        """Which document runs on which kernel."""
        from jupyterd.sessions.manager import kernel_path_of

        sessions = self.settings.make("session_manager_class")
        sessions.serve(
            kernels=self.kernels,
            in_thread=self.in_thread,
            kernel_path=lambda path: self.contents.ask(kernel_path_of, path),
        )
        return sessions

    @cached_property
    def terminals(self) -> Any:
        """All terminals."""
        from jupyterd.terminals.build import terminals

        service = terminals(self.reactor, self.settings)
        service.setServiceParent(self.services)
        return service

    @cached_property
    def activity(self) -> Any:
        """When the daemon was last used."""
        from jupyterd.status.activity import Activity

        others: list[Any] = [lambda: self.kernels.last_activity]
        if self.server.terminals_enabled:
            others.append(lambda: self.terminals.active_at())
        return Activity(self.reactor, others)

    @cached_property
    def request_times(self) -> Any:
        """How long answers take."""
        from jupyterd.status.metrics import RequestTimes

        return RequestTimes()

    def _answered(self, request: Any, seconds: float) -> None:
        """Count an answer as use, and its time."""
        self.activity.request(request)
        if self.server.record_http_request_metrics:
            self.request_times(request, seconds)

    def _status_resource(self) -> Any:
        from jupyterd.status.build import STOP_DELAY
        from jupyterd.status.metrics import Metrics
        from jupyterd.status.resource import StatusResource

        def connections() -> int:
            return int(self.kernels.connections)

        def terminals() -> int:
            return len(self.terminals) if self.server.terminals_enabled else 0

        return StatusResource(
            activity=self.activity,
            metrics=Metrics(self.request_times, self.activity, lambda: self.kernels.running(), connections, terminals),
            kernels=lambda: len(self.kernels),
            connections=connections,
            stop=lambda: self.reactor.callLater(STOP_DELAY, self.reactor.stop),
            ready=lambda: bool(self.services.running),
            in_thread=self.in_thread,
        )

    # -- features, one builder each

    def _status(self) -> None:
        """/api, /api/status, metrics, health."""
        from jupyterd.status.build import mount

        _ = self.activity  # the daemon's time begins here
        mount(self.root, self.settings, self._status_resource)

    def _identity(self) -> None:
        """/login, /logout, /api/me, CSP reports."""
        from jupyterd.auth.build import mount, warn

        warn(self.server, tls=bool(self.server.certfile or self.server.ssl_options))
        mount(self.root, lambda: self.guard, self.pages, lambda: self._threads("passwords", 1))

    def _kernelspecs(self) -> None:
        """/api/kernelspecs, /kernelspecs."""

        def resource() -> Any:
            from jupyterd.kernelspecs.resource import KernelSpecsResource

            return KernelSpecsResource(self.kernelspecs, lambda: str(self.kernels.default_kernel_name)).app.resource()

        resource = cache(resource)
        self.root.mount("/api/kernelspecs", resource, auth="kernelspecs")
        self.root.mount("/kernelspecs", resource, auth="kernelspecs", page=True)

    def _kernels(self) -> None:
        """/api/kernels and the channels."""

        def resource() -> Any:
            from jupyterd.kernels.resource import KernelsResource

            return KernelsResource(self.kernels).app.resource()

        def channels() -> Any:
            from jupyterd.kernels.sockets import ChannelsResource

            def may_execute(call: Any) -> Any:
                return self.guard.allowed(call.request.handler, "execute", "kernels")

            return ChannelsResource(self.kernels.channels_of, may_execute).app.resource()

        channels = cache(channels)

        _ = self.in_thread, self.kernels  # their services start with the daemon's, threads first
        self.root.mount("/api/kernels", resource, auth="kernels")
        self.root.mount("/api/kernels/*/channels", channels, auth="kernels", websocket=True)
        self.root.mount("/api/kernels/*/log", channels, auth="kernels")
        self.root.mount("/api/kernels/*/execute", channels, auth="kernels")

    def _sessions(self) -> None:
        """/api/sessions."""

        def resource() -> Any:
            from jupyterd.sessions.resource import SessionsResource

            return SessionsResource(self.sessions).app.resource()

        self.root.mount("/api/sessions", resource, auth="sessions")

    @cached_property
    def contents(self) -> Any:
        """The contents service; its manager is built with it."""
        from jupyterd.contents.build import contents
        from jupyterd.contents.lanes import Lanes

        lanes = Lanes(
            self._threads("contents", 8), self._threads("contents-read", 8), self._threads("contents-large", 1)
        )
        service = contents(self.reactor, self.settings, lanes, lambda *event: self.emit(*event))
        service.setServiceParent(self.services)
        return service

    def _contents(self) -> None:
        """/api/contents, /files, /view."""
        from jupyterd.contents.build import mount

        mount(
            self.root,
            lambda: self.contents,
            lambda *args, **kwargs: self.pages.render(*args, **kwargs),
            lambda kernel_id, path: self.kernels.resolve_path(kernel_id, path),
        )

    @cached_property
    def config_manager(self) -> Any:
        """Front ends' own settings."""
        return self.settings.make("config_manager_class")

    def _config_sections(self) -> None:
        """/api/config."""

        def sections() -> Any:
            from jupyterd.config.resource import ConfigResource

            return ConfigResource(self.config_manager, self.in_thread).app.resource()

        self.root.mount("/api/config", sections, auth="config")

    def _events(self) -> None:
        """/api/events."""
        from jupyterd.events.build import mount

        mount(self.root, self.bus, self.in_thread)

    def _terminals(self) -> None:
        """/api/terminals and their websockets."""
        if not self.server.terminals_enabled:
            return
        from jupyterd.terminals.build import mount

        mount(self.root, self.terminals, self.settings, self.in_thread)

    def _nbconvert(self) -> None:
        """/nbconvert, /api/nbconvert."""
        from jupyterd.nbconvert.build import mount

        mount(self.root, self.settings, self.reactor, self.in_thread, lambda: self.contents)

    def _frontends(self) -> None:
        """JupyterLab, Notebook, and what lies at the root."""
        from jupyterd.frontends.build import FrontEnds, mount

        network = self._threads("network", 2)  # a firewall that swallows packets holds a thread for long
        fronts = FrontEnds(
            self.settings,
            self.reactor,
            self.in_thread,
            network,
            contents=lambda: self.contents,
            kernels=lambda: self.kernels,
            token=lambda: str(getattr(self.guard.provider, "token", "")),
        )
        mount(self.root, fronts)
        fronts.read_what_is_set()

    def _listening(self) -> None:
        """The ports, last: everything behind them is there when the first client comes."""
        from jupyterd.supervision.front import Front
        from jupyterd.supervision.notify import Notify

        self._watching()
        self.front = Front(self.reactor, self.site, self.server, Notify.from_environment())
        self.front.setServiceParent(self.services)

    def _watching(self) -> None:
        """What ends or restarts the daemon by itself, where the operator asks for it."""
        if self.server.shutdown_no_activity_timeout > 0:
            from jupyterd.supervision.idle import IdleStop

            def busy() -> int:
                return len(self.kernels) + (len(self.terminals) if self.server.terminals_enabled else 0)

            IdleStop(
                self.reactor,
                self.server.shutdown_no_activity_timeout,
                busy=busy,
                last_used=self.activity.last,
                stop=self.reactor.stop,
            ).setServiceParent(self.services)
        if self.server.autoreload:
            from jupyterd.supervision.autoreload import Autoreload

            Autoreload(self.reactor, self.in_thread).setServiceParent(self.services)

    def reload(self) -> None:
        """Read certificates, password, token, origins and headers again; connections that are open stay.

        What can not be read or understood is told to the log, and all stays as it was.
        """
        from traitlets import TraitError

        from jupyterd.auth.build import refresh
        from jupyterd.settings import BadSettings
        from jupyterd.supervision.tls import BadCertificate

        try:
            refresh(self.guard, self.settings.again().server)
            if self.front.certificates is not None:
                self.front.certificates.reload()
        except (BadSettings, BadCertificate, TraitError) as error:
            self.log.error("reload: {error}", error=str(error))
        else:
            self.log.info("settings and certificates are reloaded")


def jupyterd(reactor: Any, settings: Settings) -> House:
    """The whole daemon, wired and not yet started: ``services`` is its root."""
    house = House(reactor, settings)
    house.build()
    return house
