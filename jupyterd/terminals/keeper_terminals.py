"""Terminals under the keeper: their shells and pseudo-terminals outlive the daemon, and so does what they show."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from twisted.internet import error, fdesc
from twisted.internet.abstract import FileDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure

from jupyterd.errors import Failed, JupyterdError, OutOfSpace, Unavailable, shortage
from jupyterd.keeper.processes import is_same
from jupyterd.keeper.screen_file import ScreenFile
from jupyterd.state.store import Process

if TYPE_CHECKING:
    from jupyterd.state.kept_child import KeptChild
    from jupyterd.state.surviving import Kept
    from jupyterd.system.threads import InThread
    from jupyterd.terminals.terminal import Terminal

TERMINAL = "terminal:"
"""What the keeper's names of terminals begin with."""


class KeptTransport(FileDescriptor):
    """The pseudo-terminal of a shell that the keeper waits for: what Twisted's own is for its own children.

    :param screen: what is read is written down there, before it is shown.
    """

    def __init__(self, reactor: Any, terminal: Terminal, child: KeptChild, screen: ScreenFile | None) -> None:
        super().__init__(reactor)
        self._terminal, self._child, self._screen = terminal, child, screen
        self.fd = child.fd
        self.pid: int | None = child.pid
        self._reason: Failure | None = None
        self.connected = True
        os.set_blocking(self.fd, False)
        terminal.makeConnection(self)
        self.startReading()
        child.on_end(self._ended)

    def fileno(self) -> int:
        """The descriptor; -1 when it is closed."""
        return self.fd

    def doRead(self) -> Any:
        """It wrote."""
        return fdesc.readFromFD(self.fd, self._read)

    def _read(self, data: bytes) -> None:
        if self._screen is not None:
            self._screen.append(data)
        self._terminal.outReceived(data)

    def writeSomeData(self, data: bytes) -> Any:
        """Input for it."""
        return fdesc.writeToFD(self.fd, data)

    def signalProcess(self, number: int) -> None:
        """Send it a signal."""
        with suppress(ProcessLookupError):
            self._child.signal(number, group=True)

    def _ended(self) -> None:
        self.pid = None
        status = self._child.status or 0
        kind = error.ProcessDone if status == 0 else error.ProcessTerminated
        number = -status if status < 0 else None
        self._reason = Failure(kind(None) if status == 0 else error.ProcessTerminated(status, number))
        self._terminal.processExited(self._reason)
        if not self.connected:
            self._finish()

    def connectionLost(self, reason: Any = None) -> None:
        """The pseudo-terminal is closed: by its last user, or by us."""
        if not self.connected:
            return
        super().connectionLost(reason)
        self.connected = False
        self._close()
        if self._reason is not None:
            self._finish()

    def _close(self) -> None:
        if self.fd >= 0:
            fd, self.fd = self.fd, -1
            self._child.fd = -1
            os.close(fd)

    def _finish(self) -> None:
        if self._screen is not None:
            self._screen.close()
            self._screen = None
        self._terminal.processEnded(self._reason or Failure(error.ProcessDone(None)))

    def let_go(self) -> None:
        """Leave it to the keeper."""
        self._child.on_end(None)
        self.stopReading()
        self.stopWriting()
        self.connected = False
        self._close()
        if self._screen is not None:
            self._screen.close()
            self._screen = None


