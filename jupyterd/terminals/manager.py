"""Manager of all terminals of the daemon."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Collection, Mapping
from itertools import count
from shutil import which
from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from jupyterd.errors import Failed, Invalid, JupyterdError, NotFound, OutOfSpace, shortage
from jupyterd.system.timestamps import isoformat
from jupyterd.terminals.settings import DEFAULT_CULL_INTERVAL, Shell, TerminalManager
from jupyterd.terminals.terminal import COLUMNS, ROWS, Terminal

if TYPE_CHECKING:
    from jupyterd.terminals.keeper_terminals import KeptTerminals

NAME = re.compile(r"\w+")
MAX_TERMINALS = 1000
"""Terminals at a time; each is two descriptors and a process."""


class NoSuchTerminal(NotFound):
    """No terminal has that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Terminal not found: {name}")


class Terminals(Service):
    """Starts terminals, knows them by name, ends those that nobody uses.

    :param shell: tells what runs in a new one; called for each.
    :param kept: runs them so that they outlive the daemon; None: they are its children and end with it.
    :param keep: whether they go on when the daemon stops.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        settings: TerminalManager,
        shell: Any,
        kept: KeptTerminals | None = None,
        keep: Callable[[], bool] = lambda: False,
    ) -> None:
        self._kept, self._keep = kept, keep
        self._reactor = reactor
        self._settings = settings
        self._shell = shell
        self._terminals: dict[str, Terminal] = {}
        self._timer: IDelayedCall | None = None
        self.last_activity: float | None = None

    def __getitem__(self, name: str) -> Terminal:
        """The terminal of that name.

        :raises NoSuchTerminal: there is none.
        """
        try:
            return self._terminals[name]
        except KeyError:
            raise NoSuchTerminal(name) from None

    def __len__(self) -> int:
        """How many run."""
        return len(self._terminals)

    def list(self) -> list[dict[str, str]]:
        """All of them, as clients are told."""
        return [self.model(terminal) for terminal in self._terminals.values()]

    def model(self, terminal: Terminal) -> dict[str, str]:
        """A terminal, as clients are told."""
        when = time.time() - (self._reactor.seconds() - terminal.last_activity)
        return {"name": terminal.name, "last_activity": isoformat(when, "microseconds")}

    def create(self, name: str | None = None, directory: str | None = None) -> Terminal:
        """Start a terminal, or give the one that has that name already.

        :param directory: an existing one; None for the default.
        :raises Invalid: not a name.
        :raises Failed: no process could be started.
        :raises Unavailable: the system gives none now.
        """
        if name is None:
            name = next(str(number) for number in count(1) if str(number) not in self._terminals)
        elif NAME.fullmatch(name) is None:
            raise Invalid("A terminal's name is letters, digits and underscores")
        elif name in self._terminals:
            return self._terminals[name]
        if len(self._terminals) >= MAX_TERMINALS:
            raise Failed(f"Cannot create more than {MAX_TERMINALS} terminals")
        terminal = Terminal(name, self._reactor, self._forget)
        self._spawn(terminal, self._shell(), directory)
        self._terminals[name] = terminal
        self.log.info("terminal {name} started", name=name)
        self._watch()
        return terminal

    async def start(self, name: str | None = None, directory: str | None = None) -> Terminal:
        """The same, done when its process runs.

        :raises Invalid: not a name.
        :raises Failed: no process could be started.
        :raises Unavailable: the system gives none now.
        """
        terminal = self.create(name, directory)
        await terminal.settled()
        if terminal.failure is not None:
            raise terminal.failure
        return terminal

    async def find(self, children: Mapping[str, Mapping[str, Any]], listened: Collection[str]) -> None:
        """Find the terminals of a former daemon.

        :param children: the keeper's, by their names.
        :param listened: is of kernels.
        """
        if self._kept is not None:
            await self._kept.find(children, self._found)

    def _found(self, name: str) -> Terminal:
        terminal = self._terminals[name] = Terminal(name, self._reactor, self._forget)
        self._watch()
        return terminal

    def _spawn(self, terminal: Terminal, shell: Shell, directory: str | None) -> None:
        where = directory or (shell.directory if os.path.isdir(shell.directory) else None)
        program = which(shell.command[0])
        if program is None:
            raise Failed(f"No terminal could be started: there is no program {shell.command[0]}")
        if self._kept is None:
            self._spawn_here(terminal, program, shell, where)
            return
        variables = shell.variables(ROWS, COLUMNS)
        running = self._kept.spawn(terminal, program, shell.command, variables, where, (ROWS, COLUMNS))
        terminal.started = Deferred.fromCoroutine(running)
        terminal.started.addErrback(self._not_kept, terminal, program, shell, where)
        terminal.started.addErrback(self._not_started, terminal)

    def _spawn_here(self, terminal: Terminal, program: str, shell: Shell, where: str | None) -> None:
        """Run a shell as a child of the daemon, which ends with it."""
        try:
            self._reactor.spawnProcess(
                terminal,
                program,
                shell.command,
                env=shell.variables(ROWS, COLUMNS),
                path=where,
                usePTY=True,
            )
        except OSError as error:
            kind = shortage(error.errno) or Failed
            raise kind(f"No terminal could be started: {error.strerror or error}") from None

    def _not_kept(self, failure: Failure, terminal: Terminal, program: str, shell: Shell, where: str | None) -> None:
        """Nothing can be noted on a full disk; who wants to make room there needs a terminal, kept or not."""
        failure.trap(OutOfSpace)
        self.log.warn(
            "terminal {name} ends with the server: {error}", name=terminal.name, error=failure.getErrorMessage()
        )
        self._spawn_here(terminal, program, shell, where)

    def _not_started(self, failure: Failure, terminal: Terminal) -> None:
        error = failure.value
        terminal.failure = error if isinstance(error, JupyterdError) else Failed(failure.getErrorMessage())
        if terminal.failure is not error:
            self.log.failure("a terminal could not be started", failure)
        terminal.never_ran()

    def _forget(self, terminal: Terminal) -> None:
        if self._kept is not None:
            self._kept.forget(terminal)
        self.last_activity = max(self.last_activity or 0.0, terminal.last_activity)
        if self._terminals.get(terminal.name) is terminal:
            del self._terminals[terminal.name]
            self.log.info("terminal {name} ended", name=terminal.name)

    def active_at(self) -> float | None:
        """When a terminal was last used, in seconds of the reactor's clock; None for never."""
        times = [terminal.last_activity for terminal in self._terminals.values()]
        return max([*times, self.last_activity or 0.0]) or None

    # -- culling

    def _watch(self) -> None:
        if self._settings.cull_inactive_timeout > 0 and self._timer is None and self._terminals:
            interval = self._settings.cull_interval if self._settings.cull_interval > 0 else DEFAULT_CULL_INTERVAL
            self._timer = self._reactor.callLater(interval, self._cull)

    def _cull(self) -> None:
        self._timer = None
        now = self._reactor.seconds()
        for terminal in list(self._terminals.values()):
            idle = now - terminal.last_activity
            if idle > self._settings.cull_inactive_timeout:
                self.log.warn("ending terminal {name}, idle for {idle:.0f} seconds", name=terminal.name, idle=idle)
                self._end(terminal)
        self._watch()

    def _end(self, terminal: Terminal) -> Deferred[None]:
        ending = Deferred.fromCoroutine(terminal.end())
        ending.addErrback(lambda failure: self.log.failure("a terminal did not end", failure))
        return ending

    def stopService(self) -> Deferred[Any]:
        """End all terminals."""
        super().stopService()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._keep() and self._kept is not None:
            for terminal in list(self._terminals.values()):
                if self._kept.leave(terminal):
                    del self._terminals[terminal.name]
        return DeferredList([self._end(terminal) for terminal in list(self._terminals.values())])
