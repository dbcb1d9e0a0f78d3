"""One listening client: each event is a JSON object with its ``schema_id`` and its data."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from jupyterd.events.bus import EventBus
from jupyterd.system import strict_json
from jupyterd.web.websocket.protocol import SocketProtocol

MAX_WAITING = 1000
"""Events that wait for a client that does not read; then it is cut off."""
TRY_AGAIN_LATER = 3013
"""Close code: the client was too slow. Codes below 3000 are not for applications to send (RFC 6455, section 7.4.2)."""


class EventsProtocol(SocketProtocol):
    """A client of ``/api/events/subscribe``; what it sends is ignored."""

    max_message = 64 * 1024

    def __init__(self, bus: EventBus, ping: tuple[float, float]) -> None:
        super().__init__()
        self.ping_interval, self.ping_timeout = ping
        self._bus = bus
        self._waiting: deque[bytes] = deque()
        self._slow = False
        self._stop: Callable[[], None] | None = None

    def opened(self) -> None:
        """Listen."""
        self._stop = self._bus.listen(self._heard)

    def closed(self, code: int, reason: str) -> None:
        """Listen no more."""
        if self._stop is not None:
            self._stop()
        self._waiting.clear()

    def paused(self) -> None:
        """Let events wait."""
        self._slow = True

    def resumed(self) -> None:
        """Send what has waited."""
        self._slow = False
        while self._waiting and not self._slow:
            self.sendMessage(self._waiting.popleft())

    def _heard(self, schema_id: str, data: dict[str, Any]) -> None:
        event = strict_json.dumps({"schema_id": schema_id, **data}, default=str).encode()
        if not self._slow:
            self.sendMessage(event)
        elif len(self._waiting) < MAX_WAITING:
            self._waiting.append(event)
        else:
            self.closed(TRY_AGAIN_LATER, "")
            self.sendClose(TRY_AGAIN_LATER, "too many events wait")
