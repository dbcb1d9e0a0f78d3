"""Styles of the log beside text: JSON, one object a line, and native fields for the systemd journal."""

from __future__ import annotations

import json
import os
import socket
from datetime import datetime, timezone
from typing import IO, Any

from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from zope.interface import implementer

from jupyterd.system.timestamps import with_z

STYLES = ("text", "json", "journal")
JOURNAL = "/run/systemd/journal/socket"
MAX_FIELD = 32 * 1024
"""Bytes of one field for the journal, characters of one value in JSON: longer ones are cut."""
LARGEST_ENTRY = 192 * 1024
"""Bytes of one entry for the journal: one datagram of what Linux lets through by default."""
_OUR_OWN = frozenset({
    "log_format", "log_level", "log_logger", "log_namespace", "log_source", "log_time", "log_failure", "log_system",
    "log_trace", "log_text", "log_legacy", "log_flattened", "time", "format", "system", "isError", "message",
    "shows_secret",
})  # fmt: skip
_PRIORITY = {
    LogLevel.debug: 7, LogLevel.info: 6, LogLevel.warn: 4, LogLevel.error: 3, LogLevel.critical: 2,
}  # fmt: skip
"""Source: syslog(3)."""
_PLAIN = (str, int, float, bool, type(None))
_RENAMED = {"kernel_id": "kernel", "request_id": "request", "session_id": "session", "terminal_name": "terminal"}
"""Fields of events whose name in the journal is what one would type: ``journalctl JUPYTERD_KERNEL=…``."""


def fields_of(event: LogEvent) -> dict[str, Any]:
    """What an event holds beside its text: its own named fields, plain values only."""
    found: dict[str, Any] = {}
    for name, value in event.items():
        if name in _OUR_OWN or name.startswith("_") or not name.isidentifier():
            continue
        found[name] = _cut(value if isinstance(value, _PLAIN) else str(value))
    return found


def _cut(value: Any) -> Any:
    if isinstance(value, str) and len(value) > MAX_FIELD:
        return value[:MAX_FIELD] + "..."
    return value


def json_of(event: LogEvent) -> str:
    """One line of JSON: ``time`` (ISO 8601, UTC), ``level``, ``logger``, ``message``, ``traceback``, and its fields."""
    when = datetime.fromtimestamp(event.get("log_time", 0.0), timezone.utc)
    level = event.get("log_level", LogLevel.info)
    entry: dict[str, Any] = {
        "time": with_z(when, "milliseconds"),
        "level": getattr(level, "name", str(level)),
        "logger": event.get("log_namespace", "-"),
        "message": formatEvent(event),
    }
    if "log_failure" in event:
        entry["traceback"] = event["log_failure"].getTraceback()
    for name, value in fields_of(event).items():
        if value != entry["message"]:  # a text that is all of the event need not stand there twice
            entry.setdefault(name, value)
    return json.dumps(entry, ensure_ascii=False, default=str)


@implementer(ILogObserver)
class JSONLines:
    """Writes each event as a line of JSON to a stream; a stream that is gone is no reason to stop."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def __call__(self, event: LogEvent) -> None:
        """Write one."""
        try:
            self._stream.write(json_of(event) + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            pass  # where could it be told?


def entry_of(event: LogEvent) -> bytes:
    """An event in the journal's native form.

    ``MESSAGE``, ``PRIORITY``, ``SYSLOG_IDENTIFIER`` and ``LOGGER``; each field of the event as ``JUPYTERD_<NAME>``. A
    value with a line end is sent with its length. Source: systemd, "Native Journal Protocol".
    """
    text = formatEvent(event)
    if "log_failure" in event:
        text = f"{text}\n{event['log_failure'].getTraceback()}".strip()
    entry: dict[str, Any] = {
        "MESSAGE": _cut(text),
        "PRIORITY": _PRIORITY.get(event.get("log_level"), 6),
        "SYSLOG_IDENTIFIER": "jupyterd",
        "LOGGER": event.get("log_namespace", "-"),
    }
    for name, value in fields_of(event).items():
        shown = _RENAMED.get(name, name).upper()
        if shown.isascii():
            entry[f"JUPYTERD_{shown}"[:64]] = value
    return _packed(entry)


def _packed(entry: dict[str, Any]) -> bytes:
    out = bytearray()
    for name, value in entry.items():
        raw = str(value).encode("utf-8", "replace")[:MAX_FIELD]
        if len(out) + len(raw) > LARGEST_ENTRY:
            break
        if b"\n" in raw:
            out += name.encode() + b"\n" + len(raw).to_bytes(8, "little") + raw + b"\n"
        else:
            out += name.encode() + b"=" + raw + b"\n"
    return bytes(out)


@implementer(ILogObserver)
class Journal:
    """Sends each event to the systemd journal, by its own socket; to ``fallback`` where that does not take it.

    :param fallback: gets what the journal does not take.
    :param address: the journal's socket.
    """

    def __init__(self, fallback: ILogObserver, address: str = JOURNAL) -> None:
        self._fallback = fallback
        self._address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)

    def __call__(self, event: LogEvent) -> None:
        """Send one."""
        try:
            self._socket.sendto(entry_of(event), self._address)
        except OSError:  # it is not there, or its queue is full
            self._fallback(event)


def has_journal(address: str = JOURNAL) -> bool:
    """Whether there is a journal on this machine."""
    return os.path.exists(address)
