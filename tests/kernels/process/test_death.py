"""Why a process ended, in words."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterd.kernels.process import death
from jupyterd.kernels.process.death import Death, Tail


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (Death(3), "The kernel's process ended with exit code 3."),
        (Death(0), "The kernel's process ended with exit code 0."),
        (Death(-11), "The kernel's process was killed by SIGSEGV."),
        (Death(-9, out_of_memory=True), "The kernel's process was killed by SIGKILL: the system ran out of memory."),
        (Death(-63), "The kernel's process was killed by signal 63."),
        (Death(), "The kernel is gone."),
        (Death(failure="No such file"), "The kernel could not be started: No such file"),
        (Death(1, stderr="Traceback ...\nImportError: x"), "exit code 1.\nTraceback ...\nImportError: x"),
    ],
)
def test_reasons(end: Death, words: str) -> None:
    assert end.reason.endswith(words)


def test_the_tail_keeps_the_last_lines() -> None:
    tail = Tail(lines=2)
    assert list(tail.feed(b"one\ntwo\nth")) == ["one", "two"]
    assert list(tail.feed(b"ree\r\nfour")) == ["three"]
    assert list(tail.flush()) == ["four"]
    assert str(tail) == "three\nfour"


def test_bytes_that_are_no_text_are_shown_as_such() -> None:
    tail = Tail()
    assert list(tail.feed(b"\xff\n")) == ["\ufffd"]


@given(st.lists(st.binary(max_size=50)))
def test_the_tail_is_bounded_and_loses_no_line_however_it_comes(chunks: list[bytes]) -> None:
    tail = Tail(lines=4, size=64)
    lines = [line for chunk in chunks for line in tail.feed(chunk)]
    lines += tail.flush()
    assert len(str(tail)) <= 64
    assert all(len(line) <= 64 for line in lines)
    said = b"".join(chunks).split(b"\n")
    if all(len(line) <= 64 for line in said):
        assert lines == [line.decode("utf-8", "replace").rstrip("\r") for line in said[: len(lines)]]
        assert said[len(lines) :] in ([], [b""])


def counted(tmp_path: Path, cgroup: str, name: str, text: str) -> int | None:
    group = tmp_path / name
    group.parent.mkdir(parents=True, exist_ok=True)
    group.write_text(text)
    counter = death.find_counter(cgroup.splitlines(), str(tmp_path))
    return None if counter is None else death.oom_kills(counter)


def test_out_of_memory_kills_are_counted_in_both_versions_of_control_groups(tmp_path: Path) -> None:
    two = "low 0\nhigh 0\nmax 3\noom 2\noom_kill 5\noom_group_kill 0\n"
    one = "oom_kill_disable 0\nunder_oom 0\noom_kill 7\n"
    assert counted(tmp_path / "2", "0::/user/kernels", "user/kernels/memory.events", two) == 5
    assert counted(tmp_path / "2b", "0::/elsewhere", "memory.events", two) == 5
    assert counted(tmp_path / "1", "4:memory:/a/b\n0::/", "memory/a/b/memory.oom_control", one) == 7
    assert counted(tmp_path / "0", "0::/x", "nothing", "") is None


def test_a_system_that_does_not_say_is_no_error() -> None:
    assert death.oom_counter(2**22 + 1) is None
    assert death.oom_kills("/no/such/file") is None
