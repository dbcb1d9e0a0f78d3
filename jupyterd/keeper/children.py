"""Children of a keeper: kernels and shells, what holds them, and how they ended."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import termios
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from fcntl import ioctl
from struct import pack
from typing import Any

from jupyterd.keeper.processes import signal_process, start_time
from jupyterd.keeper.screen_file import ScreenFile

CHUNK = 16 * 1024
TAIL = 8 * 1024
"""Bytes of standard error that are kept of each kernel."""

DRAIN = 16
"""Reads of :data:`CHUNK` bytes that a dead child's pipe gets at most: what it started may still write."""


class CanNotSpawn(Exception):
    """There is no process; the text says why.

    :ivar errno: the system's number of the reason, None where it is another's.
    """

    def __init__(self, why: object) -> None:
        super().__init__(str(why))
        self.errno: int | None = getattr(why, "errno", None)


@dataclass(eq=False)
class Child:
    """A process, ours or adopted.

    :ivar kind: ``kernel`` or ``terminal``.
    :ivar fd: the reading end of a kernel's standard error, or the pseudo-terminal of a shell; -1 where it is lost.
    :ivar pidfd: readable when the process has ended.
    :ivar status: exit code, or minus the signal; None while it lives, and where nobody could wait for it.
    :ivar read_here: the daemon does not read ``fd``, so we do.
    """

    name: str
    kind: str
    pid: int
    started: int
    fd: int
    pidfd: int
    ours: bool = True
    info: dict[str, Any] = field(default_factory=dict)
    running: bool = True
    status: int | None = None
    tail: bytes = b""
    screen: ScreenFile | None = None
    read_here: bool = True

    def model(self) -> dict[str, Any]:
        """As the daemon is told."""
        return {
            "name": self.name,
            "kind": self.kind,
            "pid": self.pid,
            "started": self.started,
            "running": self.running,
            "status": self.status,
            "tail": self.tail.decode("latin-1"),
            "info": self.info,
        }

    def read(self, tell: Callable[[Child, bytes], None]) -> bool:
        """Take what it wrote; whether there may be more some time."""
        try:
            data = os.read(self.fd, CHUNK)
        except BlockingIOError:
            return True
        except OSError:
            data = b""
        if not data:
            return False
        if self.kind == "kernel":
            self.tail = (self.tail + data)[-TAIL:]
            tell(self, data)
        elif self.screen is not None:
            self.screen.append(data)
        return True

    def drain(self, tell: Callable[[Child, bytes], None]) -> None:
        """Take what it left behind."""
        for _ in range(DRAIN):
            if self.fd < 0 or not select.select([self.fd], [], [], 0)[0] or not self.read(tell):
                return

    def signal(self, number: int, group: bool) -> None:
        """Send it a signal.

        :raises ProcessLookupError: it is gone.
        """
        if not self.running:
            raise ProcessLookupError(f"{self.name} has ended")
        signal_process(self.pid, self.started, number, group)

    def reap(self) -> None:
        """It has ended: kill what it left in its process group, then take its status.

        Of one that was adopted somebody else has taken the status, and its number may belong to another by now.
        """
        if self.ours:
            with suppress(OSError):
                if os.getpgid(self.pid) == self.pid:
                    os.killpg(self.pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                _, status = os.waitpid(self.pid, 0)
                self.status = os.waitstatus_to_exitcode(status)
        self.running = False
        os.close(self.pidfd)
        self.pidfd = -1

    def close(self) -> None:
        """Let go of all that is held for it."""
        for fd in (self.fd, self.pidfd):
            if fd >= 0:
                os.close(fd)
        self.fd = self.pidfd = -1
        if self.screen is not None:
            self.screen.close()
            self.screen = None


def spawn(request: dict[str, Any]) -> Child:
    """Run what a daemon asks for.

    :raises CanNotSpawn: it can not be run.
    """
    argv = [str(word) for word in request["argv"]]
    env = {str(name): str(value) for name, value in request["env"].items()}
    kind = "terminal" if request.get("kind") == "terminal" else "kernel"
    screen = _screen(kind, request)
    try:
        run = _shell if kind == "terminal" else _kernel
        pid, fd = run(argv, env, request)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        if screen is not None:
            screen.close()
        raise CanNotSpawn(error) from None
    os.set_blocking(fd, False)
    child = Child(request["name"], kind, pid, start_time(pid) or 0, fd, os.pidfd_open(pid), screen=screen)
    child.info = request.get("info") or {}
    return child


def _screen(kind: str, request: dict[str, Any]) -> ScreenFile | None:
    """A terminal's; None where the disk is full: somebody wants to make room there, by this terminal perhaps."""
    if kind != "terminal" or not request.get("screen"):
        return None
    try:
        return ScreenFile(request["screen"])
    except OSError:
        return None


def _kernel(argv: list[str], env: dict[str, str], request: dict[str, Any]) -> tuple[int, int]:
    """A process without terminal; what it writes to its standard streams is one pipe."""
    fd, end = os.pipe2(os.O_CLOEXEC)
    try:
        process = subprocess.Popen(
            argv,
            env=env,
            cwd=request.get("cwd"),
            stdin=subprocess.DEVNULL,
            stdout=end,
            stderr=end,
            start_new_session=True,
        )
    except BaseException:
        os.close(fd)
        raise
    finally:
        os.close(end)
    process.returncode = 0  # it is waited for here, by its number: Popen shall not
    return process.pid, fd


def _shell(argv: list[str], env: dict[str, str], request: dict[str, Any]) -> tuple[int, int]:
    """A process on a pseudo-terminal of its own; what can not be run ends with 127."""
    rows, columns = request.get("size") or (25, 80)
    cwd = request.get("cwd")
    fds = [fd for fd in map(int, os.listdir("/proc/self/fd")) if fd > 2]
    pid, fd = pty.fork()
    if pid == 0:
        try:
            for other in fds:
                with suppress(OSError):
                    os.close(other)
            if cwd:
                with suppress(OSError):
                    os.chdir(cwd)
            os.execve(request.get("program") or argv[0], argv, env)  # noqa: S606 - no shell is meant
        finally:
            os._exit(127)
    os.set_inheritable(fd, False)
    with suppress(OSError):
        ioctl(fd, termios.TIOCSWINSZ, pack("HHHH", rows, columns, 0, 0))
    return pid, fd


def adopt(request: dict[str, Any], fd: int) -> Child:
    """Take over a process whose keeper was killed.

    :param fd: its pipe or pseudo-terminal, where somebody still has it; else -1.
    :raises CanNotSpawn: it is gone.
    """
    pid, started = int(request["pid"]), int(request["started"])
    try:
        pidfd = os.pidfd_open(pid)
    except OSError as error:
        raise CanNotSpawn(error) from None
    if start_time(pid) != started:
        os.close(pidfd)
        raise CanNotSpawn(f"process {pid} is another one")
    kind = "terminal" if request.get("kind") == "terminal" else "kernel"
    screen = _screen(kind, request)
    if fd >= 0:
        os.set_blocking(fd, False)
    child = Child(request["name"], kind, pid, started, fd, pidfd, ours=False, screen=screen)
    child.info = request.get("info") or {}
    return child


def end_all(children: list[Child], patience: float) -> None:
    """End processes: kindly, then by force; blocks for ``patience`` seconds at most."""
    for number in (signal.SIGHUP, signal.SIGCONT, signal.SIGTERM):
        for child in children:
            with suppress(OSError):
                child.signal(number, group=True)
    deadline = time.monotonic() + patience
    for child in children:
        while child.running and time.monotonic() < deadline:
            if select.select([child.pidfd], [], [], max(0.0, min(0.05, deadline - time.monotonic())))[0]:
                child.reap()
    for child in children:
        if child.running:
            with suppress(OSError):
                child.signal(signal.SIGKILL, group=True)
            select.select([child.pidfd], [], [], 1.0)
            child.reap()
