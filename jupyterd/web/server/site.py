"""Site: the factory of all HTTP connections, and what their requests share."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger
from twisted.web import server

from jupyterd.web.pages import plain
from jupyterd.web.root import Root
from jupyterd.web.server.channel import Channel
from jupyterd.web.server.request import Gate, Request
from jupyterd.web.server.timeouts import Timeouts
from jupyterd.web.websocket.compression import Compression
from jupyterd.web.websocket.open_sockets import OpenSockets

if TYPE_CHECKING:
    from jupyterd.system.threads import InThread


class Site(server.Site):
    """The factory of all HTTP connections.

    :param root: the mounts.
    :param gate: decides on each request.
    :param max_body: bytes a body may have, where its mount says nothing else.
    :param max_held: bytes of a body that may be held in memory, where its mount does not stream it elsewhere.
    :param in_thread: parses what is large.
    :param compression: how messages of websockets are compressed, where clients ask for it; None for not at all.
    :param timeouts: how long clients may take.
    :param access: called with each answered request and the seconds it took.
    :param error_page: renders an error for people.
    :ivar refused: how many requests the gate refused, by check.
    """

    protocol = Channel  # type: ignore[assignment]
    requestFactory = Request
    defects = Logger()

    def __init__(
        self,
        root: Root,
        gate: Gate,
        *,
        reactor: Any,
        in_thread: InThread,
        max_body: int = 512 * 1024 * 1024,
        max_held: int = 512 * 1024 * 1024,
        compression: Compression | None = None,
        timeouts: Timeouts | None = None,
        access: Callable[[Request, float], None] | None = None,
        error_page: Callable[[Request, int, str], bytes] | None = None,
    ) -> None:
        super().__init__(None, reactor=reactor, timeout=None, parsePOSTFormSubmission=False)
        self.timeouts = timeouts or Timeouts(reactor)
        self.root = root
        self.gate = gate
        self.max_body = max_body
        self.max_held = max_held
        self.in_thread = in_thread
        self.compression = compression
        self._access = access
        self.error_page = error_page or plain
        self.open_sockets = OpenSockets()
        self.refused: dict[str, int] = {}

    def startFactory(self) -> None:
        """Nothing to open: the access log is an event, not a file."""

    def stopFactory(self) -> None:
        """Nothing to close."""

    def log(self, request: Request) -> None:  # type: ignore[override]
        """Note an answered request, or a websocket that was let through."""
        if self._access is not None:
            self._access(request, monotonic() - request.started)
