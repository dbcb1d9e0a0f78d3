"""Routes of extensions whose host is away: who asks waits, or is told why and when to come again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jupyterd.extensions.host_failures import BACK_OFF
from jupyterd.extensions.route_overlay import Overlay
from jupyterd.testing.http import MemorySite
from jupyterd.web.root import Root
from tests.extensions.test_host_supervisor import READY, House


@pytest.fixture
def house(tmp_path: Path) -> House:
    made = House(tmp_path)
    made.say(**READY)
    return made


@pytest.fixture
def site(house: House) -> MemorySite:
    forwarder: Any = None  # nothing is forwarded here
    root = Root("/")
    root.overlay = Overlay(house.host, forwarder)
    return MemorySite(root)


def test_a_known_route_of_a_host_that_ends_again_and_again(house: House, site: MemorySite) -> None:
    for seconds in BACK_OFF[:3]:
        house.end()
        house.reactor.advance(seconds)
        house.say(**READY)
    house.end()
    house.reactor.advance(0)
    answer = site.request("GET", "/one/x")
    assert (answer.status, answer.header("retry-after")) == (503, "5")
    assert answer.json()["message"].startswith("The server extensions do not answer: ")
    assert answer.json()["message"].endswith("it is started again in a moment")
    assert site.request("GET", "/elsewhere").status == 404


def test_a_host_that_is_started_anew_is_waited_for(house: House) -> None:
    house.host.restart()
    waiting = house.host.ready()
    assert not waiting.called
    assert house.host.unavailable().message.endswith("it is started anew")
    house.end(0)
    assert not waiting.called
    house.say(**READY)
    assert waiting.called
