"""What may follow what in a kernel's life."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock

from jupyterd.kernels.lifecycle import kernel_life
from jupyterd.kernels.process.death import Death

KILLED = Death(-9)


class Recorder:
    def __init__(self) -> None:
        self.states = ["starting"]
        self.deaths: list[tuple[Death, str]] = []
        self.clock = Clock()

    def enter(self, state: str) -> None:
        self.states.append(state)

    def tell_death(self, death: Death, state: str) -> None:
        self.deaths.append((death, state))

    def forget_later(self) -> IDelayedCall:
        return self.clock.callLater(60.0, self.states.append, "forgotten")


def lived(*events: str) -> Recorder:
    body = Recorder()
    life = kernel_life(body)
    for event in events:
        happens = getattr(life, event)
        happens(KILLED) if event in ("died", "lost") else happens()
    return body


@pytest.mark.parametrize(
    ("events", "states"),
    [
        (("idle", "busy", "idle"), ["starting", "idle", "busy", "idle"]),
        (("idle", "restart", "launched", "idle"), ["starting", "idle", "restarting", "starting", "idle"]),
        (("busy", "died", "launched"), ["starting", "busy", "autorestarting", "starting"]),
        (("busy", "lost"), ["starting", "busy", "dead"]),
        (("lost", "restart", "launched"), ["starting", "dead", "restarting", "starting"]),
        (("idle", "terminate", "died", "lost", "launched", "busy"), ["starting", "idle", "terminating"]),
        (("idle", "starts", "idle"), ["starting", "idle", "starting", "idle"]),
    ],
)
def test_states_follow_events(events: tuple[str, ...], states: list[str]) -> None:
    assert lived(*events).states == states


@pytest.mark.parametrize("down", ["restart", "died", "lost"])
def test_late_messages_do_not_bring_a_stopped_kernel_back(down: str) -> None:
    assert lived("idle", down, "busy", "idle", "starts").states == lived("idle", down).states


@pytest.mark.parametrize(
    ("events", "forgotten"),
    [
        (("lost",), True),
        (("lost", "lost", "died", "busy"), True),
        (("lost", "restart"), False),
        (("lost", "launched"), False),
        (("lost", "terminate"), False),
        (("lost", "restart", "launched", "idle", "lost"), True),
        (("died", "launched"), False),
    ],
)
def test_a_dead_kernel_is_forgotten_after_its_time_unless_it_is_not_dead_any_more(
    events: tuple[str, ...], forgotten: bool
) -> None:
    body = lived(*events)
    assert len([call for call in body.clock.getDelayedCalls() if call.active()]) == forgotten
    body.clock.advance(60.0)
    assert ("forgotten" in body.states) == forgotten


def test_clients_are_told_of_each_death() -> None:
    assert lived("idle", "died").deaths == [(KILLED, "restarting")]
    assert lived("idle", "died", "lost").deaths == [(KILLED, "restarting"), (KILLED, "dead")]


EVENTS = ("starts", "busy", "idle", "restart", "died", "lost", "launched", "terminate")


@given(st.lists(st.sampled_from(EVENTS), max_size=30))
def test_any_order_of_events_is_taken_and_nothing_survives_termination(events: list[str]) -> None:
    body = lived(*events)
    if "terminate" in body.states or "terminating" in body.states:
        assert body.states[-1] == "terminating"
        assert body.states.count("terminating") == 1
