"""Processes by their number and the time they were started: together they name one process for good."""

from __future__ import annotations

import errno
import os
from contextlib import suppress


def start_time(pid: int) -> int | None:
    """When a process was started, in ticks since the machine was; None where there is none of that number.

    A process that has ended and was not waited for counts as none. Source: proc(5), ``/proc/<pid>/stat``.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    if len(fields) < 20 or fields[0] in (b"Z", b"X"):
        return None
    return int(fields[19])


def is_same(pid: int, started: int) -> bool:
    """Whether the process of that number is still the one that was started then."""
    return start_time(pid) == started


def boot_id() -> str:
    """Names this run of the machine: numbers and times of processes mean nothing in another."""
    with suppress(OSError), open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()
    return ""


def signal_process(pid: int, started: int, number: int, group: bool) -> None:
    """Send a signal to a process, or to the group that it leads.

    :param started: see :func:`start_time`; another process that got its number is left alone.
    :raises ProcessLookupError: it is gone.
    """
    if not is_same(pid, started):
        raise ProcessLookupError(errno.ESRCH, f"no process {pid}")
    if group:
        with suppress(OSError):
            if os.getpgid(pid) == pid:
                os.killpg(pid, number)
                return
    os.kill(pid, number)
