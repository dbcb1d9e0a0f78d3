"""Extension host's process, seen from the daemon: two pipes of JSON lines, and what it prints, for the log."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

TO_HOST = 3
FROM_HOST = 4
"""Descriptors of the child: what it reads, and what it writes."""

MAX_MESSAGE = 32 * 1024 * 1024
"""Bytes of one message of the host; a longer one ends it."""

MAX_LINE = 16 * 1024
"""Bytes of a line that it prints; the rest goes into the log as the next line."""

END_SECONDS = 1.0
"""How long a process may live that has closed its pipe: most often it is just ending."""

log = Logger("jupyterd.extensions.host_supervisor")
_LEVELS = {"D": LogLevel.debug, "I": LogLevel.info, "W": LogLevel.warn, "E": LogLevel.error, "C": LogLevel.critical}


class HostProcess(ProcessProtocol):
    """One run of the host.

    :param clock: the reactor.
    :param setup: the first message that it gets: the key, where its sockets are, what it must know.
    :param heard: called with each message.
    :param ended: called once, with a sentence about its end, when the process is gone.
    """

    def __init__(
        self,
        clock: IReactorTime,
        setup: Mapping[str, Any],
        heard: Callable[[dict[str, Any]], None],
        ended: Callable[[str], None],
    ) -> None:
        self._clock = clock
        self._setup = setup
        self._heard = heard
        self._ended = ended
        self._message = bytearray()
        self._lines = {1: b"", 2: b""}
        self._broken = ""
        self._over = False

    @property
    def pid(self) -> int | None:
        """Its number; None when it is gone."""
        return None if self.transport is None else self.transport.pid

    # -- speaking

    def connectionMade(self) -> None:
        """The child runs."""
        self.send(self._setup)
        self._setup = {}

    def send(self, message: Mapping[str, Any]) -> None:
        """Tell the host something; in order."""
        if self.transport is not None and not self._over:
            self.transport.writeToChild(TO_HOST, json.dumps(message, default=str).encode() + b"\n")

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """Bytes of one of its pipes."""
        if childFD == FROM_HOST:
            self._take(data)
        else:
            self._print(childFD, data)

    def _take(self, data: bytes) -> None:
        self._message += data
        while (end := self._message.find(b"\n")) >= 0:
            line = bytes(self._message[:end])
            del self._message[: end + 1]
            try:
                message = json.loads(line)
            except (ValueError, RecursionError):
                self.break_off("it does not keep to its protocol")
                return
            if isinstance(message, dict) and not self._over:
                self._heard(message)
        if len(self._message) > MAX_MESSAGE:
            self.break_off("it sends a message without an end")

    def _print(self, fd: int, data: bytes) -> None:
        *lines, rest = (self._lines[fd] + data).split(b"\n")
        while len(rest) > MAX_LINE:
            lines.append(rest[:MAX_LINE])
            rest = rest[MAX_LINE:]
        self._lines[fd] = rest
        for line in lines:
            self._log_line(line.decode("utf-8", "replace").rstrip())

    def _log_line(self, line: str) -> None:
        if not line:
            return
        level, text = LogLevel.info, line
        if line[:1] == "[" and line[2:3] == "]":  # as the host writes its log: a letter for the level
            level, text = _LEVELS.get(line[1], level), line[4:]
        log.emit(level, "{line}", line=text)

    # -- its end

    def childConnectionLost(self, childFD: int) -> None:
        """It has closed a pipe; without its messages it is of no use."""
        if childFD in (FROM_HOST, TO_HOST) and not self._over:
            self._clock.callLater(END_SECONDS, self._still_there)

    def _still_there(self) -> None:
        if not self._over:
            self.break_off("it has closed the pipe to the server")

    def break_off(self, why: str) -> None:
        """Kill it, for this reason."""
        self._broken = self._broken or why
        self.kill()

    def terminate(self) -> None:
        """Ask it to end; it lets its extensions stop, and ends what they have started."""
        self.send({"do": "stop"})

    def kill(self) -> None:
        """End it and its process group at once."""
        pid = self.pid
        if pid is None:
            return
        with suppress(OSError):
            if os.getpgid(pid) == pid:
                os.killpg(pid, signal.SIGKILL)
        with suppress(Exception):
            assert self.transport is not None
            self.transport.signalProcess("KILL")

    def processExited(self, reason: Failure) -> None:
        """It is gone; its children may still hold the pipes."""
        if self._over:
            return
        self._over = True
        for fd, rest in self._lines.items():
            self._lines[fd] = b""
            self._log_line(rest.decode("utf-8", "replace").rstrip())
        transport: Any = self.transport
        if transport is not None:
            transport.loseConnection()
        self._ended(self._broken or describe_end(reason.value))


def describe_end(end: Any) -> str:
    """A process's end in words."""
    number = getattr(end, "signal", None)
    if number is not None:
        return f"it was ended by {signal.Signals(number).name}"
    return f"it ended with status {getattr(end, 'exitCode', None)}"
