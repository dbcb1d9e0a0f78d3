"""Overlay of extensions' routes on the server's own mounts: asked first for each request's mount."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.web.resource import IResource

from jupyterd.extensions.http.forwarding import ForwardedResource, Forwarder
from jupyterd.extensions.http.websocket import WebSocketResource
from jupyterd.extensions.routes import Route, is_of_contents, is_reserved
from jupyterd.web.root import Mount

if TYPE_CHECKING:
    from jupyterd.extensions.host_supervisor import ExtensionHost
    from jupyterd.web.server.request import Request

UNLIMITED = 1 << 62
"""Bytes of a body that is passed on: the host has its own limits."""


class Overlay:
    """Finds the mounts of extensions' routes.

    :param host: knows the routes.
    """

    def __init__(self, host: ExtensionHost, forwarder: Forwarder) -> None:
        self._host = host
        self._http = ForwardedResource(forwarder)
        self._websocket = WebSocketResource(forwarder)
        self._mounts: dict[tuple[Route, bool], Mount] = {}
        self._expected = {page: Mount((), self._never, "", page=page, reports=True) for page in (False, True)}

    def find(self, request: Request, segments: Sequence[str] | None) -> Mount | None:
        """The mount of the extension that answers a request; None where none does.

        :param segments: the decoded path below ``base_url``; None outside of it.
        """
        route = self._host.routes.find(request.path.decode("utf-8", "replace"), segments)
        if route is None:
            return None
        return self._mount(route, route.websocket and _is_upgrade(request))

    def expected(self, request: Request) -> Mount | None:
        """Stands for the mount of a request that nobody answers now, and an extension may answer soon."""
        if not request.below_base or not self._is_expected(request):
            return None
        return self._expected[b"text/html" in (request.getHeader(b"accept") or b"")]

    def _is_expected(self, request: Request) -> bool:
        if not self._host.is_ready:
            if request.mount is not None and request.mount.forwarded:
                return True  # a route of a host that has ended, or is started anew
            if self._host.settings.contents and is_of_contents(request.segments):
                return True  # of another contents manager's files nobody wants to hear
        return request.mount is None and self._host.is_expected and not is_reserved(request.segments)

    def ready(self) -> Deferred[None]:
        """Fires when extensions answer; see :meth:`ExtensionHost.ready`."""
        return self._host.ready()

    def _mount(self, route: Route, websocket: bool) -> Mount:
        mount = self._mounts.get((route, websocket))
        if mount is None:
            mount = self._mounts[route, websocket] = self._made(route, websocket)
        return mount

    def _made(self, route: Route, websocket: bool) -> Mount:
        resource: Any = self._websocket if websocket else self._http

        def factory() -> IResource:
            return resource  # type: ignore[no-any-return]

        return Mount(
            ("extension", route.extension or "unknown"),
            factory,
            route.auth,
            page=not route.api and not websocket,
            websocket=websocket,
            body=None if websocket else self._http.sink,
            max_body=UNLIMITED,
            form=not websocket,
            own_xsrf=route.own_xsrf,
            forwarded=True,
        )

    @staticmethod
    def _never() -> IResource:
        raise AssertionError("what stands for a mount is never asked")


def _is_upgrade(request: Request) -> bool:
    return (request.getHeader(b"upgrade") or b"").lower() == b"websocket"
