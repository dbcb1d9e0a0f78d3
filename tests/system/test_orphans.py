"""Orphans are waited for by the first process of a container; our own children are left to who started them."""

from __future__ import annotations

from twisted.internet.task import Clock

from jupyterd.system.processes.orphans import SECONDS, Orphans


def test_who_stays_ended_is_waited_for() -> None:
    clock, ended, reaped = Clock(), {7}, []
    orphans = Orphans(clock, True, lambda: ended, reaped.append)
    orphans.startService()
    clock.advance(SECONDS)
    assert reaped == [], "whoever started it may be about to"
    ended = {7, 8}
    clock.advance(SECONDS)
    assert reaped == [7]
    ended = {9}  # 8 was waited for by its parent
    clock.advance(SECONDS)
    assert reaped == [7]
    orphans.stopService()
    assert clock.getDelayedCalls() == []


def test_elsewhere_nothing_is_looked_for() -> None:
    clock = Clock()
    Orphans(clock, False, lambda: [1], lambda pid: None).startService()
    assert clock.getDelayedCalls() == []
