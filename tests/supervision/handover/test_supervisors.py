"""Supervisors that would lose a server to a takeover."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import pytest

from jupyterd.supervision.handover.supervisors import command_of, takeover_refusal

ELSE: Mapping[str, str] = {}


def refusal(*command: str, pid: int = 100, parent: int = 50, environment: Mapping[str, str] = ELSE) -> str:
    def told(asked: int) -> Sequence[str]:
        assert asked == parent
        return command

    return takeover_refusal(environment, pid, parent, told)


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["/usr/bin/python3", "/usr/bin/supervisord", "-n"], "supervisord"),
        (["python", "-m", "supervisor.supervisord"], "supervisord"),
        (["runsv", "jupyterd"], "runit"),
        (["/bin/s6-supervise", "jupyterd"], "s6"),
        (["supervise", "jupyterd"], "daemontools"),
    ],
)
def test_one_that_knows_its_child_alone(command: list[str], name: str) -> None:
    assert refusal(*command).startswith(f"{name} would lose")


@pytest.mark.parametrize("command", [["bash"], ["/usr/lib/systemd/systemd", "--user"], ["tmux"], []])
def test_others_do_not_mind(command: list[str]) -> None:
    assert refusal(*command) == ""


def test_a_container_ends_with_its_first_process() -> None:
    assert "container" in refusal(pid=1, parent=0)
    assert "container" in refusal("/usr/bin/tini", "--", "jupyterd", parent=1)
    assert refusal("tini", "-s", parent=77) == "", "somewhere else it is a program like any other"


def test_systemd_has_to_be_told() -> None:
    of_unit = {"SYSTEMD_EXEC_PID": "100"}
    assert "Type=notify" in refusal("systemd", parent=1, environment=of_unit)
    assert refusal("systemd", parent=1, environment={**of_unit, "NOTIFY_SOCKET": "/run/systemd/notify"}) == ""
    assert refusal("bash", environment={"SYSTEMD_EXEC_PID": "77"}) == "", "that is a unit's shell"


def test_a_command_line_is_read_of_the_system() -> None:
    assert "python" in command_of(os.getpid())[0]
    assert command_of(2**22 + 1) == ()
