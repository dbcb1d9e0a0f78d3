"""Handlers of the stdlib's logging beside the server's own log: what ``ServerApp.logging_config`` asks for.

As in traitlets' applications there is a handler ``console``, which the logger ``ServerApp`` has unless it is told
otherwise. Here it stands for the server's own log, whatever that writes to. Other handlers write in a thread of theirs.
"""

from __future__ import annotations

import atexit
import logging
import logging.config
import os
from collections.abc import Mapping
from dataclasses import dataclass
from queue import Full, Queue
from threading import Thread
from typing import Any

from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    LogPublisher,
    formatEvent,
)
from zope.interface import implementer

from jupyterd.log import twisted_level

NAME = "ServerApp"
MOST_WAITING = 10_000
"""Records that wait for handlers; what comes while there are so many is left out, and counted."""
LAST_SECONDS = 2.0
"""For which the end of the process waits for handlers."""
_NUMBERS = {
    LogLevel.debug: logging.DEBUG,
    LogLevel.info: logging.INFO,
    LogLevel.warn: logging.WARNING,
    LogLevel.error: logging.ERROR,
    LogLevel.critical: logging.CRITICAL,
}


class BadLogging(ValueError):
    """A configuration that dictConfig does not take; one line for a person."""


class OwnLog(logging.NullHandler):
    """Stands for the server's own log."""


@dataclass
class Configured:
    """What was found in a configuration.

    :ivar handlers: other handlers than the server's own log.
    :ivar level: what is lower is not for them.
    :ivar own: the lowest level of the server's own log; None: it is not wanted.
    """

    handlers: list[logging.Handler]
    level: int
    own: int | None

    def beside(self, observer: ILogObserver) -> ILogObserver:
        """An observer that hands events to the server's own log, as far as it is wanted, and to the handlers."""
        observers: list[ILogObserver] = []
        if self.own is not None:
            observers.append(FilteringLogObserver(observer, [LogLevelFilterPredicate(twisted_level(self.own))]))
        if self.handlers:
            observers.append(ToHandlers(self.handlers, self.level))
        return LogPublisher(*observers)


def configure(given: Mapping[str, Any], log_format: str, log_datefmt: str) -> Configured:
    """Make what a configuration asks for; blocks while handlers open what they write to.

    :param given: as for :func:`logging.config.dictConfig`; what is missing is as in traitlets' applications.
    :raises BadLogging: it can not be made.
    """
    logger = logging.getLogger(NAME)
    handlers, level, propagate = logger.handlers[:], logger.level, logger.propagate
    try:
        logging.config.dictConfig(_merged(_default(log_format, log_datefmt), given))
        found, lowest = logger.handlers[:], logger.level
    except Exception as error:  # handlers' constructors raise what they like
        text = f"{error}: {error.__cause__}" if error.__cause__ else str(error)
        raise BadLogging(f"ServerApp.logging_config: {text}") from error
    finally:
        logger.handlers[:], logger.propagate = handlers, propagate
        logger.setLevel(level)
    own = [handler.level for handler in found if isinstance(handler, OwnLog)]
    others = [handler for handler in found if not isinstance(handler, OwnLog)]
    return Configured(others, lowest, min(own, default=None))


def _default(log_format: str, log_datefmt: str) -> dict[str, Any]:
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"console": {"class": "logging.Formatter", "format": log_format, "datefmt": log_datefmt}},
        "handlers": {"console": {"class": f"{__name__}.{OwnLog.__name__}"}},
        "loggers": {NAME: {"level": "DEBUG", "handlers": ["console"]}},
    }


def _merged(default: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(default)
    for name, value in given.items():
        before = merged.get(name)
        merged[name] = _merged(before, value) if isinstance(before, dict) and isinstance(value, Mapping) else value
    return merged


@implementer(ILogObserver)
class ToHandlers:
    """Hands events to handlers in a thread, as these may wait for a disk or for another machine.

    Events that show the address with the token are not for them.
    """

    def __init__(self, handlers: list[logging.Handler], level: int) -> None:
        self._handlers = handlers
        self._level = max(level, min(handler.level for handler in handlers))
        self._process = 0
        self._left_out = 0

    def __call__(self, event: LogEvent) -> None:
        """Hand one over."""
        level = _NUMBERS.get(event.get("log_level", LogLevel.info), logging.INFO)
        if level < self._level or event.get("shows_secret"):
            return
        text = formatEvent(event)
        if "log_failure" in event:
            text = f"{text}\n{event['log_failure'].getTraceback()}".strip()
        record = logging.LogRecord(str(event.get("log_namespace", NAME)), level, "", 0, text, (), None)
        record.created = event.get("log_time", record.created)
        record.msecs = 1000 * (record.created % 1)
        self._put(record)

    def _put(self, record: logging.LogRecord) -> None:
        if self._process != os.getpid():  # threads do not go along into the background
            self._start()
        try:
            self._waiting.put_nowait(record)
        except Full:
            self._left_out += 1

    def _start(self) -> None:
        self._process = os.getpid()
        self._waiting: Queue[logging.LogRecord | None] = Queue(MOST_WAITING)
        self._thread = Thread(target=self._work, name="logging-config", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def _work(self) -> None:
        while (record := self._waiting.get()) is not None:
            self._handle(record)
            if self._left_out:
                text, self._left_out = f"{self._left_out} lines before this one were left out", 0
                self._handle(logging.LogRecord(__name__, logging.WARNING, "", 0, text, (), None))

    def _handle(self, record: logging.LogRecord) -> None:
        for handler in self._handlers:
            if record.levelno >= handler.level:
                handler.handle(record)

    def close(self) -> None:
        """Wait a little for what is still to be handled."""
        if self._process != os.getpid():
            return
        self._process = 0
        atexit.unregister(self.close)
        try:
            self._waiting.put(None, timeout=LAST_SECONDS)
            self._thread.join(LAST_SECONDS)
        except Full:
            pass  # a handler that hangs
