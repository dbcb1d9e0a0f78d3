"""``logging_config``: handlers of the stdlib's beside the server's own log."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import LogEvent, Logger, LogPublisher

from jupyterd import log_config
from jupyterd.log_config import BadLogging, Configured, ToHandlers, configure


class Kit:
    """A log of the server's own, and a logger."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.own: list[LogEvent] = []
        self.publisher = LogPublisher()
        self.configured: Configured = configure(given, "%(levelname)s %(name)s %(message)s", "")
        observer = self.configured.beside(self.own.append)  # type: ignore[arg-type]
        self.publisher.addObserver(observer)
        self.handlers = [each for each in observer._observers if isinstance(each, ToHandlers)]  # type: ignore[attr-defined]
        self.log = Logger("jupyterd.here", observer=self.publisher)

    def close(self) -> None:
        for each in self.handlers:
            each.close()
        for handler in self.configured.handlers:
            handler.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "x.log"


@pytest.fixture
def kit(file: Path) -> Iterator[Kit]:
    to_file = {"class": "logging.FileHandler", "level": "DEBUG", "filename": str(file), "formatter": "console"}
    made = Kit(
        {
            "handlers": {"file": to_file, "console": {"level": "ERROR"}},
            "loggers": {"ServerApp": {"handlers": ["console", "file"]}},
        }
    )
    yield made
    made.close()


def test_a_file_gets_lines_and_the_server_s_own_log_those_of_its_level(kit: Kit, file: Path) -> None:
    kit.log.debug("small {thing}", thing="talk")
    kit.log.error("bad")
    kit.log.info("http://here/?token=x", shows_secret=True)
    try:
        raise ValueError("why")
    except ValueError:
        kit.log.failure("worse")
    kit.close()
    lines = file.read_text().splitlines()
    assert lines[:3] == ["DEBUG jupyterd.here small talk", "ERROR jupyterd.here bad", "CRITICAL jupyterd.here worse"]
    assert lines[-1] == "builtins.ValueError: why"
    assert "token" not in file.read_text()
    assert [event["log_format"] for event in kit.own] == ["bad", "worse"]


def test_without_console_the_server_s_own_log_is_silent(file: Path) -> None:
    handlers = {"file": {"class": "logging.FileHandler", "filename": str(file)}}
    kit = Kit({"handlers": handlers, "loggers": {"ServerApp": {"level": "WARNING", "handlers": ["file"]}}})
    kit.log.info("fine")
    kit.log.warn("odd")
    kit.close()
    assert (kit.own, file.read_text()) == ([], "odd\n")


def test_the_logger_is_as_it_was(file: Path) -> None:
    logger = logging.getLogger("ServerApp")
    before = (logger.handlers[:], logger.level, logger.propagate)
    Kit({"handlers": {"file": {"class": "logging.FileHandler", "filename": str(file)}}}).close()
    assert (logger.handlers[:], logger.level, logger.propagate) == before


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"handlers": {"file": {"class": "no.Such"}}}, "no"),
        ({"handlers": {"file": {"class": "logging.FileHandler", "filename": "/nowhere/x"}}}, "/nowhere/x"),
        ({"loggers": {"ServerApp": {"handlers": ["nothing"]}}}, "nothing"),
        ({"version": 7}, "version"),
    ],
)
def test_what_can_not_be_made_is_told(given: dict[str, Any], why: str) -> None:
    with pytest.raises(BadLogging, match=rf"^ServerApp\.logging_config: (?s:.*){why}"):
        configure(given, "%(message)s", "")


def test_a_handler_that_hangs_holds_up_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has no room for is counted, and told when it goes on."""
    from threading import Event

    go, begun, got = Event(), Event(), []

    class Slow(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            begun.set()
            go.wait(30)
            got.append(record.getMessage())

    monkeypatch.setattr(log_config, "MOST_WAITING", 3)
    handlers = ToHandlers([Slow()], logging.DEBUG)
    log = Logger("x", observer=handlers)
    log.info("0")
    assert begun.wait(30)
    for number in range(1, 10):
        log.info(str(number))
    go.set()
    handlers.close()
    assert got == ["0", "6 lines before this one were left out", "1", "2", "3"]
