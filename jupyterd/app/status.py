"""The server's own account of itself, from the parts, and where it is mounted; its events too."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jupyterd.frontends.packages import package_dir
from jupyterd.web.root import Root

if TYPE_CHECKING:
    from jupyterd.app.parts import Parts
    from jupyterd.events.bus import EventBus
    from jupyterd.settings.load import Settings
    from jupyterd.status.resource import StatusResource
    from jupyterd.supervision.idle_stop import IdleStop
    from jupyterd.system.threads import InThread

STOP_DELAY = 0.1
"""Seconds between the answer to ``/api/shutdown`` and the end, so that it gets out."""


def resource(parts: Parts) -> StatusResource:
    """``/api/status``, metrics and health of a daemon."""
    from jupyterd.status.metrics import Metrics
    from jupyterd.status.resource import StatusResource

    def connections() -> int:
        return parts.kernels.connections

    def terminals() -> int:
        return len(parts.terminals) if parts.server.terminals_enabled else 0

    return StatusResource(
        activity=parts.activity,
        metrics=Metrics(parts.request_times, parts.activity, lambda: parts.kernels.running(), connections, terminals),
        kernels=lambda: len(parts.kernels.living()),
        connections=connections,
        stop=lambda: parts.reactor.callLater(STOP_DELAY, parts.reactor.stop),
        ready=lambda: bool(parts.services.running),
        in_thread=parts.in_thread,
    )


def idle_stop(parts: Parts) -> IdleStop:
    """Ends a daemon that nobody uses."""
    from jupyterd.supervision.idle_stop import IdleStop

    def busy() -> int:
        return len(parts.kernels.living()) + (len(parts.terminals) if parts.server.terminals_enabled else 0)

    return IdleStop(
        parts.reactor,
        parts.server.shutdown_no_activity_timeout,
        busy=busy,
        last_used=parts.activity.last,
        stop=parts.reactor.stop,
    )


def mount(root: Root, settings: Settings, status: Callable[[], StatusResource]) -> None:
    """Put the resources where clients look for them."""
    server = settings.server

    def account() -> Any:
        return status().app.resource()

    def files() -> Any:
        from jupyterd.frontends.static_files import Assets
        from jupyterd.status.static_files import OwnFiles

        return OwnFiles(Assets(tuple(server.static_immutable_cache)), server.extra_static_paths).app.resource()

    def languages() -> Any:
        from jupyterd.status.lsp import NoLanguageServers

        return NoLanguageServers().app.resource()

    root.mount(["/api", "/healthz", "/readyz"], account, auth="", public=True, exact=True)
    root.mount("/api/status", account, auth="api", exact=True)
    root.mount("/api/spec.yaml", account, auth="api", exact=True, page=True)
    root.mount("/api/shutdown", account, auth="server", exact=True)
    root.mount("/metrics", account, auth="", public=not server.authenticate_prometheus, exact=True)
    root.mount(["/favicon.ico", "/robots.txt"], files, auth="", public=True, exact=True, page=True)
    root.mount("/static", files, auth="", public=True, page=True)
    if package_dir("jupyterlab") is not None:
        root.mount("/lsp", languages, auth="lsp")


def mount_events(root: Root, bus: Callable[[], EventBus], in_thread: InThread) -> None:
    """Put ``/api/events`` and its websocket."""

    def events() -> Any:
        from jupyterd.events.resource import EventsResource

        return EventsResource(bus(), in_thread).app.resource()

    root.mount("/api/events", events, auth="events", exact=True)
    root.mount("/api/events/subscribe", events, auth="events", exact=True, websocket=True)
