"""The composition root: every feature of the daemon is put together here, and every prefix is mounted here.

Features are imported by the builder that needs them, resources are made at their first request: what the first answer
does not need is not loaded before it.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from jupyterd.app.parts import Parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.application.service import MultiService
    from twisted.internet.defer import Deferred
    from twisted.web.resource import IResource

    from jupyterd.extensions.inquiry import Inquiry
    from jupyterd.settings.load import Settings
    from jupyterd.status.resource import StatusResource
    from jupyterd.web.call import Call


class House(Parts):
    """One daemon."""

    inquiry: Inquiry | None = None
    """Asks the extension host; None where there is none."""

    def build(self) -> MultiService:
        """All of it."""
        for feature in (
            self._status,
            self._identity,
            self._kernelspecs,
            self._kernels,
            self._sessions,
            self._contents,
            self._outputs,
            self._config_sections,
            self._events,
            self._terminals,
            self._nbconvert,
            self._extensions,
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
        server = self.config.get("ServerApp", {})
        if touches("jupyterd.contents") or "contents_manager_class" in server or "preferred_dir" in server:
            _ = getattr(self.contents.manager, "preferred_dir", "")  # it must be below the manager's root
        if touches("jupyterd.sessions"):
            _ = self.sessions
        if touches("jupyterd.config"):
            _ = self.config_manager
        if touches("jupyter_events"):
            _ = self.bus

    # -- features, one builder each

    def _status(self) -> None:
        """/api, /api/status, metrics, health."""
        from jupyterd.app.status import mount

        _ = self.activity  # the daemon's time begins here
        mount(self.root, self.settings, self._status_resource, self._extensions_static)

    async def _extensions_static(self) -> Sequence[str]:
        return () if self.inquiry is None else await self.inquiry.static()

    def _status_resource(self) -> StatusResource:
        from jupyterd.app.status import STOP_DELAY
        from jupyterd.status.metrics import Metrics
        from jupyterd.status.resource import StatusResource

        def connections() -> int:
            return self.kernels.connections

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
            more_metrics=lambda: None if self.inquiry is None else self.inquiry.metrics(),
            look_at_activity=lambda: None if self.inquiry is None else self.inquiry.look_at_activity(),
        )

    def _identity(self) -> None:
        """/login, /logout, /api/me, CSP reports."""
        from jupyterd.app.auth import mount, warn

        warn(self.server, tls=bool(self.server.certfile or self.server.ssl_options))
        mount(self.root, lambda: self.guard, self.pages, lambda: self._threads("passwords", 1))

    def _kernelspecs(self) -> None:
        """/api/kernelspecs, /kernelspecs."""

        def resource() -> IResource:
            from jupyterd.kernelspecs.resource import KernelSpecsResource

            return KernelSpecsResource(self.kernelspecs, lambda: str(self.kernels.default_kernel_name)).app.resource()

        resource = cache(resource)
        self.root.mount("/api/kernelspecs", resource, auth="kernelspecs")
        self.root.mount("/kernelspecs", resource, auth="kernelspecs", page=True)

    def _kernels(self) -> None:
        """/api/kernels and the channels."""

        def resource() -> IResource:
            from jupyterd.kernels.resource import KernelsResource

            return KernelsResource(self.kernels).app.resource()

        def channels() -> IResource:
            from jupyterd.kernels.websocket.resource import ChannelsResource

            def may_execute(call: Call) -> Deferred[bool]:
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

        def resource() -> IResource:
            from jupyterd.sessions.resource import SessionsResource

            return SessionsResource(self.sessions).app.resource()

        self.root.mount("/api/sessions", resource, auth="sessions")

    def _contents(self) -> None:
        """/api/contents, /files, /view."""
        from jupyterd.app.contents import mount

        mount(
            self.root,
            lambda: self.contents,
            lambda *args, **kwargs: self.pages.render(*args, **kwargs),
            lambda kernel_id, path: self.kernels.resolve_path(kernel_id, path),
        )

    def _outputs(self) -> None:
        """/api/kernels/<id>/executions: cells' outputs, for pages and notebooks."""
        from jupyterd.app.outputs import mount

        mount(self.root, lambda: self.recorder, lambda: self.kernels)

    def _config_sections(self) -> None:
        """/api/config."""

        def sections() -> IResource:
            from jupyterd.config.resource import ConfigResource

            return ConfigResource(self.config_manager, self.in_thread).app.resource()

        self.root.mount("/api/config", sections, auth="config")

    def _events(self) -> None:
        """/api/events."""
        from jupyterd.app.events import mount

        mount(self.root, self.bus, self.in_thread)

    def _terminals(self) -> None:
        """/api/terminals and their websockets."""
        if not self.server.terminals_enabled:
            return
        from jupyterd.app.terminals import mount

        mount(self.root, self.terminals, self.settings, self.in_thread)

    def _nbconvert(self) -> None:
        """/nbconvert, /api/nbconvert."""
        from jupyterd.app.nbconvert import mount

        mount(self.root, self.settings, self.reactor, self.in_thread, lambda: self.contents)

    def _extensions(self) -> None:
        """Server extensions; nothing of them is loaded where there are none."""
        from jupyterd.app.extensions import HostParts, wanted

        extensions = wanted(self.settings)
        if not extensions:
            return
        parts = HostParts(
            self.reactor,
            self.settings,
            self.in_thread,
            guard=lambda: self.guard,
            bus=lambda: self.bus,
            kernels=lambda: self.kernels,
            sessions=lambda: self.sessions,
            contents=lambda: self.contents,
            stop=lambda: self.reactor.stop(),
        )
        host, self.inquiry = parts.build(self.root, extensions)
        self.activity.also(lambda: host.last_activity)
        host.setServiceParent(self.services)

    def _frontends(self) -> None:
        """JupyterLab, Notebook, and what lies at the root."""
        from jupyterd.app.frontends import FrontEnds, mount

        network = self._threads("network", 2)  # a firewall that swallows packets holds a thread for long
        fronts = FrontEnds(
            self.settings,
            self.reactor,
            self.in_thread,
            network,
            contents=lambda: self.contents,
            kernels=lambda: self.kernels,
            token=lambda: str(getattr(self.guard.provider, "token", "")),
            page_config=None if self.inquiry is None else self.inquiry.page_config,
        )
        mount(self.root, fronts)
        fronts.read_what_is_set()

    def _listening(self) -> None:
        """The ports, last: everything behind them is there when the first client comes."""
        from jupyterd.supervision.listener import Front
        from jupyterd.supervision.notify import Notify

        self._watching()
        self.front = Front(self.reactor, self.site, self.server, Notify.from_environment())
        self.front.setServiceParent(self.services)

    def _watching(self) -> None:
        """What ends or restarts the daemon by itself, where the operator asks for it."""
        if self.server.shutdown_no_activity_timeout > 0:
            from jupyterd.supervision.idle_stop import IdleStop

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

        from jupyterd.app.auth import refresh
        from jupyterd.settings.load import BadSettings
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
