"""Failures of the extension host: what is kept of them, who is left out, and when it is started again."""

from __future__ import annotations

from twisted.internet.task import Clock

from jupyterd.extensions.host_failures import BACK_OFF, MAX_REMEMBERED, STABLE_SECONDS, HostFailures


def test_the_last_ones_are_kept_with_their_times() -> None:
    clock = Clock()
    failures = HostFailures(clock)
    for number in range(MAX_REMEMBERED + 5):
        clock.advance(1)
        failures.remember(f"end {number}")
    assert len(failures.history) == MAX_REMEMBERED
    assert failures.history[-1] == {"time": MAX_REMEMBERED + 5, "what": f"end {MAX_REMEMBERED + 4}"}


def test_who_ends_it_is_left_out_after_a_signal_at_the_second_time() -> None:
    failures = HostFailures(Clock())
    assert not failures.blame("odd", "it was ended by SIGSEGV")
    assert failures.blame("odd", "it was ended by SIGSEGV")
    assert failures.blame("rude", "it ended with status 3")
    assert set(failures.excluded) == {"odd", "rude"}
    failures.forgive()
    assert failures.excluded == {}
    assert not failures.blame("odd", "it was ended by SIGSEGV"), "another chance"


def test_it_waits_longer_each_time_until_it_was_stable() -> None:
    failures = HostFailures(Clock())
    assert [failures.delay(0.0) for _ in range(len(BACK_OFF) + 1)] == [*BACK_OFF, BACK_OFF[-1]]
    assert failures.delay(STABLE_SECONDS) == BACK_OFF[-1]
    assert failures.delay(STABLE_SECONDS + 1) == BACK_OFF[0]
