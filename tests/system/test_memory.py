"""Memory is given back when something was done, and not otherwise."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from typing import Any

import pytest
from twisted.internet.task import Clock

from jupyterd.system import memory
from jupyterd.system.memory import FIRST, INTERVAL, Trimming


def test_free_pages_are_given_back_after_something_was_done() -> None:
    clock, used, trims = Clock(), [1.0], []
    trimming = Trimming(clock, lambda: used[0], lambda: trims.append(clock.seconds()))
    trimming.startService()
    clock.advance(FIRST)
    assert trims == [FIRST]
    clock.advance(INTERVAL)
    assert len(trims) == 1
    used[0] = 2.0
    clock.advance(INTERVAL)
    clock.advance(INTERVAL)
    assert trims == [FIRST, FIRST + 2 * INTERVAL]
    trimming.stopService()
    assert clock.getDelayedCalls() == []


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    memory.use_one_arena()
    memory.trim()


def test_what_the_operator_says_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    def called(name: Any) -> Any:
        raise AssertionError("it was asked for")

    monkeypatch.setenv("MALLOC_ARENA_MAX", "4")
    monkeypatch.setattr(ctypes, "CDLL", called)
    memory.use_one_arena()


def test_threads_share_an_arena() -> None:
    """glibc maps 64 MB of addresses for each arena; there is none but the main one."""
    program = """
import sys, threading
from jupyterd.system.memory import use_one_arena
if sys.argv[1] == "one":
    use_one_arena()
hold = [threading.Thread(target=lambda: [bytearray(2000) for _ in range(1000)]) for _ in range(4)]
[thread.start() for thread in hold]; [thread.join() for thread in hold]
print(open("/proc/self/status").read().split("VmSize:")[1].split()[0])
"""
    sizes = [
        int(subprocess.run([sys.executable, "-c", program, how], capture_output=True, text=True, check=True).stdout)
        for how in ("one", "many")
    ]
    assert sizes[0] <= sizes[1]
