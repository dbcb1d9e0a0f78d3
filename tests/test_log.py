"""Log lines: levels, times, tracebacks, and no secrets."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import Logger, LogLevel, globalLogPublisher
from twisted.python.failure import Failure

from jupyterd.log import (
    Console,
    Layout,
    Levels,
    application_log,
    bridge,
    level_number,
    line_of,
    log_request,
    scrub_uri,
)


@pytest.mark.parametrize(
    ("uri", "scrubbed"),
    [
        ("/lab?token=abc&x=1", "/lab?token=[secret]&x=1"),
        ("/cb?code=1&state=2", "/cb?code=[secret]&state=[secret]"),
        ("/x?_xsrf=1|2", "/x?_xsrf=[secret]"),
        ("/x?X-Auth-Key=1", "/x?X-Auth-Key=[secret]"),
        ("/x?a=token", "/x?a=token"),
        ("/x", "/x"),
        ("http://h/x?token=a#f", "http://h/x?token=[secret]#f"),
    ],
)
def test_secrets_of_a_query(uri: str, scrubbed: str) -> None:
    assert scrub_uri(uri) == scrubbed


def test_more_secrets() -> None:
    assert scrub_uri("/x?sig=1&y=2", ["sig"]) == "/x?sig=[secret]&y=2"


@given(st.text("abcdef", min_size=20), st.sampled_from(["token", "api_key", "access_token", "Token"]))
def test_no_value_of_a_secret_parameter_is_left(value: str, name: str) -> None:
    assert value not in scrub_uri(f"/x?a=1&{name}={value}&b=2")


def events(log: Logger) -> list[dict[str, object]]:
    seen: list[dict[str, object]] = []
    log.observer = seen.append  # type: ignore[assignment]
    return seen


def test_a_line() -> None:
    log = Logger(namespace="jupyterd.kernels")
    seen = events(log)
    log.warn("kernel {id} died", id="k1")
    line = line_of({**seen[0], "log_time": 0.123})
    assert line.startswith("[W 19")
    assert line.endswith(".123 jupyterd.kernels] kernel k1 died\n")


def test_a_failure_has_its_traceback() -> None:
    log = Logger(namespace="x")
    seen = events(log)
    try:
        1 / 0  # noqa: B018
    except ZeroDivisionError:
        log.failure("that went wrong", Failure())
    assert "that went wrong\n    Traceback" in line_of(seen[0])
    assert "ZeroDivisionError" in line_of(seen[0])


def test_a_layout_of_one_s_own() -> None:
    event = {"log_format": "x", "log_time": 0.0, "log_level": LogLevel.warn, "log_namespace": "n"}
    assert line_of(event, Layout("%(levelname)s%(highlevel)s %(name)s: %(message)s")) == "WARNING WARNING | n: x\n"
    assert line_of(event, Layout("%(asctime)s", "%Y")) in ("1969\n", "1970\n")
    assert line_of(event, Layout("%(color)s%(message)s%(end_color)s", colors=True)) == "\x1b[33mx\x1b[0m\n"
    for wrong in ("%(nothing)s", "%(message)d", "%", "%s %s"):
        with pytest.raises(ValueError, match="log_format can not be used"):
            Layout(wrong)


def test_a_stream_that_is_gone_stops_nobody() -> None:
    stream = io.StringIO()
    Console(stream)({"log_format": "x", "log_time": 0.0, "log_level": LogLevel.info})
    assert stream.getvalue().endswith("] x\n")
    stream.close()
    Console(stream)({"log_format": "x", "log_time": 0.0, "log_level": LogLevel.info})


@pytest.mark.parametrize(
    ("level", "expected"), [(logging.DEBUG, "DIWECd"), (logging.INFO, "IWEC"), (logging.ERROR, "EC")]
)
def test_levels(level: int, expected: str) -> None:
    seen: list[str] = []
    ours = Levels(level).filter(lambda event: seen.append(event["log_level"].name[0]))  # type: ignore[arg-type]
    for name in ("debug", "info", "warn", "error", "critical"):
        ours({"log_level": LogLevel.levelWithName(name), "log_namespace": "jupyterd.x"})
    ours({"log_level": LogLevel.info, "log_namespace": "twisted.web.server.Site"})
    letters = {"d": "D", "i": "I", "w": "W", "e": "E", "c": "C"}
    wanted = expected.removesuffix("d") + ("I" if expected.endswith("d") else "")
    assert "".join(letters[letter] for letter in seen) == wanted


@pytest.fixture
def published() -> Iterator[list[dict[str, object]]]:
    seen: list[dict[str, object]] = []
    observer = seen.append
    globalLogPublisher.addObserver(observer)  # type: ignore[arg-type]
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield seen
    globalLogPublisher.removeObserver(observer)  # type: ignore[arg-type]
    root.handlers[:] = before
    root.setLevel(level)
    logging.getLogger("ServerApp").handlers.clear()


def test_loggers_of_libraries_reach_the_log(published: list[dict[str, object]]) -> None:
    application_log("ServerApp").setLevel(logging.INFO)
    bridge(logging.INFO, "ServerApp")
    bridge(logging.INFO, "ServerApp")
    logging.getLogger("jupyter_client").warning("%s of {braces}", "a record")
    logging.getLogger("jupyter_client").debug("not asked for")
    logging.getLogger("ServerApp").info("ours")
    told = [(event["log_namespace"], event["log_level"].name, line_of(event)) for event in published]  # type: ignore[attr-defined]
    assert [(name, level) for name, level, _ in told] == [("jupyter_client", "warn"), ("ServerApp", "info")]
    assert told[0][2].endswith("] a record of {braces}\n")


def test_before_the_log_begins_lines_go_to_stderr_once(capsys: pytest.CaptureFixture[str]) -> None:
    log = application_log("ServerApp")
    try:
        log.setLevel(logging.INFO)
        log.warning("careful")
        log.warning("careful")
    finally:
        log.handlers.clear()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("[W ")
    assert lines[0].endswith(" ServerApp] careful")


@pytest.mark.parametrize(
    ("status", "level"), [(200, logging.DEBUG), (304, logging.DEBUG), (302, logging.INFO), (404, logging.WARNING)]
)
def test_a_request_that_a_tornado_handler_answered(status: int, level: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    request = SimpleNamespace(
        method="GET",
        uri="/x?token=hush",
        remote_ip="::1",
        headers={"Referer": "/?token=hush"},
        request_time=lambda: 0.5,
    )
    handler = SimpleNamespace(
        get_status=lambda: status, request=request, settings={}, current_user=SimpleNamespace(username="u"),
        log=logging.getLogger("test"),
    )  # fmt: skip
    log_request(handler)
    assert caplog.records[-1].levelno == level
    assert caplog.records[-1].getMessage().startswith(f"{status} GET /x?token=[secret] (u@::1) 500.00ms")
    assert "hush" not in caplog.text
    handler.get_status = lambda: 500
    log_request(handler)
    assert "hush" not in caplog.text


def test_levels_by_namespace_and_while_the_log_is_written() -> None:
    seen: list[str] = []
    levels = Levels(logging.INFO, {"jupyterd.kernels": logging.DEBUG})
    ours = levels.filter(lambda event: seen.append(event["log_namespace"]))  # type: ignore[arg-type]

    def say() -> list[str]:
        seen.clear()
        for namespace in ("jupyterd.kernels.manager", "jupyterd.contents", "twisted.web"):
            ours({"log_level": LogLevel.debug, "log_namespace": namespace})
        return list(seen)

    assert say() == ["jupyterd.kernels.manager"]
    levels.set(logging.DEBUG, {"jupyterd.contents": logging.WARNING})
    assert say() == ["jupyterd.kernels.manager", "twisted.web"]
    levels.set(logging.INFO)
    assert say() == []
    levels.change("jupyterd", logging.DEBUG)
    assert say() == ["jupyterd.kernels.manager", "jupyterd.contents"]
    assert (levels.lowest("jupyterd.contents.service"), levels.lowest("jupyter")) == (logging.DEBUG, logging.INFO)
    levels.change("jupyterd", None)
    assert say() == []


@pytest.mark.parametrize(("level", "number"), [("debug", 10), ("WARNING", 30), ("25", 25), (40, 40)])
def test_level_names(level: int | str, number: int) -> None:
    assert level_number(level) == number


def test_a_level_that_is_none() -> None:
    with pytest.raises(ValueError, match="'loud' is no log level"):
        level_number("loud")
