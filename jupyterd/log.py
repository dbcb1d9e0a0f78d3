"""Log events: stdlib loggers into twisted.logger, lines as the Jupyter Server has them, no secrets."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
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
# The word for a level, and the number of its color on terminals.
_LEVELS = {
    LogLevel.debug: ("DEBUG", 4),
    LogLevel.info: ("INFO", 2),
    LogLevel.warn: ("WARNING", 3),
    LogLevel.error: ("ERROR", 1),
    LogLevel.critical: ("CRITICAL", 5),
}


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


@dataclass(frozen=True)
class Layout:
    """How a line is put together.

    :ivar format: of :class:`logging.Formatter`'s kind: name, levelname, asctime, msecs, message; color, end_color and
        highlevel too, as for the Jupyter Server.
    :ivar datefmt: of ``strftime``, for asctime.
    :ivar colors: whether color and end_color are those of a terminal.
    :raises ValueError: the format can not be used.
    """

    format: str = "%(color)s[%(levelname)1.1s %(asctime)s.%(msecs).03d %(name)s]%(end_color)s %(message)s"
    datefmt: str = "%Y-%m-%d %H:%M:%S"
    colors: bool = False

    def __post_init__(self) -> None:
        try:
            self.line("name", LogLevel.info, 0.0, "message")
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"log_format can not be used: {type(error).__name__}: {error}") from None

    def line(self, name: str, level: Any, time: float, message: str) -> str:
        """One event, without a line end."""
        when = datetime.fromtimestamp(time)
        word, color = _LEVELS.get(level, ("INFO", 2))
        return self.format % {
            "name": name,
            "levelname": word,
            "highlevel": f" {word} |" if color in (1, 3, 5) else "",
            "asctime": when.strftime(self.datefmt),
            "msecs": when.microsecond // 1000,
            "message": message,
            "color": f"\x1b[3{color}m" if self.colors else "",
            "end_color": "\x1b[0m" if self.colors else "",
        }


_PLAIN = Layout()


def line_of(event: LogEvent, layout: Layout = _PLAIN) -> str:
    """``[I 2026-01-31 12:00:00.123 jupyterd.kernels] text``, with the traceback of a failure below it."""
    text = formatEvent(event)
    if "log_failure" in event:
        text = f"{text}\n{event['log_failure'].getTraceback()}".strip()
    if "shows_secret" not in event:  # what is for people, at the start, keeps its shape
        # A line that a client made up, in a path for example, must not look like one of ours.
        text = text.replace("\n", "\n    ")
    name, level = event.get("log_namespace", "-"), event.get("log_level", LogLevel.info)
    return layout.line(name, level, event.get("log_time", 0.0), text) + "\n"


@implementer(ILogObserver)
class Console:
    """Writes each event as a line to a stream; a stream that is gone is no reason to stop."""

    def __init__(self, stream: IO[str], layout: Layout = _PLAIN) -> None:
        self.stream = stream
        self._layout = layout

    def __call__(self, event: LogEvent) -> None:
        """Write one."""
        try:
            self.stream.write(line_of(event, self._layout))
            self.stream.flush()
        except (OSError, ValueError):
            pass  # where could it be told?


class Levels:
    """The lowest levels that reach the log, for all and by namespace; they can change while it is written.

    :param level: a number of the stdlib's logging.
    :param namespaces: namespace (``jupyterd.kernels``, ``twisted``) → level, for it and all below it.
    """

    def __init__(self, level: int, namespaces: Mapping[str, int] | None = None) -> None:
        self._predicate = LogLevelFilterPredicate()
        self._set: set[str] = set()
        self.set(level, namespaces)

    def set(self, level: int, namespaces: Mapping[str, int] | None = None) -> None:
        """Take other levels from now on."""
        self.level, self.namespaces = level, dict(namespaces or {})
        self._predicate.clearLogLevels()
        self._predicate.setLogLevelForNamespace("", twisted_level(level))
        # Twisted's own transports tell of each connection; that is for those who debug.
        if level > logging.DEBUG:
            self._predicate.setLogLevelForNamespace("twisted", LogLevel.warn)
            self._predicate.setLogLevelForNamespace("log_legacy", LogLevel.warn)
        for namespace, lowest in self.namespaces.items():
            self._predicate.setLogLevelForNamespace(namespace, twisted_level(lowest))
        for namespace in self._set:
            logging.getLogger(namespace).setLevel(logging.NOTSET)
        self._set = set(self.namespaces)
        for namespace, lowest in self.namespaces.items():
            logging.getLogger(namespace).setLevel(lowest)  # a library's records come through the stdlib

    def change(self, namespace: str, level: int | None) -> None:
        """Another level from now on, until all are set anew.

        :param namespace: for it and all below it; empty: for all that have none of their own.
        :param level: None takes a namespace's own level away.
        """
        levels = {name: lowest for name, lowest in self.namespaces.items() if name != namespace}
        if namespace and level is not None:
            levels[namespace] = level
        if not namespace and level is not None:
            logging.getLogger().setLevel(max(level, logging.INFO))
        self.set(self.level if namespace or level is None else level, levels)

    def lowest(self, namespace: str) -> int:
        """The lowest level of a namespace that is logged."""
        parts = namespace.split(".")
        for count in range(len(parts), 0, -1):
            if (name := ".".join(parts[:count])) in self.namespaces:
                return self.namespaces[name]
        return self.level

    def describe(self) -> dict[str, Any]:
        """The levels by name, for people: ``level``, and ``namespaces`` with their own."""
        own = {name: logging.getLevelName(level) for name, level in sorted(self.namespaces.items())}
        return {"level": logging.getLevelName(self.level), "namespaces": own}

    def filter(self, observer: ILogObserver) -> ILogObserver:
        """``observer`` without the events below."""
        return FilteringLogObserver(observer, [self._predicate])


def twisted_level(level: int) -> Any:
    """The level of twisted.logger for one of the stdlib."""
    for number, name in ((50, "critical"), (40, "error"), (30, "warn"), (20, "info")):
        if level >= number:
            return LogLevel.levelWithName(name)
    return LogLevel.debug


def level_number(level: int | str) -> int:
    """The number of a level of the stdlib's: ``DEBUG``, ``"debug"``, ``10``.

    :raises ValueError: there is no such level.
    """
    if isinstance(level, int) or level.isdecimal():
        return int(level)
    number = logging.getLevelName(level.upper())
    if not isinstance(number, int):
        raise ValueError(f"{level!r} is no log level: DEBUG, INFO, WARNING, ERROR or CRITICAL")
    return number


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
        try:
            text = record.getMessage()
            if text in self._told:
                return
            self._told.add(text)
            if record.exc_info:
                text += "\n" + logging.Formatter().formatException(record.exc_info)
            sys.stderr.write(_PLAIN.line(record.name, twisted_level(record.levelno), record.created, text) + "\n")
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
