"""Child processes in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure


class Child:
    """A child process that answers when it is told to."""

    def __init__(self, protocol: Any, command: list[str]) -> None:
        self.protocol, self.command, self.pid = protocol, command, None
        self.input = b""
        self.killed = False
        protocol.makeConnection(self)

    def write(self, data: bytes) -> None:
        self.input += data

    def closeStdin(self) -> None: ...

    def signalProcess(self, signal: str) -> None:
        self.killed = True
        self.protocol.processEnded(Failure(ProcessTerminated(signal=9)))

    def answer(self, data: bytes) -> None:
        self.protocol.outReceived(data)
        self.protocol.processEnded(Failure(ProcessDone(0)))

    def fail(self, text: bytes) -> None:
        self.protocol.errReceived(text)
        self.protocol.processEnded(Failure(ProcessTerminated(1)))


class ChildReactor(MemoryReactorClock):
    """Starts such processes; ``reply`` is called with each, if it is set."""

    def __init__(self) -> None:
        super().__init__()
        self.children: list[Child] = []
        self.reply: Callable[[Child], None] | None = None

    def spawnProcess(self, protocol: Any, program: str, command: Any, **options: Any) -> None:  # type: ignore[override]
        child = Child(protocol, command)
        self.children.append(child)
        if self.reply is not None:
            self.reply(child)
