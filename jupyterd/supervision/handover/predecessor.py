"""Predecessor's side of a takeover: it starts its successor, hands its sockets over, and goes when it is told to."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from jupyterd.errors import Failed
from jupyterd.supervision.handover.successor import STDERR

TAIL = 4096
FAILED = "restart.failed"
"""The file, in the directory of the server's state, that says why a restart failed."""


class Keeper(Protocol):
    """By which successors are heard: :class:`~jupyterd.state.keeper_link.KeeperLink`."""

    heard: dict[str, Callable[[], None]]

    async def ready(self) -> None:
        """Wait for it."""

    async def ask(self, op: str, fds: Sequence[int] = (), **fields: Any) -> Any:
        """Ask it."""


class _Child(ProcessProtocol):
    """The process of a successor: what it says on standard error is passed on, and its end is told."""

    def __init__(self, ended: Callable[[str], None]) -> None:
        self._ended = ended
        self._tail = b""

    def errReceived(self, data: bytes) -> None:
        """Something for people."""
        self._tail = (self._tail + data)[-TAIL:]
        with suppress(OSError, ValueError):
            if sys.__stderr__ is not None:
                sys.__stderr__.buffer.write(data)
                sys.__stderr__.flush()

    def processEnded(self, reason: Failure) -> None:
        """It has ended."""
        said = self._tail.decode("utf-8", "replace").strip().rpartition("\n")[2]
        self._ended(said or str(reason.value))


class Predecessor(Service):
    """One daemon's.

    :param argv: the command that starts the same server.
    :param environment: the successor's, all of it.
    :param sockets: gives each listening socket: its descriptor, its endpoint (empty: that of ``ip`` or ``sock``), and
        the path of a UNIX socket that is the server's own.
    :param state: gives the path of a file in the directory of the server's state.
    :param leave: stops the daemon so that the successor finds all; given its process number, where we have started it.
    :param refusal: why nobody may take over; empty if somebody may.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        keeper: Keeper,
        argv: Sequence[str],
        environment: Mapping[str, str],
        *,
        sockets: Callable[[], list[tuple[int, str, str]]],
        state: Callable[[str], str],
        leave: Callable[[int | None], None],
        refusal: Callable[[], str],
    ) -> None:
        self._reactor, self._keeper = reactor, keeper
        self._argv = list(argv)
        self._environment = {name: value for name, value in environment.items() if name != "WATCHDOG_PID"}  # ours
        self._sockets, self._state, self._leave, self._refusal = sockets, state, leave, refusal
        self._starting = False
        self._successor: int | None = None
        self.left = False
        keeper.heard.update(successor=self._pass_on, go=self._go, successor_failed=self._failed)

    def restart(self) -> None:
        """Start a successor, which takes over."""
        if self._starting or self.left:
            self.log.warn("a restart is under way")
            return
        if (why := self._refusal()) != "":
            self._give_up(why)
            return
        self._starting = True
        Deferred.fromCoroutine(self._start()).addErrback(lambda failure: self._give_up(failure.getErrorMessage()))

    async def _start(self) -> None:
        self.log.info("starting the process that takes over")
        with suppress(OSError):
            os.unlink(self._state(FAILED))
        await self._keeper.ready()
        stderr = os.dup(2)
        try:
            process = self._reactor.spawnProcess(
                _Child(self._give_up),
                self._argv[0],
                [*self._argv, "--takeover", "--no-browser"],
                env={**self._environment, STDERR: "3"},
                path=None,
                childFDs={0: 0, 1: 1, 2: "r", 3: stderr},
            )
            self._successor = process.pid
        finally:
            os.close(stderr)

    def _give_up(self, why: str) -> None:
        if self.left:
            return
        self._starting, self._successor = False, None
        self.log.error("the restart failed, this process serves on: {why}", why=why)
        with suppress(OSError), open(self._state(FAILED), "w", encoding="utf-8") as file:
            file.write(why)

    def _pass_on(self) -> None:
        found = self._sockets()
        why = self._refusal() if found else "it does not listen"
        if why:
            passing = self._keeper.ask("refuse", why=why)
        else:
            passing = self._keeper.ask(
                "pass_on", [fd for fd, _, _ in found], places=[[endpoint, path] for _, endpoint, path in found]
            )
        Deferred.fromCoroutine(passing).addErrback(self._not_passed)

    def _not_passed(self, failure: Failure) -> None:
        failure.trap(Failed)
        self.log.error("the sockets could not be handed over: {why}", why=failure.getErrorMessage())

    def _go(self) -> None:
        if not self.left:
            self.left = True
            self.log.info("another process takes over")
            self._leave(self._successor)

    def _failed(self) -> None:
        self.log.warn("the process that was to take over is gone before it did, this one serves on")
