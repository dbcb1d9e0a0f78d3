"""Watches on a kernel's process: its standard error, and its end, as descriptors that the reactor reads."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from jupyterd.kernels.process.death import Tail
from jupyterd.state.kept_child import KeptChild
from jupyterd.system.asyncio_bridge import from_asyncio

CHUNK = 16 * 1024
DRAIN = 16
"""Reads of :data:`CHUNK` bytes that a dead kernel's standard error gets at most: its children may still write."""
LOGGED = 100
"""Lines a second of one kernel's standard error that are logged; of more, their number is."""


class Popen(Protocol):
    """What is used of :class:`subprocess.Popen`."""

    pid: int
    returncode: int | None

    def poll(self) -> int | None:
        """Reap the process if it has ended."""

    def wait(self) -> int:
        """Wait for its end; blocks."""


@implementer(IReadDescriptor)
class _Readable:
    """A descriptor of ours in the reactor's hands."""

    def __init__(self, reactor: Any, fd: int) -> None:
        self._reactor = reactor
        self._fd = fd
        reactor.addReader(self)

    def fileno(self) -> int:
        """The descriptor; -1 when closed."""
        return self._fd

    def logPrefix(self) -> str:
        """What Twisted calls it in its log."""
        return "kernel"

    def connectionLost(self, reason: Failure | None = None) -> None:
        """The reactor let go of it."""
        self.close()

    def doRead(self) -> None:
        """Something can be read."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop reading and close the descriptor."""
        if self._fd >= 0:
            self._reactor.removeReader(self)
            os.close(self._fd)
            self._fd = -1


class StandardErrorLog:
    """The lines of a kernel's standard error: they go to the daemon's log, the last ones are kept.

    :param kernel_id: names the kernel in the log.
    """

    log = Logger()

    def __init__(self, clock: Any, kernel_id: str) -> None:
        self._clock = clock
        self._kernel_id = kernel_id
        self._second = 0
        self._lines = 0
        self.tail = Tail()

    def feed(self, data: bytes) -> None:
        """More of it; nothing is its end."""
        self._log(self.tail.feed(data) if data else self.tail.flush())

    def _log(self, lines: Iterable[str]) -> None:
        second = int(self._clock.seconds())
        if second != self._second:
            self._log_rest()
            self._second = second
        for line in lines:
            self._lines += 1
            if self._lines <= LOGGED:
                self.log.info("kernel {kernel_id}: {line}", kernel_id=self._kernel_id, line=line)

    def _log_rest(self) -> None:
        if self._lines > LOGGED:
            self.log.info(
                "kernel {kernel_id}: {line}",
                kernel_id=self._kernel_id,
                line=f"({self._lines - LOGGED} more lines of standard error)",
            )
        self._lines = 0

    def finish(self) -> str:
        """All is there; the last lines."""
        self._log(self.tail.flush())
        self._log_rest()
        return str(self.tail)


