"""Commands that die with the daemon, where the system can do that."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyterd.kernels.process import pdeathsig
from jupyterd.kernels.process.pdeathsig import dying_with_us


def program(path: Path, name: str) -> str:
    file = path / name
    file.write_text("#!/bin/sh\n")
    file.chmod(0o755)
    return str(file)


@pytest.fixture
def helper(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(pdeathsig, "_helper", lambda: "/bin/helper")
    return "/bin/helper"


def test_a_command_is_found_and_handed_over(helper: str, tmp_path: Path) -> None:
    found = program(tmp_path, "kernel")
    expected = [helper, "--pdeathsig", "KILL", "--", found, "-f", "x"]
    assert dying_with_us(["kernel", "-f", "x"], str(tmp_path)) == expected
    assert dying_with_us([found, "-f", "x"]) == expected


@pytest.mark.parametrize("command", [["/no/such/command", "x"], ["no-such-command"], []])
def test_what_is_not_found_fails_as_it_would_without(helper: str, command: list[str]) -> None:
    assert dying_with_us(command) == command


def test_where_the_system_can_not_do_it_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdeathsig, "_helper", lambda: None)
    assert dying_with_us(["true"]) == ["true"]


def test_a_helper_that_does_not_know_the_option_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "setpriv"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    pdeathsig._helper.cache_clear()
    assert dying_with_us(["/bin/sh"]) == ["/bin/sh"]
    pdeathsig._helper.cache_clear()
