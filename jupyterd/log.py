"""Where log events go: stdlib loggers into twisted.logger, lines as the Jupyter Server has them, no secrets."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable
from datetime import datetime
from typing import IO, Any
from urllib.parse import urlsplit, urlunsplit

from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    Logger,
    LogLevel,
    LogLevelFilterPredicate,
    formatEvent,
)
from zope.interface import implementer

SCRUBBED = frozenset({"token", "auth", "key", "code", "state", "xsrf"})
_LETTERS = {LogLevel.debug: "D", LogLevel.info: "I", LogLevel.warn: "W", LogLevel.error: "E", LogLevel.critical: "C"}


def scrub_uri(uri: str, extra: Iterable[str] = ()) -> str:
    """``uri`` with the values of secret query parameters replaced by ``[secret]``; the rest stays as it is written.

    :param extra: more names; a parameter is secret when its name contains one of them.
    """
    parts = urlsplit(uri)
    if not parts.query:
        return uri
    names = SCRUBBED.union(extra)
    query = "&".join(_scrub_pair(pair, names) for pair in parts.query.split("&"))
    return uri if query == parts.query else urlunsplit(parts._replace(query=query))


def _scrub_pair(pair: str, names: Iterable[str]) -> str:
    name, equals, _ = pair.partition("=")
    return f"{name}{equals}[secret]" if any(part in name.lower() for part in names) else pair


def log_request(handler: Any, record_prometheus_metrics: bool = True) -> None:
    """Log a request that a handler of Tornado's kind has answered, at the level its status deserves.

    :param record_prometheus_metrics: not used here; requests are counted where they are answered.
    """
    status, request = handler.get_status(), handler.request
    extra = handler.settings.get("extra_log_scrub_param_keys", ())
    user = getattr(getattr(handler, "current_user", None), "username", "")
    line = (
        f"{status} {request.method} {scrub_uri(request.uri, extra)} "
        f"({user}@{request.remote_ip}) {1000.0 * request.request_time():.2f}ms"
    )
    write = getattr(handler, "log", None) or logging.getLogger("ServerApp")
    if status >= 400:
        line += f" referer={scrub_uri(request.headers.get('Referer', 'None'), extra)}"
    if status >= 500 and status != 502:
        shown = {name: request.headers[name] for name in ("Host", "Accept", "User-Agent") if name in request.headers}
        write.error(json.dumps(shown, indent=2))
    write.log(_level_of(status), line)


def _level_of(status: int) -> int:
    if status < 300 or status == 304:
        return logging.DEBUG
    if status < 400:
        return logging.INFO
    return logging.WARNING if status < 500 else logging.ERROR


# -- events as lines


def line_of(event: LogEvent) -> str:
    """``[I 2026-01-31 12:00:00.123 jupyterd.kernels] text``, with the traceback of a failure below it."""
    when = datetime.fromtimestamp(event.get("log_time", 0))
    letter = _LETTERS.get(event.get("log_level", LogLevel.info), "I")
    text = formatEvent(event)
    if "log_failure" in event:
        text = f"{text}\n{event['log_failure'].getTraceback()}".strip()
    if "shows_secret" not in event:  # what is for people, at the start, keeps its shape
        # A line that a client made up, in a path for example, must not look like one of ours.
        text = text.replace("\n", "\n    ")
    moment = f"{when:%Y-%m-%d %H:%M:%S}.{when.microsecond // 1000:03d}"
    return f"[{letter} {moment} {event.get('log_namespace', '-')}] {text}\n"


@implementer(ILogObserver)
class Console:
    """Writes each event as a line to a stream; a stream that is gone is no reason to stop."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def __call__(self, event: LogEvent) -> None:
        """Write one."""
        try:
            self._stream.write(line_of(event))
            self._stream.flush()
        except (OSError, ValueError):
            pass  # where could it be told?


def at_least(level: int, observer: ILogObserver) -> ILogObserver:
    """``observer`` without the events below ``level`` (a number of the stdlib's logging)."""
    lowest = LogLevelFilterPredicate(defaultLogLevel=twisted_level(level))
    # Twisted's own transports tell of each connection; that is for those who debug.
    if level > logging.DEBUG:
        lowest.setLogLevelForNamespace("twisted", LogLevel.warn)
        lowest.setLogLevelForNamespace("log_legacy", LogLevel.warn)
    return FilteringLogObserver(observer, [lowest])


def twisted_level(level: int) -> Any:
    """The level of twisted.logger for one of the stdlib."""
    for number, name in ((50, "critical"), (40, "error"), (30, "warn"), (20, "info")):
        if level >= number:
            return LogLevel.levelWithName(name)
    return LogLevel.debug


# -- stdlib logging


class Bridge(logging.Handler):
    """Hands records of the stdlib's loggers (jupyter_client, traitlets, extensions) to twisted.logger."""

    def emit(self, record: logging.LogRecord) -> None:
        """One event under the logger's name."""
        try:
            text = record.getMessage()
            if record.exc_info:
                text += "\n" + logging.Formatter().formatException(record.exc_info)
            Logger(namespace=record.name).emit(twisted_level(record.levelno), "{text}", text=text)
        except Exception:  # noqa: BLE001 - a record that can not be formatted must not stop who logs it
            self.handleError(record)


class Direct(logging.Handler):
    """Writes records to stderr at once: for what is told before the log begins. Settings are read more than once."""

    def __init__(self) -> None:
        super().__init__()
        self._told: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """One line, once."""
        when = datetime.fromtimestamp(record.created)
        try:
            text = record.getMessage()
            if text in self._told:
                return
            self._told.add(text)
            if record.exc_info:
                text += "\n" + logging.Formatter().formatException(record.exc_info)
            moment = f"{when:%Y-%m-%d %H:%M:%S}.{int(record.msecs):03d}"
            sys.stderr.write(f"[{record.levelname[0]} {moment} {record.name}] {text}\n")
        except Exception:  # noqa: BLE001 - as above
            self.handleError(record)


def application_log(name: str) -> logging.Logger:
    """The logger of an application: straight to stderr until :func:`bridge` is called."""
    log = logging.getLogger(name)
    log.propagate = False
    if not any(isinstance(handler, (Direct, Bridge)) for handler in log.handlers):
        log.addHandler(Direct())
    return log


def bridge(level: int, *names: str) -> None:
    """From now on stdlib loggers write into twisted.logger.

    :param level: the lowest level that anything of it has.
    :param names: loggers of :func:`application_log`, which then no longer write to stderr themselves.
    """
    handler = Bridge()
    root = logging.getLogger()
    root.handlers[:] = [other for other in root.handlers if not isinstance(other, Bridge)] + [handler]
    root.setLevel(max(level, logging.INFO))  # libraries' debug records are not asked for by --debug
    for name in names:
        logging.getLogger(name).handlers[:] = [handler]
