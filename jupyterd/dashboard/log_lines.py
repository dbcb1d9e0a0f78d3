"""Recent lines of the log, kept in memory for the dashboard and ``jupyterd logs``."""

from __future__ import annotations

from collections import deque
from typing import Any

from twisted.application.service import Service
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher
from zope.interface import implementer

KEPT = 500
"""Lines."""
MAX_LINE_LENGTH = 2000
"""Characters of a line."""
_SHOWN = {LogLevel.info, LogLevel.warn, LogLevel.error, LogLevel.critical}


@implementer(ILogObserver)
class LogLines(Service):
    """Keeps the last :data:`KEPT` events of level info and above, as lines, numbered.

    It stands behind the scrubber: no line has a secret. What is meant to show one (the address with the token) is
    left out.
    """

    def __init__(self) -> None:
        self._lines: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._count = 0

    def startService(self) -> None:
        """Keep what is logged from now on."""
        super().startService()
        globalLogPublisher.addObserver(self)

    def stopService(self) -> None:
        """Keep nothing more."""
        super().stopService()
        globalLogPublisher.removeObserver(self)

    def __call__(self, event: LogEvent) -> None:
        """Keep one."""
        level = event.get("log_level", LogLevel.info)
        namespace = event.get("log_namespace", "-")
        if level not in _SHOWN or "shows_secret" in event:
            return
        if level is LogLevel.info and not str(namespace).startswith("jupyterd"):
            return
        self._count += 1
        self._lines.append({
            "number": self._count,
            "time": event.get("log_time", 0.0),
            "level": level.name,
            "logger": namespace,
            "text": _cut(formatEvent(event)),
            "kernel_id": str(event.get("kernel_id", "")),
        })  # fmt: skip

    def after(self, number: int, kernel_id: str = "") -> list[dict[str, Any]]:
        """Lines with a higher number, oldest first; only those about a kernel if one is given."""
        return [
            line
            for line in list(self._lines)
            if line["number"] > number and (not kernel_id or line["kernel_id"] == kernel_id)
        ]


def _cut(text: str) -> str:
    """A text cut to :data:`MAX_LINE_LENGTH`: where it begins and where it ends, which of a stack tells most."""
    if len(text) <= MAX_LINE_LENGTH:
        return text
    head, tail = MAX_LINE_LENGTH // 4, MAX_LINE_LENGTH - MAX_LINE_LENGTH // 4 - 5
    return f"{text[:head]} ... {text[-tail:]}"
