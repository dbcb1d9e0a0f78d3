"""Stalls of the reactor: measured where the loop waits, told with the stack that held it."""

from __future__ import annotations

import selectors
import threading
import time
from typing import Any

import pytest
from twisted.logger import globalLogPublisher

from jupyterd.supervision.reactor_latency import TOLD_EVERY, StallWatchdog, Turns


@pytest.fixture
def told() -> Any:
    events: list[Any] = []

    def keep(event: Any) -> None:
        if "stall" in event.get("log_format", ""):
            events.append(event)

    globalLogPublisher.addObserver(keep)
    yield events
    globalLogPublisher.removeObserver(keep)


def test_turns_are_measured_between_two_waits() -> None:
    clock = iter([10.0, 10.0005, 11.0, 11.3, 20.0])
    turns = Turns(lambda: next(clock))
    select = turns.watch(lambda timeout: [])
    select(1.0)  # returns at 10.0
    assert turns.since == 10.0
    select(1.0)  # that turn took half a millisecond; the next begins at 11.0
    select(1.0)  # 0.3 s; the next begins at 20.0
    assert turns.counts[0] == 1
    assert turns.worst == pytest.approx(0.3)
    assert turns.total == pytest.approx(0.3005)
    assert sum(turns.counts) == 2


def test_waiting_is_no_turn_even_when_it_fails() -> None:
    def fails(timeout: float | None) -> None:
        raise InterruptedError

    turns = Turns(lambda: 5.0)
    with pytest.raises(InterruptedError):
        turns.watch(fails)()
    assert turns.since == 5.0


def test_a_stall_is_told_once_a_minute_with_its_stack(told: list[Any]) -> None:
    turns = Turns()
    watchdog = StallWatchdog(turns, None, 0.25)
    watchdog._held_by = threading.get_ident()
    turns.since = 100.0
    watchdog.look(100.2)
    assert (watchdog.stalls, told) == (0, [])
    watchdog.look(100.3)
    watchdog.look(100.4)  # the same turn
    assert watchdog.stalls == 1
    assert [event["log_namespace"] for event in told] == ["jupyterd.supervision.reactor_latency.StallWatchdog"]
    assert "test_a_stall_is_told_once_a_minute_with_its_stack" in told[0]["stack"]
    turns.since = 110.0
    watchdog.look(111.0)
    assert watchdog.stalls == 2
    assert len(told) == 1
    turns.since = 0.0
    watchdog.look(300.0)
    turns.since = 301.0
    watchdog.look(301.0 + TOLD_EVERY)
    assert (watchdog.stalls, len(told)) == (3, 2)


def test_a_loop_that_is_held_is_noticed_from_outside(told: list[Any]) -> None:
    """With the real thread: this test's thread plays the loop."""
    with selectors.DefaultSelector() as selector:
        watchdog = StallWatchdog(Turns(), selector, 0.02)
        watchdog.startService()
        try:
            selector.select(0)
            deadline = time.monotonic() + 20
            while not told and time.monotonic() < deadline:
                pass  # this is what holds it
            selector.select(0)
        finally:
            watchdog.stopService()
    assert watchdog.stalls >= 1
    assert "this is what holds it" in told[0]["stack"] or "time.monotonic() < deadline" in told[0]["stack"]
    assert watchdog.turns.worst >= 0.02


def test_switched_off_it_measures_and_starts_no_thread() -> None:
    before = threading.active_count()
    with selectors.DefaultSelector() as selector:
        watchdog = StallWatchdog(Turns(), selector, 0.0)
        watchdog.startService()
        selector.select(0)
        selector.select(0)
        watchdog.stopService()
    assert threading.active_count() == before
    assert sum(watchdog.turns.counts) == 1
