"""What a kernel's messages say about it."""

from __future__ import annotations

from jupyterd.kernels.process.death import Death
from jupyterd.testing.deferreds import result_of
from tests.kernels.keeping import Keeping


def test_requests_of_users_make_it_busy_and_idle() -> None:
    kernel = Keeping().start()
    kernel.status("busy", "execute_request")
    assert kernel.execution_state == "busy"
    kernel.status("idle", "execute_request")
    assert kernel.execution_state == "idle"


def test_housekeeping_does_not() -> None:
    kernel = Keeping().start()
    kernel.status("busy", "kernel_info_request")
    assert kernel.execution_state == "idle"
    kernel.status("busy", "execute_request")
    kernel.status("idle", "comm_info_request")
    assert kernel.execution_state == "busy"


def test_any_status_after_the_start_means_that_it_has_started() -> None:
    keeping = Keeping()
    keeping.starting()
    kernel = next(iter(keeping.kernels))
    kernel.status("starting", "")
    assert kernel.execution_state == "starting"
    kernel.status("busy", "kernel_info_request")
    assert kernel.execution_state == "idle"


def test_states_nobody_knows_are_not_taken_over() -> None:
    kernel = Keeping().start()
    kernel.status("resting", "execute_request")
    assert kernel.execution_state == "idle"


def test_the_last_activity_is_that_of_its_user() -> None:
    keeping = Keeping()
    kernel = keeping.start()
    keeping.clock.advance(10)
    kernel.status("busy", "kernel_info_request")
    assert kernel.last_activity == keeping.clock.seconds() - 10
    kernel.activity()
    assert kernel.last_activity == keeping.clock.seconds()


def test_its_first_word_is_waited_for_only_once() -> None:
    keeping = Keeping()
    kernel = keeping.start()
    assert result_of(kernel.first_word(10)) is None
    assert kernel.died_unheard(Death()) is False
    assert not keeping.clock.getDelayedCalls()
