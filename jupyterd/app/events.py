"""Where the event bus is mounted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyterd.system.threads import InThread
from jupyterd.web.root import Root

if TYPE_CHECKING:
    from jupyterd.events.bus import EventBus


def mount(root: Root, bus: EventBus, in_thread: InThread) -> None:
    """``/api/events`` and ``/api/events/subscribe``."""
    made: list[Any] = []

    def resource() -> Any:
        from jupyterd.events.resource import EventsResource

        if not made:
            made.append(EventsResource(bus, in_thread).app.resource())
        return made[0]

    root.mount("/api/events", resource, auth="events", exact=True)
    root.mount("/api/events/subscribe", resource, auth="events", exact=True, websocket=True)
