"""Server extensions of a daemon: the host that runs them, and where it is laid over the mounts."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from jupyterd.system.threads import InThread
from jupyterd.web.root import Root

if TYPE_CHECKING:
    from jupyterd.auth.guard import Guard
    from jupyterd.contents.service import Contents
    from jupyterd.events.bus import EventBus
    from jupyterd.extensions.host import ExtensionHost
    from jupyterd.extensions.inquiry import Inquiry
    from jupyterd.kernels.manager import MappingKernelManager
    from jupyterd.sessions.manager import SessionManager
    from jupyterd.settings.load import Settings


def wanted(settings: Settings) -> list[str]:
    """The extensions that need a host; none where the operator wants none."""
    from jupyterd.extensions.discovery import JUPYTEXT, hosted

    server = settings.server
    if not server.extension_host:
        return []
    return hosted(server.jpserver_extensions, JUPYTEXT, server.config)


class HostParts:
    """Builds the host of a daemon.

    :param kernels: gives the kernel manager; the other functions give what their names say.
    :param stop: ends the daemon.
    """

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        in_thread: InThread,
        *,
        guard: Callable[[], Guard],
        bus: Callable[[], EventBus],
        kernels: Callable[[], MappingKernelManager],
        sessions: Callable[[], SessionManager],
        contents: Callable[[], Contents],
        stop: Callable[[], None],
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._in_thread = in_thread
        self._guard = guard
        self._bus = bus
        self._kernels = kernels
        self._sessions = sessions
        self._contents = contents
        self._stop = stop

    def build(self, root: Root, extensions: list[str]) -> tuple[ExtensionHost, Inquiry]:
        """The host, its routes laid over ``root``, and what it can be asked."""
        from jupyterd.extensions.bridge import EventBridge
        from jupyterd.extensions.forwarding import Connections, Forwarder
        from jupyterd.extensions.host import ExtensionHost, HostSettings
        from jupyterd.extensions.inquiry import Inquiry
        from jupyterd.extensions.overlay import Overlay
        from jupyterd.system.daemon_directory import DaemonDirectory, local_places

        server = self._settings.server
        bridge = EventBridge(self._bus, self._stop)
        host = ExtensionHost(
            self._reactor,
            HostSettings(
                argv=self._settings.argv,
                directory=self._settings.directory,
                base_url=server.base_url,
                start_timeout=server.extension_host_start_timeout,
                wait=server.extension_host_wait,
                memory_limit=server.extension_host_memory_limit,
                stall_timeout=server.extension_host_stall_timeout,
            ),
            wanted=extensions,
            directory=DaemonDirectory("jupyterd-host-", local_places()),
            setup=self._setup,
            kernels=self._kernels,
            heard=bridge.heard,
            listen=lambda path: self._listen(host, path),
            in_thread=self._in_thread,
        )
        bridge.serve(host)
        connections = Connections(self._reactor, lambda: host.socket)
        root.overlay = Overlay(host, Forwarder(host, self._guard, connections), root.find)
        return host, Inquiry(host, connections)

    def _setup(self) -> Mapping[str, Any]:
        """What each run of the host is told of the server."""
        server = self._settings.server
        provider = self._guard().provider
        return {
            "port": server.port,
            "ip": server.ip,
            "sock": server.sock,
            "base_url": server.base_url,
            "certfile": server.certfile,
            "token": str(getattr(provider, "token", "") or ""),
            "root_dir": server.root_dir,
            "runtime_dir": server.runtime_dir,
            "log_level": server.log_level,
            "environ_path": os.environ.get("PATH", ""),
        }

    def _listen(self, host: ExtensionHost, path: str) -> Any:
        """Open the private socket."""
        from jupyterd.app.contents import mount
        from jupyterd.extensions.private_api import HostAPI, HostGate
        from jupyterd.sessions.resource import SessionsResource
        from jupyterd.web.server.site import Site

        private = Root("/")
        mount(private, self._contents, lambda *_, **__: b"")
        private.mount("/api/sessions", lambda: SessionsResource(self._sessions()).app.resource(), auth="")
        private.mount("/host", lambda: HostAPI(self._kernels(), self._contents).app.resource(), auth="")
        gate = HostGate(host.key, host.mirror.refresh)
        server = self._settings.server
        site = Site(
            private,
            gate,
            reactor=self._reactor,
            in_thread=self._in_thread,
            max_body=server.max_body_size,
            max_held=server.max_buffer_size,
        )
        site.noisy = False
        port = self._reactor.listenUNIX(path, site, mode=0o600)
        os.chmod(path, 0o600)
        return port