class StandardError(_Readable):
    """A kernel's standard error, read here.

    :param reactor: reads the pipe.
    """

    def __init__(self, reactor: Any, kernel_id: str) -> None:
        fd, self.write_fd = os.pipe2(os.O_CLOEXEC) if hasattr(os, "pipe2") else os.pipe()
        os.set_blocking(fd, False)
        super().__init__(reactor, fd)
        self._lines = StandardErrorLog(reactor, kernel_id)

    @property
    def tail(self) -> Tail:
        """Its last lines."""
        return self._lines.tail

    @property
    def kwargs(self) -> dict[str, Any]:
        """What the provisioner is given of it."""
        return {"stderr": self.write_fd}

    def launched(self) -> None:
        """The kernel has its own copy of the pipe's end: drop ours."""
        if self.write_fd >= 0:
            os.close(self.write_fd)
            self.write_fd = -1

    def doRead(self) -> None:
        """A bounded read; the rest waits for the reactor's next turn."""
        self._read()

    def _read(self) -> bool:
        try:
            data = os.read(self._fd, CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        self._lines.feed(data)
        if not data:
            self.close()
        return bool(data)

    def drain(self) -> str:
        """Read what the kernel left in the pipe; the last lines of all it wrote."""
        for _ in range(DRAIN):
            if self._fd < 0 or not self._read():
                break
        return self._lines.finish()

    def close(self) -> None:
        """Close both ends."""
        self.launched()
        super().close()


class KeptStandardError:
    """A kernel's standard error, read by the keeper, which tells of it and keeps the end."""

    def __init__(self, clock: Any, kernel_id: str) -> None:
        self._lines = StandardErrorLog(clock, kernel_id)
        self._child: KeptChild | None = None

    kwargs: dict[str, Any] = {}

    def launched(self, child: KeptChild | None = None) -> None:
        """It runs."""
        self._child = child
        if child is not None:
            child.hear(self._lines.feed)

    def drain(self) -> str:
        """The last lines of all it wrote."""
        said = self._lines.finish()
        if self._child is None or not self._child.tail:
            return said
        tail = Tail()
        for _ in (*tail.feed(self._child.tail), *tail.flush()):
            pass
        return str(tail)

    def close(self) -> None:
        """Hear no more of it."""
        if self._child is not None:
            self._child.hear(None)


class KeptWatch:
    """Tells of the end of a process that the keeper waits for; see :class:`ProcessWatch`."""

    def __init__(self, child: KeptChild, ended: Callable[[int | None], None]) -> None:
        self._child = child
        child.on_end(lambda: ended(child.status))

    def stop(self) -> None:
        """Tell nobody any more."""
        self._child.on_end(None)


class _Pidfd(_Readable):
    def __init__(self, reactor: Any, fd: int, ended: Callable[[], None]) -> None:
        super().__init__(reactor, fd)
        self._ended = ended

    def doRead(self) -> None:
        self.close()
        self._ended()


class ProcessWatch:
    """Tells of a child's end at once: by a descriptor for it where the system has one, else by a waiting thread.

    What the child leaves behind in its process group is killed before the child is reaped: until then its number can
    not belong to anybody else.

    :param process: a child of this process, leader of its process group.
    :param ended: called once, in the reactor's thread, with its exit code or minus its signal.
    """

    def __init__(self, reactor: Any, process: Popen, ended: Callable[[int | None], None]) -> None:
        self._reactor = reactor
        self._process = process
        self._ended: Callable[[int | None], None] | None = ended
        self._pidfd: _Pidfd | None = None
        fd = _pidfd_open(process.pid)
        if fd is not None:
            self._pidfd = _Pidfd(reactor, fd, self._exited)
        else:
            threading.Thread(target=self._wait, name=f"kernel {process.pid}", daemon=True).start()

    def _wait(self) -> None:
        self._process.wait()
        with suppress(RuntimeError):  # the reactor, and with it everybody who waits, is gone
            self._reactor.callFromThread(self._exited)

    def _exited(self) -> None:
        if self._pidfd is not None:
            kill_group(self._process.pid)
        status = self._process.poll()
        if self._ended is not None:
            ended, self._ended = self._ended, None
            ended(status)

    def stop(self) -> None:
        """Tell nobody any more."""
        self._ended = None
        if self._pidfd is not None:
            self._pidfd.close()


class PollingWatch:
    """Asks a provisioner of remote kernels whether its kernel lives."""

    log = Logger()

    def __init__(
        self,
        clock: Any,
        poll: Callable[[], Awaitable[int | None]],
        interval: float,
        ended: Callable[[int | None], None],
    ) -> None:
        self._poll = poll
        self._ended = ended
        self._loop = LoopingCall(lambda: Deferred.fromCoroutine(self._ask()))
        self._loop.clock = clock
        self._loop.start(interval, now=False)

    async def _ask(self) -> None:
        try:
            status = await from_asyncio(self._poll())
        except Exception:  # noqa: BLE001 - a provisioner that can not be reached now may be later
            self.log.failure("a provisioner does not say whether its kernel lives")
            return
        if status is not None and self._loop.running:
            self.stop()
            self._ended(status)

    def stop(self) -> None:
        """Ask no more."""
        if self._loop.running:
            self._loop.stop()


def _pidfd_open(pid: int) -> int | None:
    if sys.platform != "linux":
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None


def kill_group(pid: int) -> None:
    """Kill what is left of the process group that ``pid`` leads."""
    with suppress(OSError):
        if os.getpgid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)
