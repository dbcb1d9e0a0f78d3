"""The account of a daemon, the recent lines of its log, and the routes to both."""

from __future__ import annotations

import json
import logging
import os
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.logger import Logger, LogLevel, globalLogPublisher

from jupyterd.dashboard.log_lines import KEPT, MAX_LINE_LENGTH, LogLines
from jupyterd.dashboard.resource import MAX_NAMESPACES, DashboardResource
from jupyterd.dashboard.status_report import FRESH, MAX_ROUTES, Account, Sources
from jupyterd.log import Levels
from jupyterd.log_scrub import Scrubber
from jupyterd.testing.deferreds import at_once
from jupyterd.testing.http import MemorySite


class House:
    """What an account is made of; ``asked`` counts how often it was."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.messages, self.asked = 100, 0
        self.requests = [(f"GET /{number}", 1, float(number)) for number in range(40)]

        async def sessions() -> list[dict[str, Any]]:
            return [{"path": "a.ipynb", "kernel": {"id": "k1"}}, {"path": "gone.ipynb", "kernel": None}]

        self.account = Account(
            self.clock,
            at_once,
            Sources(
                kernels=self.kernels,
                terminals=lambda: [{"name": "1", "last_activity": ""}],
                sessions=sessions,
                people=lambda: [{"name": "Ada", "tabs": 2}],
                threads=list,
                reactor=lambda: {"stalls": 0},
                requests=lambda: self.requests,
                about=lambda: {"root_dir": "/srv"},
                more={"extensions": lambda: {"running": False}},
            ),
            started=0.0,
        )

    def kernels(self) -> list[dict[str, Any]]:
        self.asked += 1
        row = {"id": "k1", "name": "python3", "pid": os.getpid(), "messages": self.messages}
        return [row, {"id": "k2", "name": "far", "pid": None, "messages": 0}]


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def site(house: House, monkeypatch: pytest.MonkeyPatch) -> MemorySite:
    served = MemorySite()

    def render(name: str, **values: Any) -> bytes:
        return f"{name} {values['front_end']}".encode()

    levels = Levels(logging.INFO)
    monkeypatch.setattr(logging.getLogger(), "level", logging.WARNING)
    resource = DashboardResource(house.account, LogLines(), render, lambda: "lab/tree/", levels).app.resource
    served.root.mount("/jupyterd", lambda: resource(), auth="server", exact=True, page=True)
    served.root.mount("/api/jupyterd", lambda: resource(), auth="server")
    return served


def test_it_tells_of_everything(house: House, site: MemorySite) -> None:
    account = site.request("GET", "/api/jupyterd/status").json()
    first, second = account["kernels"]
    assert first["paths"] == ["a.ipynb"]
    assert first["memory"] > 1_000_000
    assert first["processes"] >= 1
    assert (second["memory"], second["cpu"], second["paths"]) == (None, None, [])
    assert account["pid"] == os.getpid()
    assert account["root_dir"] == "/srv"
    assert account["people"] == [{"name": "Ada", "tabs": 2}]
    assert account["extensions"] == {"running": False}
    assert len(account["requests"]) == MAX_ROUTES
    assert account["requests"][0]["route"] == "GET /39"


def test_rates_are_those_between_two_looks(house: House, site: MemorySite) -> None:
    assert site.request("GET", "/api/jupyterd/status").json()["kernels"][0]["rate"] == 0.0
    house.messages += 50
    house.clock.advance(2.0)
    assert site.request("GET", "/api/jupyterd/status").json()["kernels"][0]["rate"] == 25.0


def test_however_many_look_it_is_made_once(house: House, site: MemorySite) -> None:
    for _ in range(20):
        site.request("GET", "/api/jupyterd/status")
    assert house.asked == 1
    house.clock.advance(FRESH)
    site.request("GET", "/api/jupyterd/status")
    assert house.asked == 2


def test_the_page_is_not_kept_by_browsers(site: MemorySite) -> None:
    answer = site.request("GET", "/jupyterd")
    assert (answer.body, answer.header("cache-control")) == (b"dashboard.html lab/tree/", "no-store")


@pytest.mark.parametrize("after", ["x", "-1", "1.5"])
def test_a_number_that_is_none(site: MemorySite, after: str) -> None:
    answer = site.request("GET", f"/api/jupyterd/log?after={after}")
    assert (answer.status, answer.json()["message"]) == (400, "after must be a number")


# -- the log


def test_a_level_can_be_changed_and_taken_away(site: MemorySite) -> None:
    def put(**body: Any) -> Any:
        return site.request("PUT", "/api/jupyterd/log-level", json.dumps(body).encode())

    assert put(namespace="a.b", level="debug").json() == {"level": "INFO", "namespaces": {"a.b": "DEBUG"}}
    assert logging.getLogger("a.b").level == logging.DEBUG
    assert put(level="WARNING").json()["level"] == "WARNING"
    assert put(namespace="a.b", level=None).json() == {"level": "WARNING", "namespaces": {}}
    assert logging.getLogger("a.b").level == logging.NOTSET
    assert site.request("GET", "/api/jupyterd/log-level").json()["level"] == "WARNING"
    for body, why in (
        ({"level": "loud"}, "'loud' is no log level"),
        ({"namespace": 1, "level": "INFO"}, "namespace"),
        ({"namespace": "a"}, "level"),
        ({"level": None}, "not taken away"),
    ):
        answer = put(**body)
        assert (answer.status, why in answer.json()["message"]) == (400, True), answer.json()


def test_levels_of_their_own_have_a_bound(site: MemorySite) -> None:
    for number in range(MAX_NAMESPACES + 1):
        body = json.dumps({"namespace": f"n{number}", "level": "INFO"}).encode()
        answer = site.request("PUT", "/api/jupyterd/log-level", body)
    assert (answer.status, "100 namespaces" in answer.json()["message"]) == (400, True)


@pytest.fixture
def lines() -> Any:
    kept = LogLines()
    kept.startService()
    yield kept
    kept.stopService()


def test_recent_lines_by_number_and_kernel(lines: LogLines) -> None:
    log = Logger(namespace="jupyterd.kernels")
    log.info("kernel {kernel_id} started", kernel_id="k1")
    log.debug("not this")
    log.warn("kernel {kernel_id} died", kernel_id="k2")
    assert [line["text"] for line in lines.after(0)] == ["kernel k1 started", "kernel k2 died"]
    assert [line["text"] for line in lines.after(1)] == ["kernel k2 died"]
    assert [line["number"] for line in lines.after(0, "k1")] == [1]


def test_others_tell_what_is_wrong_and_no_more(lines: LogLines) -> None:
    Logger(namespace="twisted.web").info("starting factory")
    Logger(namespace="twisted.web").error("broken")
    assert [line["text"] for line in lines.after(0)] == ["broken"]


def test_no_secret_is_kept(lines: LogLines) -> None:
    scrub = Scrubber(lambda: ["hunter22"])
    event = {"log_format": "{what}", "what": "hunter22", "log_level": LogLevel.warn, "log_namespace": "jupyterd"}
    scrub(event)
    lines(event)
    lines({"log_format": "?token=x", "log_level": LogLevel.info, "log_namespace": "jupyterd", "shows_secret": True})
    assert [line["text"] for line in lines.after(0)] == ["[secret]"]


def test_it_is_bounded(lines: LogLines) -> None:
    log = Logger(namespace="jupyterd")
    for _ in range(KEPT + 10):
        log.info("{text}", text="x" * (2 * MAX_LINE_LENGTH))
    assert len(lines.after(0)) == KEPT
    assert all(len(line["text"]) == MAX_LINE_LENGTH for line in lines.after(0))


def test_after_its_end_nothing_is_kept() -> None:
    kept = LogLines()
    kept.startService()
    kept.stopService()
    Logger(namespace="jupyterd").warn("late")
    assert kept.after(0) == []
    assert kept not in globalLogPublisher._observers
