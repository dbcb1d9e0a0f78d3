"""Periodic services: when they turn, and when they do not."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from jupyterd.system.periodic import Periodic


class Turning(Periodic):
    """Notes the times of its turns."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        super().__init__(clock)
        self.seconds = seconds
        self.turns: list[float] = []
        self.under_way: Deferred[None] | None = None

    def interval(self) -> float:
        return self.seconds

    def turn(self) -> Deferred[None] | None:
        self.turns.append(self._clock.seconds())
        return self.under_way


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_it_turns_from_its_start_to_its_stop(clock: Clock) -> None:
    service = Turning(clock, 10.0)
    clock.pump([10.0] * 2)
    service.startService()
    clock.pump([10.0] * 3)
    service.stopService()
    clock.pump([10.0] * 3)
    assert service.turns == [30.0, 40.0, 50.0]
    service.startService()
    clock.advance(10.0)
    assert service.turns[3:] == [90.0]


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_without_an_interval_there_is_no_turn(clock: Clock, seconds: float) -> None:
    service = Turning(clock, seconds)
    service.startService()
    clock.advance(1000.0)
    service.stopService()
    assert service.turns == []


def test_a_turn_is_waited_for(clock: Clock) -> None:
    service = Turning(clock, 10.0)
    service.under_way = Deferred()
    service.startService()
    clock.pump([10.0] * 3)
    assert service.turns == [10.0]
    waiting, service.under_way = service.under_way, None
    waiting.callback(None)
    clock.advance(10.0)
    assert service.turns == [10.0, 40.0]


def test_the_first_turn_may_be_at_the_start(clock: Clock) -> None:
    service = Turning(clock, 10.0)
    service.first_at_once = True
    service.startService()
    assert service.turns == [0.0]


def test_a_turn_that_fails_is_the_last(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    service = Turning(clock, 10.0)
    service.under_way = Deferred()
    service.under_way.errback(RuntimeError("no"))
    service.startService()
    clock.pump([10.0] * 3)
    assert service.turns == [10.0]
    service.stopService()
