"""Terminal: a process on a pseudo-terminal, its screen, and the clients that show it."""

from __future__ import annotations

import codecs
import fcntl
import os
import signal
import struct
import termios
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone
from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from jupyterd.errors import JupyterdError
from jupyterd.terminals.screen import Screen

ROWS, COLUMNS = 25, 80
SIGNAL_INTERVAL = 0.1
"""Seconds that a process is given after each signal."""
LINGER = 0.5
"""Seconds in which the last output of a process that has exited is read."""
SIGNALS = (signal.SIGHUP, signal.SIGCONT, signal.SIGINT, signal.SIGTERM, signal.SIGKILL)


class Viewer(Protocol):
    """A client that shows a terminal.

    :ivar size: rows and columns, None where it has not said.
    :ivar reads: whether it takes output now.
    """

    size: tuple[int | None, int | None]
    reads: bool

    def show(self, text: str) -> None:
        """Output; called only while ``reads``."""

    def died(self) -> None:
        """The process has ended."""

    def pause_client(self) -> None:
        """Take no input from it."""

    def resume_client(self) -> None:
        """Take input from it."""


@implementer(IPushProducer)
class Terminal(ProcessProtocol):
    """A process on a pseudo-terminal.

    A viewer that reads slowly lags: it gets what it missed from the screen, when it reads again. Where no viewer reads,
    the process is made to wait; where there is no viewer, it goes on and the screen keeps the tail.

    :param ended: called when the process has gone.
    :ivar started: fires when its process runs; None where it does, or nobody waits.
    :ivar failure: why it could not be run; None where it could.
    :ivar last_activity: when there was output or input, in seconds of the reactor's clock.
    """

    log = Logger()

    def __init__(self, name: str, reactor: Any, ended: Callable[[Terminal], None]) -> None:
        self.name = name
        self.screen = Screen()
        self.last_activity = reactor.seconds()
        self._reactor = reactor
        self._ended = ended
        self._viewers: dict[Viewer, int] = {}
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._size = (ROWS, COLUMNS)
        self._lingering: IDelayedCall | None = None
        self._waiting = False
        self._full = False
        self.alive = True
        self.started: Deferred[None] | None = None
        self.failure: JupyterdError | None = None
        self._gone: list[Deferred[None]] = []

    # -- the process

    def remind(self, data: bytes) -> None:
        """What it wrote while another daemon, or none, was there."""
        text = self._decoder.decode(data)
        if text:
            self.screen.append(text)

    def connectionMade(self) -> None:
        """It runs."""
        self._resize(self._size)
        register = getattr(self.transport, "registerProducer", None)
        if register is not None:
            register(self, True)

    def outReceived(self, data: bytes) -> None:
        """It wrote."""
        self.last_activity = self._reactor.seconds()
        text = self._decoder.decode(data)
        if not text:
            return
        self.screen.append(text)
        for viewer in list(self._viewers):
            if viewer.reads:
                self._viewers[viewer] = self.screen.end
                viewer.show(text)
        self._balance()

    def processExited(self, reason: Failure) -> None:
        """It has exited; what it wrote last may still have to be read.

        A job that it left in the background may hold the pseudo-terminal open: that does not keep the terminal.
        """
        transport: Any = self.transport
        if self._waiting:
            transport.resumeProducing()
        self._lingering = self._reactor.callLater(LINGER, transport.loseConnection)

    def processEnded(self, reason: Failure) -> None:
        """It has gone."""
        if self._lingering is not None and self._lingering.active():
            self._lingering.cancel()
        self.alive = False
        self._ended(self)
        viewers, self._viewers = list(self._viewers), {}
        for viewer in viewers:
            if self._full:
                viewer.resume_client()
            viewer.died()
        waiting, self._gone = self._gone, []
        for deferred in waiting:
            deferred.callback(None)

    async def settled(self) -> None:
        """Wait until its process runs, or could not be run."""
        if self.started is None or self.started.called:
            return
        waiting: Deferred[None] = Deferred()

        def told(result: None) -> None:
            waiting.callback(None)

        self.started.addCallback(told)
        await waiting

    def never_ran(self) -> None:
        """No process could be run."""
        if self.alive:
            self.processEnded(Failure(ProcessDone(None)))

    async def end(self) -> None:
        """End the process, asking kindly first; done when it has gone."""
        await self.settled()
        for number in SIGNALS:
            if not self.alive:
                return
            self._signal(number)
            if number != signal.SIGHUP:
                await deferLater(self._reactor, SIGNAL_INTERVAL, lambda: None)
        if self.alive:
            gone: Deferred[None] = Deferred()
            self._gone.append(gone)
            await gone

    def _signal(self, number: int) -> None:
        pid = getattr(self.transport, "pid", None)
        if pid is not None:
            with suppress(OSError):
                os.killpg(pid, number)

    # -- viewers

    def attach(self, viewer: Viewer) -> None:
        """Show the terminal to a client: what it holds, then what comes."""
        self._viewers[viewer] = self.screen.start
        if self._full:
            viewer.pause_client()
        self.catch_up(viewer)

    def detach(self, viewer: Viewer) -> None:
        """A client has gone."""
        if self._viewers.pop(viewer, None) is not None:
            self._fit()
            self._balance()

    def catch_up(self, viewer: Viewer) -> None:
        """Show a client what it has missed; called when it reads again too."""
        place = self._viewers.get(viewer)
        if place is not None and viewer.reads:
            missed = self.screen.since(place)
            self._viewers[viewer] = self.screen.end
            if missed:
                viewer.show(missed)
        self._balance()

    def slower(self) -> None:
        """A client has stopped reading."""
        self._balance()

    def _balance(self) -> None:
        """Let the process wait while there are viewers and none of them reads."""
        wait = bool(self._viewers) and not any(viewer.reads for viewer in self._viewers)
        if wait == self._waiting or self.transport is None or self._lingering is not None:
            return
        self._waiting = wait
        transport: Any = self.transport
        if wait:
            transport.pauseProducing()
        else:
            transport.resumeProducing()

    def write(self, text: str) -> None:
        """Input of a client."""
        self.last_activity = self._reactor.seconds()
        if self.alive and self.transport is not None:
            self.transport.write(text.encode("utf-8", "surrogatepass"))

    def fit(self, viewer: Viewer) -> None:
        """A client has told its size."""
        if viewer in self._viewers:
            self._fit()

    def _fit(self) -> None:
        """As large as the smallest viewer: none of them gets lines that it can not show."""
        rows = [viewer.size[0] for viewer in self._viewers if viewer.size[0]]
        columns = [viewer.size[1] for viewer in self._viewers if viewer.size[1]]
        if rows and columns:
            size = (min(rows), min(columns))
            if size != self._size:
                self._resize(size)

    def _resize(self, size: tuple[int, int]) -> None:
        self._size = size
        fd = getattr(self.transport, "fd", None)
        if isinstance(fd, int) and self.alive:
            with suppress(OSError):
                fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))

    # -- the process reads slower than clients type: called by its transport

    def pauseProducing(self) -> None:
        """Take no more input."""
        self._full = True
        for viewer in self._viewers:
            viewer.pause_client()

    def resumeProducing(self) -> None:
        """Take input again."""
        self._full = False
        for viewer in self._viewers:
            viewer.resume_client()

    def stopProducing(self) -> None:
        """The process has gone; :meth:`processEnded` follows."""
