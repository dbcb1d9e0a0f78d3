"""Embedded daemon: built from a ``ServerApp``, started with a reactor that runs or is run here."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger

from jupyterd.settings.embedding import SERVICES

if TYPE_CHECKING:
    from jupyterd.app.parts import Parts
    from jupyterd.settings.load import Settings
    from jupyterd.settings.server_app import ServerApp
    from jupyterd.web.root import Mount

PREFIXES: dict[str, tuple[str, ...]] = {
    "api": ("/api",),
    "auth": ("/login", "/logout"),
    "config": ("/api/config",),
    "contents": ("/api/contents",),
    "files": ("/files",),
    "kernels": ("/api/kernels",),
    "kernelspecs": ("/api/kernelspecs", "/kernelspecs"),
    "nbconvert": ("/nbconvert", "/api/nbconvert"),
    "security": ("/api/security",),
    "sessions": ("/api/sessions",),
    "shutdown": ("/api/shutdown",),
    "view": ("/view",),
    "events": ("/api/events",),
}
"""Where the services of the reference are mounted."""

ROUTES: dict[str, tuple[str, ...]] = {
    "api": ("jupyterd.status.resource.StatusResource",),
    "auth": ("jupyterd.auth.login.LoginPages", "jupyterd.auth.resource.IdentityResource"),
    "config": ("jupyterd.config.resource.ConfigResource",),
    "contents": ("jupyterd.contents.http.resource.ContentsResource",),
    "files": ("jupyterd.contents.http.downloads.FilesResource",),
    "kernels": ("jupyterd.kernels.resource.KernelsResource", "jupyterd.kernels.websocket.resource.ChannelsResource"),
    "kernelspecs": ("jupyterd.kernelspecs.resource.KernelSpecsResource",),
    "nbconvert": ("jupyterd.nbconvert.resource.NbconvertResource",),
    "security": ("jupyterd.auth.resource.ReportResource",),
    "sessions": ("jupyterd.sessions.resource.SessionsResource",),
    "shutdown": ("jupyterd.status.resource.StatusResource",),
    "view": ("jupyterd.contents.http.pages.ViewResource",),
    "events": ("jupyterd.events.resource.EventsResource",),
}


class Embedded:
    """One daemon.

    :param reactor: an asyncio reactor, running or not.
    :ivar parts: its objects, made when they are first asked for.
    """

    log = Logger()

    def __init__(self, reactor: Any, server: ServerApp, settings: Settings) -> None:
        from jupyterd.app.composition import jupyterd
        from jupyterd.tap import keep_secrets

        keep_secrets(settings)
        self.reactor = reactor
        self.server = server
        self.parts: Parts = jupyterd(reactor, settings)
        self._web_app: ServerWebApplication | None = None
        self._root: Any = self.parts.services
        self._is_daemon = self._listening = self._running = False
        self._stopped: Deferred[None] | None = None

    @property
    def web_app(self) -> ServerWebApplication:
        """All that is served."""
        if self._web_app is None:
            self._web_app = ServerWebApplication(self.server, self.server.default_services)
        return self._web_app

    # -- steps of a start

    def init_logging(self) -> None:
        """Pass on what libraries log."""
        from jupyterd import log

        level: Any = self.server.log_level
        log.bridge(level if isinstance(level, int) else logging.getLevelName(level), "ServerApp")

    def init_resources(self) -> None:
        """Raise the limit of open files."""
        from jupyterd.supervision.open_files_limit import raise_open_files

        raise_open_files(self.server.min_open_files_limit)

    def handle_signals(self) -> None:
        """Hold all services by one that handles signals, reloads settings and sees to it that the stop ends."""
        if self._is_daemon:
            return
        from jupyterd.app.reload import reload
        from jupyterd.supervision.daemon import Daemon

        daemon = Daemon(
            self.reactor,
            self.server,
            make_observer=self._observer,
            reload=lambda: reload(self.parts),
            leave=lambda status, seconds: None,  # the program goes on when we have stopped
        )
        self.parts.services.setServiceParent(daemon)
        self._root, self._is_daemon = daemon, True

    def _observer(self) -> Any:
        from jupyterd.foreground import ConsoleOptions

        return self.parts.levels.filter(ConsoleOptions.console(self.server))

    def listen(self) -> None:
        """Open the sockets.

        :raises CannotListen: there is nothing to listen on.
        """
        if not self._listening:
            self._listening = True
            self.parts.front.privilegedStartService()

    def start(self, listen: bool = True) -> None:
        """Start all services; what is called twice is done once.

        :param listen: accept connections.
        """
        if self._running:
            return
        if not self.reactor.running:
            self.handle_signals()
        if not listen:
            self.parts.front.disownServiceParent()
        elif not self._listening:
            self._listening = True
            self._root.privilegedStartService()
        self._root.startService()
        self._running = True

    def run(self) -> None:
        """Run the reactor, unless it runs."""
        if self.reactor.running:
            return
        self._begin_logging()
        self.reactor.addSystemEventTrigger("before", "shutdown", self.stop)
        self.reactor.run()

    def _begin_logging(self) -> None:
        """The log of a foreground server goes to standard error, unless the program has begun a log of its own."""
        from twisted.logger import globalLogBeginner

        if self._is_daemon and globalLogBeginner._temporaryObserver is not None:
            globalLogBeginner.beginLoggingTo([self._observer()], redirectStandardIO=False)

    # -- the end

    def stop(self) -> Deferred[None]:
        """Stop all services; a reactor that :meth:`run` runs ends after them."""
        if self._stopped is None:
            stopped: Deferred[None] = Deferred()
            self._stopped = stopped
            done = maybeDeferred(self._root.stopService) if self._running else maybeDeferred(lambda: None)
            done.addErrback(lambda failure: self.log.failure("not everything stopped cleanly", failure))
            done.addCallback(lambda _: self._has_stopped(stopped))
        after: Deferred[None] = Deferred()
        self._stopped.addCallback(lambda _: after.callback(None))
        return after

    def _has_stopped(self, stopped: Deferred[None]) -> None:
        from twisted.internet.error import ReactorNotRunning

        self._running = False
        if self._is_daemon:
            with suppress(ReactorNotRunning):
                self.reactor.stop()
        stopped.callback(None)

    def shutdown_no_activity(self) -> None:
        """Stop if nobody has used it for the time that is set."""
        timeout, parts = self.server.shutdown_no_activity_timeout, self.parts
        terminals = len(parts.terminals) if self.server.terminals_enabled else 0
        unused = self.reactor.seconds() - parts.activity.last()
        if timeout > 0 and unused > timeout and not terminals and not parts.kernels.living():
            self.stop()

    async def cleanup_kernels(self) -> None:
        """Shut all kernels down."""
        await self.parts.kernels.shutdown_all()

    async def cleanup_extensions(self) -> None:
        """End the process of the extensions."""
        extensions = self.parts.extensions
        if extensions is not None and extensions.host.running:
            await maybeDeferred(extensions.host.disownServiceParent)


class ServerWebApplication:
    """All that one server answers. The arguments are the reference's; what they hold can be had from ``jupyter_app``.

    :ivar settings: what extensions read: ``base_url``, ``kernel_manager`` and so on.
    :ivar handlers: see :meth:`init_handlers`.
    """

    def __init__(
        self,
        jupyter_app: Any,
        default_services: Sequence[str] = SERVICES,
        kernel_manager: Any = None,
        contents_manager: Any = None,
        session_manager: Any = None,
        kernel_spec_manager: Any = None,
        config_manager: Any = None,
        event_logger: Any = None,
        extra_services: Sequence[str] = (),
        log: Any = None,
        base_url: str | None = None,
        default_url: str | None = None,
        settings_overrides: dict[str, Any] | None = None,
        jinja_env_options: dict[str, Any] | None = None,
        *,
        authorizer: Any = None,
        identity_provider: Any = None,
        kernel_websocket_connection_class: Any = None,
    ) -> None:
        self.settings = self.init_settings(
            jupyter_app,
            kernel_manager,
            contents_manager,
            session_manager,
            kernel_spec_manager,
            config_manager,
            event_logger,
            extra_services,
            log,
            base_url,
            default_url,
            settings_overrides,
            jinja_env_options,
            authorizer=authorizer,
            identity_provider=identity_provider,
            kernel_websocket_connection_class=kernel_websocket_connection_class,
        )
        self.handlers = self.init_handlers(default_services, self.settings)

    @property
    def site(self) -> Any:
        """The ``twisted.web.server.Site``."""
        return self.settings["serverapp"].embedded.parts.site

    def init_settings(
        self,
        jupyter_app: Any,
        kernel_manager: Any = None,
        contents_manager: Any = None,
        session_manager: Any = None,
        kernel_spec_manager: Any = None,
        config_manager: Any = None,
        event_logger: Any = None,
        extra_services: Sequence[str] = (),
        log: Any = None,
        base_url: str | None = None,
        default_url: str | None = None,
        settings_overrides: dict[str, Any] | None = None,
        jinja_env_options: dict[str, Any] | None = None,
        *,
        authorizer: Any = None,
        identity_provider: Any = None,
        kernel_websocket_connection_class: Any = None,
    ) -> dict[str, Any]:
        """The settings, those that are given in place of the server's own."""
        app = jupyter_app
        parts: Parts = app.embedded.parts
        return {
            "base_url": base_url or app.base_url,
            "default_url": default_url or app.default_url,
            "kernel_manager": kernel_manager or app.kernel_manager,
            "contents_manager": contents_manager or app.contents_manager,
            "session_manager": session_manager or app.session_manager,
            "kernel_spec_manager": kernel_spec_manager or app.kernel_spec_manager,
            "config_manager": config_manager or app.config_manager,
            "event_logger": event_logger or app.event_logger,
            "extra_services": list(extra_services or app.extra_services),
            "log": log or app.log,
            "jinja_env_options": dict(jinja_env_options or app.jinja_environment_options),
            "authorizer": authorizer or parts.guard.authorizer,
            "identity_provider": identity_provider or parts.guard.provider,
            "kernel_websocket_connection_class": kernel_websocket_connection_class
            or app.kernel_websocket_connection_class,
            "cookie_secret": app.cookie_secret,
            "disable_check_xsrf": app.disable_check_xsrf,
            "allow_origin": app.allow_origin,
            "allow_origin_pat": app.allow_origin_pat,
            "allow_remote_access": app.allow_remote_access,
            "local_hostnames": app.local_hostnames,
            "terminals_available": app.terminals_enabled,
            "server_root_dir": app.root_dir,
            "serverapp": app,
            **app.tornado_settings,
            **(settings_overrides or {}),
        }

    def init_handlers(self, default_services: Sequence[str], settings: dict[str, Any]) -> list[tuple[str, Mount]]:
        """``(pattern, mount)`` of what answers for these services, longest prefix first."""
        wanted = [tuple(path.split("/")[1:]) for name in default_services for path in PREFIXES.get(name, ())]
        mounts = [
            mount
            for mount in settings["serverapp"].embedded.parts.root.mounts()
            if any(mount.prefix[: len(prefix)] == prefix for prefix in wanted)
        ]
        mounts.sort(key=lambda mount: (-len(mount.prefix), mount.prefix))
        return [(_pattern(mount), mount) for mount in mounts]

    def last_activity(self) -> datetime:
        """When the server last did something: a request, a kernel, a terminal; in UTC."""
        seconds: float = self.settings["serverapp"].embedded.parts.activity.last()
        return datetime.fromtimestamp(seconds, timezone.utc)