class KeptTerminals:
    """Runs terminals as children of the keeper, and finds those of a former daemon again.

    :param in_thread: one thread, so that writes to the state file stay in order.
    """

    log = Logger()

    def __init__(self, reactor: Any, kept: Kept, in_thread: InThread) -> None:
        self._reactor, self._kept, self._in_thread = reactor, kept, in_thread

    async def spawn(
        self,
        terminal: Terminal,
        program: str,
        command: Sequence[str],
        env: dict[str, str],
        path: str | None,
        size: tuple[int, int],
    ) -> None:
        """Run a shell.

        :raises Failed: it can not be run.
        :raises Unavailable: the system gives no process now.
        :raises OutOfSpace: the disk is full; it can run all the same, but not be kept.
        """
        try:
            screen = self._screen_of(terminal.name)
            with suppress(FileNotFoundError):
                os.unlink(screen)
            child = await self._kept.keeper.spawn(
                TERMINAL + terminal.name,
                command,
                env,
                kind="terminal",
                program=program,
                cwd=path,
                size=size,
                screen=screen,
            )
        except OSError as error:
            kind = shortage(error.errno) or Failed
            raise kind(f"No terminal could be started: {error.strerror or error}") from None
        except JupyterdError as error:
            kind = type(error) if isinstance(error, (OutOfSpace, Unavailable)) else Failed
            raise kind(f"No terminal could be started: {error.message}") from None
        row = Process(terminal.name, {}, child.pid, child.started, self._kept.boot)
        try:
            await self._in_thread(lambda: self._kept.store.put_terminal(row))
        except Exception as error:  # noqa: BLE001 - it runs; the keeper knows it too, while it lives
            self.log.error("terminal {name} can not be noted: {error}", name=terminal.name, error=str(error))
        self._connect(terminal, child)

    def _screen_of(self, name: str) -> str:
        os.makedirs(self._kept.directory.join("screens"), mode=0o700, exist_ok=True)
        return self._kept.directory.join(os.path.join("screens", name))

    def _connect(self, terminal: Terminal, child: KeptChild) -> None:
        screen = None
        if child.screen is not None:
            with suppress(OSError):
                screen = ScreenFile(child.screen)
                terminal.remind(screen.read())
        KeptTransport(self._reactor, terminal, child, screen)

    def forget(self, terminal: Terminal) -> None:
        """A terminal has ended."""
        child = self._kept.keeper.children.get(TERMINAL + terminal.name)
        if child is not None and not child.running:
            self._kept.keeper.forget(child)
        with suppress(OSError):
            os.unlink(self._screen_of(terminal.name))
        self._in_thread(lambda: self._kept.store.remove_terminal(terminal.name)).addErrback(
            lambda failure: self.log.failure("a terminal can not be forgotten", failure)
        )

    def leave(self, terminal: Terminal) -> bool:
        """Leave a terminal to the next daemon; whether that can be done."""
        transport = terminal.transport
        if not isinstance(transport, KeptTransport) or not terminal.alive:
            return False
        transport.let_go()
        return True

    async def find(self, children: Mapping[str, Mapping[str, Any]], found: Callable[[str], Terminal]) -> None:
        """Find the terminals of a former daemon.

        :param children: the keeper's, by their names.
        :param found: makes a terminal of that name.
        """
        rows = {row.key: row for row in await self._in_thread(lambda: self._kept.store.terminals())}
        for name, model in children.items():
            if name.startswith(TERMINAL):
                key = name.removeprefix(TERMINAL)
                rows.setdefault(key, Process(key, {}, model["pid"], model["started"], self._kept.boot))
        for row in rows.values():
            try:
                await self._find(row, children.get(TERMINAL + row.key), found)
            except Exception:  # noqa: BLE001 - the others are found all the same
                self.log.failure("terminal {name} can not be found again", name=row.key)

    async def _find(self, row: Process, model: Any, found: Callable[[str], Terminal]) -> None:
        keeper = self._kept.keeper
        if model is None or not model["running"]:
            if model is not None:
                keeper.say("forget", name=model["name"])
            elif row.boot == self._kept.boot and row.pid is not None and is_same(row.pid, row.started or 0):
                self.log.warn("terminal {name} lost its keeper, and its screen with it", name=row.key)
            await self._in_thread(lambda: self._kept.store.remove_terminal(row.key))
            with suppress(OSError):
                os.unlink(self._screen_of(row.key))
            return
        child = await keeper.recall(dict(model), self._screen_of(row.key))
        if child.fd < 0:
            return
        self._connect(found(row.key), child)
        self.log.info("terminal {name} is found again", name=row.key)
