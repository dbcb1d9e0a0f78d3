"""Events between the bus and the extension host: each is told once on either side, and goes round no circle."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

if TYPE_CHECKING:
    from jupyterd.events.bus import EventBus
    from jupyterd.extensions.host_supervisor import ExtensionHost


class EventBridge:
    """Takes what the host tells that concerns the server, and tells it what the server's bus is told.

    :param bus: gives the server's event bus.
    :param stop: ends the server, where an extension asks for that.
    """

    log = Logger()

    def __init__(self, bus: Callable[[], EventBus], stop: Callable[[], None]) -> None:
        self._bus = bus
        self._stop = stop
        self._host: ExtensionHost | None = None
        self._from_host = False

    def serve(self, host: ExtensionHost) -> None:
        """Begin to pass events on."""
        self._host = host
        self._bus().listen(self._tell_host)

    def _tell_host(self, schema_id: str, data: dict[str, Any]) -> None:
        if self._host is not None and not self._from_host and self._host.state in ("starting", "ready"):
            self._host.mirror.event(schema_id, data)

    def heard(self, message: dict[str, Any]) -> None:
        """A message of the host: an event, a schema, or that an extension wants the server to stop."""
        what = message.get("do")
        if what == "event":
            self._from_host = True
            try:
                self._bus().emit(str(message["schema_id"]), dict(message["data"]))
            finally:
                self._from_host = False
        elif what == "schema":
            self._bus().add_schema(str(message["schema"]))
        elif what == "shutdown":
            self.log.info("shutting down: a server extension asks for it")
            self._stop()
