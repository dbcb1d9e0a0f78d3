"""Kernels started, restarted, killed, given up and shut down, with a clock and without processes."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet.defer import Deferred

from jupyterd.errors import Failed, Invalid
from jupyterd.kernels.manager import NoSuchKernel, NoSuchKernelSpec
from jupyterd.kernels.process.death import Death
from jupyterd.testing.deferreds import result_of
from tests.kernels.keeping import Keeping

KILLED = Death(-9, stderr="last words")


def outcome(deferred: Deferred[object]) -> list[object]:
    outcomes: list[object] = []
    deferred.addCallbacks(outcomes.append, lambda failure: outcomes.append(failure.value))
    return outcomes


def test_a_started_kernel_has_the_reference_s_model() -> None:
    keeping = Keeping()
    kernel = keeping.start()
    assert kernel.model() == {
        "id": kernel.id,
        "name": "python3",
        "last_activity": "2023-11-14T22:13:20Z",
        "execution_state": "idle",
        "connections": 0,
    }
    assert list(kernel.model()) == ["id", "name", "last_activity", "execution_state", "connections"]


def test_the_answer_waits_for_the_first_word_and_no_longer_than_the_grace() -> None:
    keeping = Keeping()
    first, second = outcome(keeping.starting()), outcome(keeping.starting())
    assert not first
    next(iter(keeping.kernels)).status("starting", "")
    assert first
    assert not second
    keeping.clock.advance(1.0)
    assert second
    assert [kernel.execution_state for kernel in keeping.kernels] == ["starting", "starting"]


def test_without_grace_the_answer_does_not_wait() -> None:
    assert outcome(Keeping({"MappingKernelManager": {"startup_check_timeout": 0.0}}).starting())


def test_a_kernel_that_ends_before_its_first_word_is_an_error_with_its_standard_error() -> None:
    keeping = Keeping()
    started = outcome(keeping.starting())
    keeping.process.die(Death(1, stderr="No module named ipykernel_launcher"))
    assert isinstance(started[0], Failed)
    assert "exit code 1" in str(started[0])
    assert "No module named ipykernel_launcher" in str(started[0])
    assert len(keeping.kernels) == 0
    assert keeping.process.calls == ["start", "kill"]
    assert keeping.events[-1][1]["status"] == "error"


def test_it_is_started_in_another_way_where_there_is_one() -> None:
    keeping = Keeping()
    keeping.launcher.prepare = lambda process: setattr(process, "retries", 1)
    started = outcome(keeping.starting())
    keeping.process.die(Death(1))
    assert not started
    next(iter(keeping.kernels)).status("starting", "")
    assert started
    assert keeping.process.calls == ["start", "start"]


def test_a_kernel_that_can_not_be_run_is_an_error_and_leaves_nothing() -> None:
    keeping = Keeping()
    keeping.launcher.prepare = lambda process: setattr(process, "failure", Failed("no such command"))
    assert str(outcome(keeping.starting())[0]) == "no such command"
    assert len(keeping.kernels) == 0


def test_an_unknown_kernelspec_is_named() -> None:
    error = outcome(Keeping().starting("nope"))[0]
    assert isinstance(error, NoSuchKernelSpec)
    assert error.name == "nope"


@pytest.mark.parametrize("kernel_id", ["", "../x", "a/b", "-", "x" * 65, "a\0b", "a\n"])
def test_ids_that_are_no_file_names_are_refused(kernel_id: str) -> None:
    assert isinstance(outcome(Keeping().starting(kernel_id=kernel_id))[0], Invalid)


def test_the_same_id_is_the_same_kernel() -> None:
    keeping = Keeping()
    kernel = keeping.start(kernel_id="a-b-c-d-e")
    assert keeping.do(keeping.kernels.start(kernel_id="a-b-c-d-e")) is kernel
    assert len(keeping.launcher.processes) == 1


def test_a_pending_kernel_is_listed_before_it_runs() -> None:
    keeping = Keeping({"MappingKernelManager": {"use_pending_kernels": True}})
    keeping.launcher.prepare = lambda process: setattr(process, "hold", Deferred())
    kernel = result_of(keeping.starting())
    assert kernel.id in keeping.kernels
    assert keeping.channels(kernel).connected is None
    with pytest.raises(Failed, match="pending state"):
        keeping.do(keeping.kernels.interrupt(kernel.id))


def test_a_pending_kernel_that_can_not_be_run_is_dead_with_its_reason() -> None:
    keeping = Keeping({"MappingKernelManager": {"use_pending_kernels": True}})
    keeping.launcher.prepare = lambda process: setattr(process, "failure", Failed("no such command"))
    kernel = result_of(keeping.starting())
    assert kernel.execution_state == "dead"
    assert "no such command" in kernel.model()["reason"]
    with pytest.raises(Failed, match="could not be started"):
        keeping.kernels.channels_of(kernel.id)


def test_a_death_is_told_in_the_cell_in_the_model_and_in_an_event_and_the_kernel_runs_again() -> None:
    keeping = Keeping()
    kernel = keeping.start()
    channels = keeping.channels(kernel)
    channels.executing = [("m1", b'{"msg_id":"m1"}')]
    kernel.status("busy", "execute_request")
    keeping.process.die(Death(-9, out_of_memory=True, stderr="last words"))
    (stream, text, parent), status = channels.announced
    assert (stream, text["name"], parent) == ("stream", "stderr", b'{"msg_id":"m1"}')
    assert "SIGKILL" in text["text"]
    assert "out of memory" in text["text"]
    assert "last words" in text["text"]
    assert status == ("status", {"execution_state": "restarting"}, b"{}")
    assert "SIGKILL" in kernel.model()["reason"]
    assert channels.lost == [kernel.reason], "before the status"
    schema, event = keeping.events[-1]
    assert (schema, event["signal"], event["out_of_memory"]) == ("kernel_death", "SIGKILL", True)
    assert keeping.process.calls == ["start", "restart"]
    assert kernel.execution_state == "starting"
    assert channels.connected == keeping.process.connection_info


def test_a_kernel_that_was_never_heard_gets_new_ports() -> None:
    keeping = Keeping({"MappingKernelManager": {"startup_check_timeout": 0.0}})
    result_of(keeping.starting())
    keeping.process.die(KILLED)
    assert keeping.process.calls == ["start", "restart new ports"]


def test_it_is_given_up_after_the_limit_and_stays_listed_with_its_reason() -> None:
    keeping = Keeping({"KernelRestarter": {"restart_limit": 2}})
    kernel = keeping.start()
    for _ in range(3):
        assert kernel.execution_state != "dead"
        keeping.process.die(KILLED)
    assert kernel.execution_state == "dead"
    assert keeping.channels(kernel).announced[-1][1] == {"execution_state": "dead"}
    assert "last words" in kernel.model()["reason"]
    assert keeping.process.calls == ["start", "restart", "restart"]


def test_a_stable_life_starts_the_count_anew() -> None:
    keeping = Keeping({"KernelRestarter": {"restart_limit": 1, "stable_start_time": 10.0}})
    kernel = keeping.start()
    for _ in range(3):
        keeping.clock.advance(10.0)
        keeping.process.die(KILLED)
    assert kernel.execution_state == "starting"
    keeping.process.die(KILLED)
    assert kernel.execution_state == "dead"


def test_without_autorestart_a_death_is_the_end() -> None:
    keeping = Keeping()
    kernel = keeping.start()
    keeping.process.autorestart = False
    keeping.process.die(KILLED)
    assert kernel.execution_state == "dead"
    assert keeping.process.calls == ["start"]


def test_a_kernel_whose_restart_lacks_something_goes_on() -> None:
    keeping = Keeping()
    kernel = keeping.start()
    keeping.process.unprepared = Failed("no directory")
    failed = outcome(Deferred.fromCoroutine(keeping.kernels.restart(kernel.id)))
    assert [str(error) for error in failed] == ["no directory"]
    assert keeping.process.calls == ["start"]
    assert (keeping.process.running, kernel.execution_state) == (True, "idle")
    keeping.process.unprepared = None
    assert outcome(Deferred.fromCoroutine(keeping.kernels.restart(kernel.id))) == [kernel]


def test_a_dead_kernel_can_be_restarted() -> None:
    keeping = Keeping()
    kernel = keeping.start()
    keeping.process.autorestart = False
    keeping.process.die(KILLED)
    keeping.do(keeping.kernels.restart(kernel.id))
    assert kernel.execution_state == "starting"
    assert keeping.channels(kernel).held == 1
    assert "reason" not in kernel.model()
    assert not keeping.clock.getDelayedCalls()


def test_a_dead_kernel_is_forgotten_after_a_while() -> None:
    keeping = Keeping({"MappingKernelManager": {"dead_kernel_timeout": 60.0}})
    kernel = keeping.start()
    keeping.process.autorestart = False
    keeping.process.die(KILLED)
    keeping.clock.advance(59)
    assert kernel.id in keeping.kernels
    keeping.clock.advance(1)
    assert kernel.id not in keeping.kernels
    assert keeping.channels(kernel).closed is not None


def test_a_restart_that_fails_is_told_and_leaves_a_dead_kernel() -> None:
    keeping = Keeping()
    kernel = keeping.start()
    keeping.process.failure = Failed("no such command")
    with pytest.raises(Failed, match="no such command"):
        keeping.do(keeping.kernels.restart(kernel.id))
    assert kernel.execution_state == "dead"
    assert "no such command" in kernel.reason


def test_what_is_done_with_a_kernel_is_done_one_after_the_other() -> None:
    keeping = Keeping()
    kernel = keeping.start()
    keeping.process.hold = hold = Deferred()
    restarting = outcome(Deferred.fromCoroutine(keeping.kernels.restart(kernel.id)))
    ending = outcome(Deferred.fromCoroutine(keeping.kernels.shutdown(kernel.id)))
    assert kernel.execution_state == "restarting"
    assert keeping.process.calls == ["start", "restart"]
    hold.callback(None)
    assert restarting
    assert ending
    assert keeping.process.calls == ["start", "restart", "stop"]
    assert kernel.id not in keeping.kernels


def test_two_shutdowns_are_one() -> None:
    keeping = Keeping()
    kernel = keeping.start()
    keeping.process.hold = hold = Deferred()
    both = [outcome(Deferred.fromCoroutine(keeping.kernels.shutdown(kernel.id))) for _ in range(2)]
    assert kernel.execution_state == "terminating"
    assert both == [[], []]
    hold.callback(None)
    assert both == [[None], [None]]
    assert keeping.process.calls == ["start", "stop"]


def test_a_kernel_shut_down_while_it_starts_is_an_error_for_who_started_it() -> None:
    keeping = Keeping()
    started = outcome(keeping.starting())
    kernel = next(iter(keeping.kernels))
    keeping.do(keeping.kernels.shutdown(kernel.id))
    assert isinstance(started[0], Failed)
    assert len(keeping.kernels) == 0
    assert not keeping.clock.getDelayedCalls()


def test_a_death_while_shutting_down_is_nobody_s_business() -> None:
    keeping = Keeping()
    kernel = keeping.start()
    keeping.process.hold = hold = Deferred()
    ending = outcome(Deferred.fromCoroutine(keeping.kernels.shutdown(kernel.id)))
    keeping.process.die(KILLED)
    hold.callback(None)
    assert ending == [None]
    assert keeping.channels(kernel).announced == []


def test_all_are_shut_down_at_the_same_time() -> None:
    keeping = Keeping()
    for _ in range(3):
        keeping.start()
        keeping.process.hold = Deferred()
    holds = [process.hold for process in keeping.launcher.processes]
    ended = outcome(Deferred.fromCoroutine(keeping.kernels.shutdown_all()))
    assert [process.calls[-1] for process in keeping.launcher.processes] == ["stop"] * 3
    for hold in holds:
        hold.callback(None)
    assert ended == [None]
    assert len(keeping.kernels) == 0


def test_a_kernel_that_does_not_end_does_not_keep_the_daemon() -> None:
    keeping = Keeping()
    keeping.start()
    keeping.process.hold = Deferred()
    ended = outcome(Deferred.fromCoroutine(keeping.kernels.shutdown_all()))
    keeping.clock.advance(14)
    assert not ended
    keeping.clock.advance(1)
    assert ended == [None]


def test_unknown_kernels_are_named() -> None:
    kernels = Keeping().kernels
    keeping = Keeping()
    for call in (kernels.interrupt, kernels.restart, kernels.shutdown):
        with pytest.raises(NoSuchKernel, match="Kernel does not exist: nope"):
            keeping.do(call("nope"))
    with pytest.raises(NoSuchKernel):
        kernels.channels_of("nope")


def test_interrupts_reach_the_process_and_a_dead_kernel_says_so() -> None:
    keeping = Keeping()
    kernel = keeping.start()
    keeping.do(keeping.kernels.interrupt(kernel.id))
    assert keeping.process.calls[-1] == "interrupt"
    keeping.process.autorestart = False
    keeping.process.die(KILLED)
    with pytest.raises(Failed, match="No kernel is running"):
        keeping.do(keeping.kernels.interrupt(kernel.id))


def test_each_action_is_an_event() -> None:
    keeping = Keeping()
    kernel = keeping.start()
    keeping.do(keeping.kernels.interrupt(kernel.id))
    keeping.do(keeping.kernels.restart(kernel.id))
    keeping.do(keeping.kernels.shutdown(kernel.id))
    assert [data["action"] for _, data in keeping.events] == ["start", "interrupt", "restart", "shutdown"]
    assert {data["status"] for _, data in keeping.events} == {"success"}
    assert keeping.events[0][1]["msg"] == f"Kernel {kernel.id} was started."


def test_shutting_down_counts_as_activity_of_the_server() -> None:
    keeping = Keeping()
    kernel = keeping.start()
    keeping.clock.advance(100)
    keeping.do(keeping.kernels.shutdown(kernel.id))
    assert keeping.kernels.last_activity == keeping.clock.seconds()


def test_a_kernel_s_paths_are_resolved_by_its_process(tmp_path: Path) -> None:
    keeping = Keeping({"MappingKernelManager": {"root_dir": str(tmp_path)}})
    kernel = keeping.start(path="")
    assert keeping.do(keeping.kernels.resolve_path(kernel.id, "a.py")) == f"{tmp_path}/a.py"
    with pytest.raises(NoSuchKernel):
        keeping.do(keeping.kernels.resolve_path("nope", "a.py"))


def test_kernels_are_counted_by_kernelspec() -> None:
    keeping = Keeping()
    keeping.start()
    keeping.start("other")
    keeping.start("other")
    assert keeping.kernels.running() == {"python3": 1, "other": 2}


def test_settings_are_taken_from_every_class_they_are_written_for() -> None:
    pending = {"use_pending_kernels": True}
    keeping = Keeping({"MultiKernelManager": {"default_kernel_name": "other"}, "AsyncMultiKernelManager": pending})
    assert result_of(keeping.starting()).process.name == "other"


def test_the_name_most_files_use_takes_their_settings() -> None:
    from traitlets.config import Config

    from jupyterd.kernels.manager import AsyncMappingKernelManager

    config = {"AsyncMappingKernelManager": {"cull_idle_timeout": 7}, "MappingKernelManager": {"cull_interval": 8}}
    manager = AsyncMappingKernelManager(config=Config(config))
    assert (manager.cull_idle_timeout, manager.cull_interval) == (7, 8)
