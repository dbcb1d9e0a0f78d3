"""Event logger of extensions, joined to the daemon's bus: schemas and events pass both ways, each once."""

from __future__ import annotations

import json
from pathlib import Path, PurePath
from typing import Any

from jupyter_events import EventLogger
from jupyter_events.logger import SchemaNotRegistered

from jupyterd.extension_host.link import Link


class BridgedEventLogger(EventLogger):
    """Tells the daemon what extensions emit, and listeners here what it tells."""

    link: Link | None = None
    _from_daemon = False

    def bridge(self, link: Link) -> None:
        """Begin; schemas that are registered from now on are the daemon's too."""
        self.link = link

    def register_event_schema(self, schema: Any) -> None:
        """Know a kind of event, here and in the daemon."""
        super().register_event_schema(schema)
        if self.link is not None:
            self.link.send({"do": "schema", "schema": _text_of(schema)})

    def emit(self, *, schema_id: str, data: dict[str, Any], timestamp_override: Any = None) -> dict[str, Any] | None:
        """Tell an event.

        :raises ValidationError: the schema does not allow it; it is told nobody then.
        """
        told = super().emit(schema_id=schema_id, data=data, timestamp_override=timestamp_override)
        if self.link is not None and not self._from_daemon and schema_id in self.schemas:
            self.schemas.validate_event(schema_id, data)
            self.link.send({"do": "event", "schema_id": schema_id, "data": data})
        return told

    def hear(self, schema_id: str, data: dict[str, Any]) -> None:
        """An event of the daemon's."""
        self._from_daemon = True
        try:
            if schema_id in self.schemas:
                self.emit(schema_id=schema_id, data=data)
        except SchemaNotRegistered:
            pass  # an event that nobody here knows
        finally:
            self._from_daemon = False


def _text_of(schema: Any) -> str:
    if isinstance(schema, PurePath):
        return Path(schema).read_text(encoding="utf-8")
    return schema if isinstance(schema, str) else json.dumps(getattr(schema, "_schema", schema))
