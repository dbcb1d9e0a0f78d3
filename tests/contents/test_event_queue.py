"""Events from threads."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Any

import pytest

from jupyterd.contents.event_queue import EventQueue


class Woken:
    """A reactor that counts how often it is woken."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []

    def callFromThread(self, function: Callable[..., Any], *args: Any) -> None:
        """Keep it."""
        self.calls.append(lambda: function(*args))


def make() -> tuple[Woken, list[Any], EventQueue]:
    reactor, emitted = Woken(), list[Any]()
    return reactor, emitted, EventQueue(reactor, emitted.append)  # type: ignore[arg-type]


def test_events_of_an_operation_wait_for_its_result() -> None:
    reactor, emitted, outbox = make()
    with outbox.held():
        outbox({"path": "a"})
        outbox({"path": "b"})
    assert (reactor.calls, emitted) == ([], [])
    outbox.deliver()
    assert emitted == [{"path": "a"}, {"path": "b"}]


def test_other_events_wake_the_reactor() -> None:
    reactor, emitted, outbox = make()
    outbox({"path": "a"})
    assert emitted == []
    reactor.calls.pop()()
    assert emitted == [{"path": "a"}]


def test_an_operation_holds_the_events_of_its_own_thread_only() -> None:
    reactor, _, outbox = make()
    with outbox.held():
        other = Thread(target=outbox, args=({"path": "a"},))
        other.start()
        other.join()
    assert len(reactor.calls) == 1


def test_an_operation_that_fails_holds_nothing_afterwards() -> None:
    reactor, _, outbox = make()
    with pytest.raises(ValueError), outbox.held():
        raise ValueError
    outbox({"path": "a"})
    assert len(reactor.calls) == 1
