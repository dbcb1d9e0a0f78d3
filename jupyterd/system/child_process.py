"""Child process: what takes long, needs much memory, or drags in libraries that the daemon does without."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ProcessDone
from twisted.internet.interfaces import IReactorProcess, IReactorTime
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from jupyterd.errors import Failed, TimedOut, TooLarge, Unavailable

STDERR_KEPT = 16 * 1024

# ``python -m`` would look for modules in the current directory first, where users keep files of any name.
BOOT = (
    "import sys; sys.path[:] = [path for path in sys.path if path];"
    "import runpy; runpy.run_module(sys.argv[1], None, '__main__')"
)


class ChildFailed(Failed):
    """The child ended badly.

    :ivar stderr: the end of what it said.
    """

    def __init__(self, message: str, stderr: str = "") -> None:
        super().__init__(message)
        self.stderr = stderr


class Conversation(ProcessProtocol):
    """Gives a child its input, collects its output, and ends it when it takes too long or says too much.

    :param limit: bytes of output.
    :ivar done: fires with the output when the child has ended well.
    """

    def __init__(self, reactor: IReactorTime, data: bytes, timeout: float, limit: int) -> None:
        self._data = data
        self._limit = limit
        self._out: list[bytes] = []
        self._size = 0
        self._err = b""
        self._broken: Exception | None = None
        self._timeout = timeout
        self._timer = reactor.callLater(timeout, self._overdue)
        self.done: Deferred[bytes] = Deferred(self._cancelled)

    def connectionMade(self) -> None:
        """The child runs."""
        assert self.transport is not None
        self.transport.write(self._data)
        self.transport.closeStdin()
        self._data = b""

    def outReceived(self, data: bytes) -> None:
        """Some output."""
        self._size += len(data)
        if self._size > self._limit:
            self._end(TooLarge(f"The result has more than {self._limit} bytes"))
        else:
            self._out.append(data)

    def errReceived(self, data: bytes) -> None:
        """Some of what it says to people."""
        self._err = (self._err + data)[-STDERR_KEPT:]

    def processEnded(self, reason: Failure) -> None:
        """It has ended."""
        if self._timer.active():
            self._timer.cancel()
        done, self.done = self.done, Deferred()
        if done.called:
            return
        if self._broken is not None:
            done.errback(self._broken)
        elif reason.check(ProcessDone):
            done.callback(b"".join(self._out))
        else:
            stderr = self._err.decode("utf-8", "replace").strip()
            last = stderr.rpartition("\n")[2]
            done.errback(ChildFailed(last or str(reason.value), stderr))

    def never_ran(self) -> None:
        """There is no child."""
        self._timer.cancel()

    def _overdue(self) -> None:
        self._end(TimedOut(f"No result within {self._timeout:g} seconds"))

    def _cancelled(self, done: Deferred[bytes]) -> None:
        self._end(Failed("cancelled"))

    def _end(self, error: Exception) -> None:
        if self._broken is None:
            self._broken = error
            self._out.clear()
            kill(self.transport)


def kill(transport: Any) -> None:
    """End a process and what it started: children lead groups of their own."""
    with suppress(OSError, TypeError):
        os.killpg(transport.pid, signal.SIGKILL)
    with suppress(Exception):  # already gone
        transport.signalProcess("KILL")


def run_module(
    reactor: Any, module: str, data: bytes = b"", *, timeout: float, limit: int = 512 * 1024 * 1024, arguments: Any = ()
) -> Deferred[bytes]:
    """Run a module as a program with ``data`` as its input; the Deferred fires with its output.

    :param timeout: seconds.
    :param limit: bytes of output.
    :raises ChildFailed: it ended with another status than 0; the message is the last line that it said.
    :raises Unavailable: the system gives no process.
    :raises TimedOut: it was killed for taking longer.
    :raises TooLarge: it was killed for saying more.
    """
    process: IReactorProcess = reactor
    conversation = Conversation(reactor, data, timeout, limit)
    done = conversation.done
    command = [sys.executable, "-c", BOOT, module, *arguments]
    try:
        process.spawnProcess(conversation, sys.executable, command, env=dict(os.environ), path=None)
    except OSError as error:
        conversation.never_ran()
        return fail(Unavailable(f"No process could be started: {error.strerror or error}"))
    return done
