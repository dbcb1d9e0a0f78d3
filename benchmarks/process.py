"""What a process costs, read from /proc: CPU seconds, memory, file descriptors."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
MB = 1_000_000


def cpu(pid: int) -> float:
    """CPU seconds, user and system, of all threads of ``pid``; children do not count. Steps of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def pss(pid: int) -> int:
    """Bytes of memory, shared pages divided by their sharers (``Pss`` of smaps_rollup)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise LookupError(f"no Pss for {pid}")


def rss(pid: int) -> int:
    """Bytes of resident memory: one cheap read, for sampling while a benchmark runs."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


def fds(pid: int) -> int:
    """Open file descriptors."""
    return len(os.listdir(f"/proc/{pid}/fd"))


class Growth:
    """Peak growth of resident memory while the block runs, sampled each 20 ms: ``with Growth(pid) as growth``."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.base = rss(pid)
        self.peak = self.base
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    @property
    def bytes(self) -> int:
        return self.peak - self.base

    def _sample(self) -> None:
        while not self._over.wait(0.02):
            self.peak = max(self.peak, rss(self.pid))

    def __enter__(self) -> Growth:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()
        self.peak = max(self.peak, rss(self.pid))


class Cost:
    """CPU and wall seconds of a block: ``with Cost(pid) as cost``."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.cpu = self.wall = 0.0

    def __enter__(self) -> Cost:
        self._cpu, self._wall = cpu(self.pid), time.perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None) -> None:
        self.wall = time.perf_counter() - self._wall
        self.cpu = cpu(self.pid) - self._cpu


def stop(process: subprocess.Popen[bytes], patience: float = 15.0) -> int:
    """SIGTERM, then SIGKILL after ``patience`` seconds; the exit status."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()
