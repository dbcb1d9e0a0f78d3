"""CPU and memory of processes and all below them, read from ``/proc``. Blocks: call it in a thread."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Load:
    """What a process and all below it use.

    :ivar cpu: seconds of CPU so far, user and system.
    :ivar memory: bytes of resident memory; shared pages count in each process.
    :ivar processes: how many there are.
    """

    cpu: float
    memory: int
    processes: int


def loads(pids: Iterable[int], proc: str = "/proc") -> dict[int, Load]:
    """The load of each of ``pids`` that there is, by one walk through the processes of this machine.

    Where ``/proc`` is another system's, nothing.
    """
    wanted = set(pids)
    if not wanted:
        return {}
    seen: dict[int, tuple[int, float, int]] = {}
    try:
        names = os.listdir(proc)
    except OSError:
        return {}
    for name in names:
        if name.isdecimal() and (one := _stat(f"{proc}/{name}/stat")) is not None:
            seen[int(name)] = one
    children: dict[int, list[int]] = {}
    for pid, (parent, _, _) in seen.items():
        children.setdefault(parent, []).append(pid)
    return {pid: _sum(pid, seen, children) for pid in wanted if pid in seen}


def _stat(path: str) -> tuple[int, float, int] | None:
    """Parent, CPU seconds and resident bytes of one process; None if it has just ended."""
    try:
        with open(path, "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return int(fields[1]), (int(fields[11]) + int(fields[12])) / TICK, int(fields[21]) * PAGE
    except (OSError, IndexError, ValueError):
        return None


def _sum(pid: int, seen: dict[int, tuple[int, float, int]], children: dict[int, list[int]]) -> Load:
    cpu, memory, count, waiting = 0.0, 0, 0, [pid]
    while waiting:
        one = waiting.pop()
        cpu, memory, count = cpu + seen[one][1], memory + seen[one][2], count + 1
        waiting += children.get(one, ())
    return Load(cpu, memory, count)


def open_descriptors() -> int:
    """How many descriptors this process has open; 0 where the system does not tell."""
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return 0