def _pattern(mount: Mount) -> str:
    path = "/" + "/".join("[^/]+" if segment == "*" else segment for segment in mount.prefix)
    return path if mount.exact else f"{path.rstrip('/')}(?:/.*)?"


def load_handlers(name: str) -> list[tuple[str, Any]]:
    """``(URL pattern, class)`` of a component's routes.

    :param name: a service of ours (``kernels``), the reference's module of it
        (``jupyter_server.services.kernels.handlers``), or any other module, whose ``default_handlers`` are given.
    :raises ImportError: there is no such module.
    """
    from jupyterd.utils import import_item

    service = next((part for part in reversed(name.split(".")) if part in ROUTES), None)
    if service is None or (not name.startswith("jupyter_server.") and name != service):
        return list(import_item(f"{name}.default_handlers"))
    kinds = [import_item(kind) for kind in ROUTES[service]]
    return [(rule.rule, kind) for kind in kinds for rule in kind.app.url_map.iter_rules()]


def embed(server: ServerApp) -> Embedded:
    """The daemon of settings that have been read.

    :raises BadSettings: a value is not one, or two of them exclude each other.
    """
    import sys

    from jupyterd.settings.load import checked
    from jupyterd.system.imports.lean_imports import make_imports_lean
    from jupyterd.tap import install_reactor

    install_reactor()
    make_imports_lean()
    return Embedded(sys.modules["twisted.internet.reactor"], server, checked(server))
