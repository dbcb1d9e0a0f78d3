"""Executions are written down before the next daemon may need them, and no oftener."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher

from jupyterd.outputs.executions import Execution
from jupyterd.outputs.ledger import DELAY, ExecutionLedger
from jupyterd.state.store import StateStore
from jupyterd.testing.deferreds import at_once, result_of


class Thread:
    """Makes its calls when it is told to."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], Any]] = []
        self.failure: Exception | None = None

    def __call__(self, function: Any, *args: Any, **kwargs: Any) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        if self.failure is not None:
            done.errback(self.failure)
            return done
        self.calls.append(lambda: done.callback(function(*args, **kwargs)))
        return done

    def work(self) -> int:
        """How many calls there were."""
        calls, self.calls = self.calls, []
        for call in calls:
            call()
        return len(calls)


class House:
    def __init__(self) -> None:
        self.clock, self.thread, self.store = Clock(), Thread(), StateStore(":memory:")
        self.ledger = ExecutionLedger(lambda: self.store, self.thread, self.clock)

    def states(self) -> dict[str, str]:
        return {row.msg_id: row.state for row in self.store.executions()}


@pytest.fixture
def house() -> House:
    return House()


def execution(msg_id: str) -> Execution:
    return Execution(msg_id, "c1", "a.ipynb", 0, b"{}", b'{"code": "1"}')


def test_what_is_asked_is_written_at_once_and_how_it_goes_on_a_moment_later(house: House) -> None:
    cell = execution("m")
    house.ledger.remember("k", cell)
    assert (house.thread.work(), house.states()) == (1, {"m": "queued"})
    for state in ("running", "ok"):
        cell.state = state
        house.ledger.remember("k", cell, at_once=False)
    assert house.thread.work() == 0
    house.clock.advance(DELAY)
    assert (house.thread.work(), house.states()) == (1, {"m": "ok"})
    house.ledger.forget("k", "m")
    assert (house.thread.work(), house.states()) == (1, {})
    house.clock.advance(10)
    assert house.thread.work() == 0


def test_what_changes_until_the_thread_gets_there_is_one_write(house: House) -> None:
    old, new = execution("old"), execution("new")
    house.ledger.remember("k", old)
    house.thread.work()
    old.state = "ok"
    house.ledger.remember("k", old, at_once=False)
    house.ledger.forget("k", "old")
    house.ledger.remember("k", new)
    new.state = "running"
    house.ledger.remember("k", new, at_once=False)
    assert (house.thread.work(), house.states()) == (1, {"new": "queued"})
    house.clock.advance(DELAY)
    assert (house.thread.work(), house.states()) == (1, {"new": "running"})
    house.clock.advance(DELAY)
    assert house.thread.work() == 0


def test_the_end_of_the_daemon_waits_for_nothing(house: House) -> None:
    cell = execution("m")
    house.ledger.remember("k", cell, at_once=False)
    house.ledger.close()
    assert house.thread.work() == 1
    cell.state = "ok"
    house.ledger.remember("k", cell, at_once=False)
    assert (house.thread.work(), house.states()) == (1, {"m": "ok"})


def test_of_a_kernel_that_is_gone_nothing_more_is_written(house: House) -> None:
    house.ledger.remember("k", execution("m"), at_once=False)
    house.ledger.remember("other", execution("n"), at_once=False)
    house.ledger.leave_out("k")
    house.clock.advance(DELAY)
    house.thread.work()
    assert house.states() == {"n": "queued"}


def test_what_could_not_be_written_is_written_with_the_next(house: House) -> None:
    told: list[Any] = []
    globalLogPublisher.addObserver(told.append)
    house.thread.failure = OSError("no thread")
    house.ledger.remember("k", execution("m"))
    house.thread.failure = None
    house.ledger.remember("k", execution("n"))
    assert (house.thread.work(), house.states()) == (1, {"m": "queued", "n": "queued"})
    globalLogPublisher.removeObserver(told.append)
    assert any("can not be written down" in str(event.get("log_format")) for event in told)


def test_what_waits_is_there_for_who_recalls_it() -> None:
    store = StateStore(":memory:")
    ledger = ExecutionLedger(lambda: store, at_once, Clock())
    ledger.remember("k", execution("m"), at_once=False)
    (found,) = result_of(Deferred.fromCoroutine(ledger.recall("k")))
    assert (found.id, found.code_hash) == ("m", execution("m").code_hash)
