"""``/api/events``: emit an event; ``/api/events/subscribe``: hear all."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from jupyterd.errors import Invalid
from jupyterd.events.bus import EventBus
from jupyterd.system.threads import InThread
from jupyterd.web.api import Routes, json_api
from jupyterd.web.body_schema import Body
from jupyterd.web.call import Call

if TYPE_CHECKING:
    from jupyterd.events.protocol import EventsProtocol


EVENT = Body(
    {
        "type": "object",
        "required": ["schema_id", "version", "data"],
        "properties": {"schema_id": {"type": "string"}, "version": {}, "data": {"type": "object"}, "timestamp": {}},
    },
    absent="No JSON data provided",
    other="Missing `schema_id` in the JSON request body.",
    missing="Missing `{name}` in the JSON request body.",
)


class EventsResource:
    """The bus, for clients.

    :param ping: see :func:`jupyterd.web.websocket.ping.ping_times`.
    """

    app = Routes()
    api = json_api(app)

    def __init__(self, bus: EventBus, in_thread: InThread, ping: tuple[float, float]) -> None:
        self._bus = bus
        self._ping = ping
        self._in_thread = in_thread

    @api("POST", "/api/events", status=204, body=EVENT)
    async def emit(self, call: Call) -> None:
        """Emit an event: ``schema_id``, ``version``, ``data``, and maybe ``timestamp``.

        :raises Invalid: something is missing, or the schema does not allow it.
        """
        body = await call.json_object()
        schema_id, data = body["schema_id"], body["data"]
        await self._in_thread(lambda: self._bus.logger)  # the first time, its imports take a second
        self._bus.emit_from_client(schema_id, str(body["version"]), data, when(body.get("timestamp")))

    @api.websocket("/api/events/subscribe")
    async def subscribe(self, call: Call) -> EventsProtocol:
        """Hear all events."""
        from jupyterd.events.protocol import EventsProtocol

        return EventsProtocol(self._bus, self._ping)


def when(text: Any) -> datetime | None:
    """The time that a client gives an event: ISO 8601 with an offset, and a Z behind it.

    :raises Invalid: not such a time.
    """
    if text is None:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%zZ")
    except (ValueError, TypeError):
        raise Invalid(
            "Failed to parse timestamp from JSON request body, an ISO format datetime string with UTC offset is "
            "expected, for example, 2022-05-26T13:50:00+05:00Z"
        ) from None
