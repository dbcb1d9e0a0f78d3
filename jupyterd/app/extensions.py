"""Server extensions of a daemon, from the parts: the host that runs them, and where it is laid over the mounts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from twisted.logger import Logger

from jupyterd.app import contents, kernels, terminals
from jupyterd.extensions.discovery import JUPYTEXT, enabled, hosted
from jupyterd.web.root import Root

if TYPE_CHECKING:
    from twisted.application.service import IService

    from jupyterd.auth.guard import Guard
    from jupyterd.contents.service import Contents
    from jupyterd.events.bus import EventBus
    from jupyterd.events.progress import Progress
    from jupyterd.extensions.host_supervisor import ExtensionHost, HostSettings
    from jupyterd.extensions.http.inquiry import Inquiry
    from jupyterd.extensions.native import NativeExtensions
    from jupyterd.kernels.manager import MappingKernelManager
    from jupyterd.sessions.manager import SessionManager
    from jupyterd.settings.load import Settings
    from jupyterd.settings.server_app import ServerApp
    from jupyterd.status.activity import Activity
    from jupyterd.system.threads import InThread
    from jupyterd.terminals.manager import Terminals

log = Logger()


class Around(Protocol):
    """What the host needs of the daemon's parts."""

    reactor: Any
    settings: Settings
    server: ServerApp
    root: Root
    activity: Activity

    @property
    def in_thread(self) -> InThread: ...
    @property
    def progress(self) -> Progress: ...
    @property
    def guard(self) -> Guard: ...
    @property
    def bus(self) -> EventBus: ...
    @property
    def kernels(self) -> MappingKernelManager: ...
    @property
    def sessions(self) -> SessionManager: ...
    @property
    def contents(self) -> Contents: ...
    @property
    def terminals(self) -> Terminals: ...


def wanted(settings: Settings) -> list[str] | None:
    """The extensions that a host runs; None where there is to be no host: nothing needs one, or it is switched off.

    ``extra_services`` are request handlers for the host too.
    """
    server = settings.server
    names = hosted(server.jpserver_extensions, JUPYTEXT, server.config) if server.extension_host else []
    return names if names or (server.extension_host and server.extra_services) else None


def mount(
    root: Root,
    server: ServerApp,
    inquiry: Callable[[], Inquiry | None],
    native: Callable[[], NativeExtensions | None],
) -> None:
    """``/api/extensions``."""

    def resource() -> Any:
        from jupyterd.extensions.resource import ExtensionsResource

        found, ours = inquiry(), native()
        host = None if found is None else found.host
        loaded = [] if ours is None else ours.loaded
        return ExtensionsResource(enabled(server.jpserver_extensions), lambda: loaded, host).app.resource()

    root.mount("/api/extensions", resource, auth="server")


def build(parts: Around, extensions: list[str]) -> Inquiry:
    """The host, not yet started, and what it can be asked; its routes are laid over the mounts."""
    from jupyterd.extensions.event_bridge import EventBridge
    from jupyterd.extensions.host_supervisor import ExtensionHost
    from jupyterd.extensions.http.connections import Connections
    from jupyterd.extensions.http.forwarding import Forwarder
    from jupyterd.extensions.http.inquiry import Inquiry
    from jupyterd.extensions.route_overlay import Overlay
    from jupyterd.system.daemon_directory import DaemonDirectory, local_places

    bridge = EventBridge(lambda: parts.bus, parts.reactor.stop)
    host = ExtensionHost(
        parts.reactor,
        _settings(parts.settings),
        wanted=extensions,
        again=lambda: _again(parts.settings, host),
        directory=DaemonDirectory("jupyterd-host-", local_places()),
        setup=lambda: _setup(parts),
        kernels=lambda: parts.kernels,
        heard=bridge.heard,
        listen=lambda path: _listen(parts, host, path),
        in_thread=parts.in_thread,
        begin=lambda: parts.progress.begin("start", "server extensions"),
    )
    bridge.serve(host)
    connections = Connections(parts.reactor, lambda: host.socket)
    forwarder = Forwarder(host, lambda: parts.guard, connections)
    parts.root.overlay = Overlay(host, forwarder)
    parts.activity.also(lambda: host.last_activity)
    return Inquiry(host, connections)


def _again(settings: Settings, host: ExtensionHost) -> Iterable[str]:
    """The extensions that need a host by the files as they are now; as before, where those can not be used."""
    from jupyterd.settings.load import BadSettings

    try:
        return wanted(settings.again()) or ()
    except BadSettings as error:
        log.error("the extensions stay as they are: {error}", error=str(error))
        return host.wanted


def load_native(parts: Around, add: Callable[[IService], None]) -> NativeExtensions | None:
    """Extensions of jupyterd itself, mounted and not yet started; None where none is installed."""
    from jupyterd.extensions import native

    found = native.find()
    if not found:
        return None

    def make(name: str) -> native.Native:
        """What the extension of that name is given."""
        return native.Native(
            name=name,
            base_url=parts.server.base_url,
            config=parts.server.config,
            reactor=parts.reactor,
            in_thread=parts.in_thread,
            kernels=lambda: parts.kernels,
            sessions=lambda: parts.sessions,
            contents=lambda: parts.contents,
            bus=lambda: parts.bus,
        )

    extensions = native.NativeExtensions(make, native.switched_on(parts.server.jpserver_extensions))
    extensions.load(found, parts.root, add)
    return extensions


def _settings(settings: Settings) -> HostSettings:
    from jupyterd.extensions.host_supervisor import HostSettings

    server = settings.server
    return HostSettings(
        argv=settings.argv,
        directory=settings.directory,
        base_url=server.base_url,
        start_timeout=server.extension_host_start_timeout,
        wait=server.extension_host_wait,
        memory_limit=server.extension_host_memory_limit,
        stall_timeout=server.extension_host_stall_timeout,
        contents=server.hosted_contents,
    )


def _setup(parts: Around) -> Mapping[str, Any]:
    """What each run of the host is told of the server."""
    server, provider = parts.server, parts.guard.provider
    return {
        "port": server.port,
        "ip": server.ip,
        "sock": server.sock,
        "base_url": server.base_url,
        "token": str(getattr(provider, "token", "") or ""),
        "root_dir": os.path.abspath(server.root_dir),
        "log_level": server.log_level,
        "terminals": server.terminals_enabled,
    }


def _listen(parts: Around, host: ExtensionHost, path: str) -> Any:
    """Open the socket on which the host asks the daemon; it is in a directory that its owner alone can enter."""
    from jupyterd.extensions.http.private_api import HostAPI, HostGate
    from jupyterd.web.server.site import Site

    private = Root("/")
    contents.mount(private, lambda: parts.contents, lambda *_, **__: b"")
    kernels.mount_sessions(private, lambda: parts.sessions)
    if parts.server.terminals_enabled:
        terminals.mount(private, lambda: parts.terminals, parts.settings, parts.in_thread)
    private.mount("/host", lambda: HostAPI(parts.kernels, lambda: parts.contents).app.resource(), auth="")
    site = Site(
        private,
        HostGate(host.key, host.mirror.refresh),
        reactor=parts.reactor,
        in_thread=parts.in_thread,
        max_body=parts.server.max_body_size,
        max_held=parts.server.max_buffer_size,
    )
    site.noisy = False
    return parts.reactor.listenUNIX(path, site, mode=0o600)
