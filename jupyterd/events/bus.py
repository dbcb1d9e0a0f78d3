"""Event bus: features tell it what happens, websockets and logging handlers hear it.

``jupyter_events`` takes long and much memory to import, for validating what comes from outside. Events of our own
features need none of that: they go straight to who listens. It is loaded when the operator has configured handlers
(``EventLogger.handlers``), or a client emits an event.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from glob import glob
from typing import Any

from traitlets.config import Config
from twisted.logger import Logger

from jupyterd.errors import Invalid

SCHEMAS = os.path.join(os.path.dirname(__file__), "schemas")
Listener = Callable[[str, dict[str, Any]], None]


class BadEvent(Invalid):
    """An event of a client that no registered schema describes."""


class EventBus:
    """Passes events on.

    :param config: the operator's settings; ``EventLogger`` is read.
    """

    log = Logger()

    def __init__(self, config: Config) -> None:
        self._config = config
        self._listeners: list[Listener] = []
        self._schemas: dict[str, None] = {}
        self._recorded = bool(config.get("EventLogger", {}).get("handlers"))

    def emit(self, schema_id: str, data: dict[str, Any]) -> None:
        """Tell of something that happened.

        Called by our own features, whose events are as their schemas say. Nothing that a listener does wrong reaches
        the caller.
        """
        if self._recorded:
            self._record(schema_id, data, None)
        self._tell(schema_id, data)

    def emit_from_client(
        self, schema_id: str, version: str, data: dict[str, Any], timestamp: datetime | None = None
    ) -> None:
        """Tell of something that a client says happened.

        :raises BadEvent: no such schema, another version of it, or data that it does not describe.
        """
        schemas = self.logger.schemas
        try:
            schema = schemas.get(schema_id)
        except KeyError as error:
            raise BadEvent(str(error)) from None
        if str(schema.version) != version:
            raise BadEvent(f"Unregistered version: {version!r}≠{schema.version!r} for `{schema_id}`")
        try:
            schemas.validate_event(schema_id, data)
        except Exception as error:  # noqa: BLE001 - a validator's own kinds; all mean that the data is wrong
            raise BadEvent(str(error)) from None
        if self._recorded:
            self._record(schema_id, data, timestamp)
        self._tell(schema_id, data)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with the schema's id and the data of each event, until the returned function is called."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    @cached_property
    def logger(self) -> Any:
        """The ``EventLogger``, with the schemas of the server; extensions register theirs here."""
        from jupyter_events import EventLogger

        logger = EventLogger(config=self._config)
        for path in sorted(glob(os.path.join(SCHEMAS, "*.yaml"))):
            with open(path, encoding="utf-8") as file:
                logger.register_event_schema(file.read())
        for schema in self._schemas:
            self._register(logger, schema)
        return logger

    def add_schema(self, schema: str) -> None:
        """Know events of another program.

        :param schema: JSON or YAML. One that can not be used, or whose id is known already, is left out.
        """
        if schema in self._schemas:
            return
        self._schemas[schema] = None
        if "logger" in self.__dict__:
            self._register(self.logger, schema)

    def _register(self, logger: Any, schema: str) -> None:
        try:
            logger.register_event_schema(schema)
        except Exception as error:  # noqa: BLE001 - its kinds are jupyter_events' own
            self.log.debug("an event schema is left out: {error}", error=str(error))

    def _record(self, schema_id: str, data: dict[str, Any], timestamp: datetime | None) -> None:
        try:
            self.logger.emit(schema_id=schema_id, data=data, timestamp_override=timestamp)
        except Exception:  # noqa: BLE001 - an operator's handler, or data that its schema refuses
            self.log.failure("event {schema_id} was not recorded", schema_id=schema_id)

    def _tell(self, schema_id: str, data: dict[str, Any]) -> None:
        for listener in list(self._listeners):
            try:
                listener(schema_id, data)
            except Exception:  # noqa: BLE001 - one listener must not keep an event from the others
                self.log.failure("a listener failed on {schema_id}", schema_id=schema_id)
