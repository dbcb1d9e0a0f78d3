"""CPU and memory of processes and all below them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from jupyterd.dashboard.usage import PAGE, TICK, loads, open_descriptors


def stat(directory: Path, pid: int, parent: int, ticks: int, pages: int, name: str = "python") -> None:
    (directory / str(pid)).mkdir()
    fields = [str(parent), *["0"] * 9, str(ticks), str(ticks), *["0"] * 7, "1000", str(pages), "0"]
    (directory / str(pid) / "stat").write_text(f"{pid} ({name}) S {' '.join(fields)}")


def test_all_below_a_process_counts(tmp_path: Path) -> None:
    stat(tmp_path, 10, 1, TICK, 100)
    stat(tmp_path, 11, 10, TICK, 10, "odd ) name (")
    stat(tmp_path, 12, 11, 0, 1)
    stat(tmp_path, 20, 1, TICK * 5, 7)
    (tmp_path / "self").mkdir()
    (tmp_path / "30").mkdir()  # it has just ended
    found = loads([10, 20, 30, 99], str(tmp_path))
    assert set(found) == {10, 20}
    assert (found[10].cpu, found[10].memory, found[10].processes) == (4.0, 111 * PAGE, 3)
    assert (found[20].cpu, found[20].memory, found[20].processes) == (10.0, 7 * PAGE, 1)


def test_nothing_is_looked_for_without_a_reason(tmp_path: Path) -> None:
    assert loads([], str(tmp_path / "none")) == {}
    assert loads([1], str(tmp_path / "none")) == {}


def test_a_real_child() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    child.stdout.readline()  # it is Python by now
    try:
        found = loads([os.getpid(), child.pid])
        assert found[child.pid].memory > 1_000_000
        assert found[os.getpid()].processes >= 2
    finally:
        child.communicate(b"\n")


def test_descriptors_are_counted() -> None:
    before = open_descriptors()
    with open(os.devnull, "rb"):
        assert open_descriptors() == before + 1
