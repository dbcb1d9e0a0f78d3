"""Death of a kernel's process, in words: its exit status, the system's out-of-memory killer, its last lines."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

TAIL_LINES = 20
TAIL_BYTES = 4096


@dataclass(frozen=True)
class Death:
    """The end of a kernel's process.

    :param status: its exit code, minus the number of the signal that ended it, or None where nobody knows.
    :param out_of_memory: the system counted an out-of-memory kill among its processes while it ran.
    :param stderr: the last lines it wrote to standard error.
    :param failure: why it could not even be run; empty where it was.
    :param told: a sentence of who runs it elsewhere; empty for kernels that run here.
    """

    status: int | None = None
    out_of_memory: bool = False
    stderr: str = ""
    failure: str = ""
    told: str = ""

    @property
    def signal(self) -> str | None:
        """The name of the signal that ended it, None where none did."""
        if self.status is None or self.status >= 0:
            return None
        try:
            return signal.Signals(-self.status).name
        except ValueError:
            return f"signal {-self.status}"

    @property
    def sentence(self) -> str:
        """What happened, without the kernel's own words."""
        if self.failure:
            return f"The kernel could not be started: {self.failure}"
        if self.told:
            return self.told
        if self.status is None:
            return "The kernel is gone."
        if self.signal is None:
            return f"The kernel's process ended with exit code {self.status}."
        if self.out_of_memory:
            return f"The kernel's process was killed by {self.signal}: the system ran out of memory."
        return f"The kernel's process was killed by {self.signal}."

    @property
    def reason(self) -> str:
        """What happened and the last lines of standard error, as clients read it."""
        return f"{self.sentence}\n{self.stderr}" if self.stderr else self.sentence


class Tail:
    """The last lines of a stream of bytes, bounded."""

    def __init__(self, lines: int = TAIL_LINES, size: int = TAIL_BYTES) -> None:
        self._lines: deque[str] = deque(maxlen=lines)
        self._size = size
        self._open = b""

    def feed(self, data: bytes) -> Iterator[str]:
        """Take bytes; give the lines that they complete. A line longer than the tail is given in pieces."""
        *whole, self._open = (self._open + data).split(b"\n")
        for line in whole:
            yield from self._take(line)
        if len(self._open) > self._size:
            yield from self._take(self._open)
            self._open = b""

    def _take(self, line: bytes) -> Iterator[str]:
        for start in range(0, len(line) or 1, self._size):
            text = line[start : start + self._size].decode("utf-8", "replace").rstrip("\r")
            self._lines.append(text)
            yield text

    def flush(self) -> Iterator[str]:
        """Give the last line, where no newline ended it."""
        if self._open:
            yield from self.feed(b"\n")

    def __str__(self) -> str:
        return "\n".join(self._lines).strip()[-self._size :]


def oom_counter(pid: int) -> str | None:
    """The file in which Linux counts a process's out-of-memory kills: its memory control group's, of either version.

    None where there is none. In a container the group's own path may not be visible; its root then stands for it.
    """
    try:
        with open(f"/proc/{pid}/cgroup", encoding="ascii", errors="replace") as groups:
            lines = groups.read().splitlines()
    except OSError:
        return None
    return find_counter(lines, "/sys/fs/cgroup")


def find_counter(lines: list[str], mount: str) -> str | None:
    """The same.

    :param lines: of the process's ``/proc/<pid>/cgroup``.
    :param mount: where control groups are mounted.
    """
    return next((path for path in _counters(lines, mount) if oom_kills(path) is not None), None)


def _counters(lines: list[str], mount: str) -> Iterator[str]:
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            yield os.path.join(mount, "memory", path.lstrip("/"), "memory.oom_control")
            yield os.path.join(mount, "memory", "memory.oom_control")
        elif controllers == "":
            yield os.path.join(mount, path.lstrip("/"), "memory.events")
            yield os.path.join(mount, "memory.events")


def oom_kills(counter: str) -> int | None:
    """How many processes were killed so, by a file of :func:`oom_counter`; None where it does not say."""
    try:
        with open(counter, encoding="ascii") as lines:
            for line in lines:
                name, _, value = line.partition(" ")
                if name == "oom_kill":
                    return int(value)
    except (OSError, ValueError):
        pass
    return None
