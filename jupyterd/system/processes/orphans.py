"""Orphans: what ends without a parent is waited for by the first process of a container, which this one may be."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from jupyterd.system.periodic import Periodic

SECONDS = 5.0
"""How often it is looked for them; who is seen twice is an orphan, as our own are waited for at once."""


def zombies() -> list[int]:
    """Process numbers of this process's children that have ended and were not waited for.

    Source: proc_pid_task(5), ``children``; none where the system has no such file.
    """
    found: list[int] = []
    with suppress(OSError):
        for task in os.listdir("/proc/self/task"):
            with suppress(OSError), open(f"/proc/self/task/{task}/children", encoding="ascii") as file:
                found += filter(_has_ended, map(int, file.read().split()))
    return found


def _has_ended(pid: int) -> bool:
    with suppress(OSError), open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()[:1] == [b"Z"]
    return False


def reap(pid: int) -> None:
    """Take the status of one that has ended, so that it goes."""
    with suppress(ChildProcessError):  # its parent was quicker
        os.waitpid(pid, os.WNOHANG)


class Orphans(Periodic):
    """Waits for processes that others have left to this one; does nothing where it is not the first of its system.

    :param first: whether it is.
    :param ended: gives the children that have ended.
    :param reap: waits for one.
    """

    def __init__(
        self,
        clock: Any,
        first: bool,
        ended: Callable[[], Iterable[int]] = zombies,
        reap: Callable[[int], None] = reap,
    ) -> None:
        super().__init__(clock)
        self._first, self._ended, self._reap = first, ended, reap
        self._seen: set[int] = set()

    def interval(self) -> float:
        """See :data:`SECONDS`."""
        return SECONDS if self._first else 0.0

    def turn(self) -> None:
        """Wait for those that were there the last time."""
        ended = set(self._ended())
        for pid in ended & self._seen:
            self._reap(pid)
        self._seen = ended
