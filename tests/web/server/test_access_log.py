"""What the access log says of an answer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from twisted.logger import capturedLogs

from jupyterd.web.server.access_log import MAX_PATH, AccessLog


def answered(path: bytes, code: int) -> Any:
    client = SimpleNamespace(host="127.0.0.1")
    return SimpleNamespace(path=path, code=code, method=b"GET", client=client, request_id=b"1")


@pytest.mark.parametrize(("code", "level"), [(200, "debug"), (302, "info"), (404, "warn"), (500, "warn")])
def test_the_level_is_the_statuss(code: int, level: str) -> None:
    with capturedLogs() as events:
        AccessLog(verbose=True)(answered(b"/a", code), 0.5)
    (event,) = events
    assert (event["log_level"].name, event["path"], event["ms"]) == (level, "/a", 500)


def test_a_success_is_no_event_unless_asked_for() -> None:
    counted: list[float] = []
    with capturedLogs() as events:
        AccessLog(verbose=False, count=lambda _, seconds: counted.append(seconds))(answered(b"/a", 200), 0.5)
    assert (events, counted) == ([], [0.5])


def test_a_path_of_any_length_makes_a_line_of_few_characters() -> None:
    with capturedLogs() as events:
        AccessLog()(answered(b"/" + b"a" * 60_000, 404), 0.5)
    assert events[0]["path"] == "/" + "a" * (MAX_PATH - 1) + "..."
