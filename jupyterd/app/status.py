"""Where the server's own account of itself is mounted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from jupyterd.frontends.packages import package_dir
from jupyterd.web.root import Root

if TYPE_CHECKING:
    from jupyterd.settings.load import Settings
    from jupyterd.status.resource import StatusResource

STOP_DELAY = 0.1
"""Seconds between the answer to ``/api/shutdown`` and the end, so that it gets out."""


def mount(
    root: Root,
    settings: Settings,
    status: Callable[[], StatusResource],
    more_static: Callable[[], Awaitable[Sequence[str]]] | None = None,
) -> None:
    """Put the resources where clients look for them.

    :param more_static: directories of server extensions' static files.
    """
    server = settings.server
    made: list[Any] = []

    def resource() -> Any:
        if not made:
            made.append(status().app.resource())
        return made[0]

    def files() -> Any:
        from jupyterd.frontends.static_files import Assets
        from jupyterd.status.static_files import OwnFiles

        return OwnFiles(Assets(tuple(server.static_immutable_cache)), server.extra_static_paths, more_static).app.resource()

    def languages() -> Any:
        from jupyterd.status.lsp import NoLanguageServers

        return NoLanguageServers().app.resource()

    root.mount("/api", resource, auth="", public=True, exact=True)
    root.mount("/api/status", resource, auth="api", exact=True)
    root.mount("/api/spec.yaml", resource, auth="api", exact=True, page=True)
    root.mount("/api/shutdown", resource, auth="server", exact=True)
    root.mount("/metrics", resource, auth="", public=not server.authenticate_prometheus, exact=True)
    for path in ("/healthz", "/readyz"):
        root.mount(path, resource, auth="", public=True, exact=True)
    for path in ("/favicon.ico", "/robots.txt"):
        root.mount(path, files, auth="", public=True, exact=True, page=True)
    root.mount("/static", files, auth="", public=True, page=True)
    if package_dir("jupyterlab") is not None:
        root.mount("/lsp", languages, auth="lsp")
