"""Connections that send an answer at once: the reactor is asked to wait for room only where there is none.

Twisted's transports note each write with the reactor, which then asks the system whether there is room, and takes the
note back: for a small answer that is more work than to send it.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet import tcp, unix
from twisted.internet.address import UNIXAddress

if TYPE_CHECKING:
    Transport: Any = object
else:
    Transport = object


class Eager(Transport):
    """A mixin for Twisted's stream transports."""

    _holding = False
    _pending = False
    _is_reader = False
    _is_writer = False
    _host: Any = None
    _peer: Any = None

    def doRead(self) -> Any:
        """Have the protocol read; then send what it has answered. Called by the reactor."""
        self._holding = True
        try:
            why = super().doRead()
        finally:
            self._holding = False
            self._flush()
        return why

    def write_together(self, write: Any) -> None:
        """Send at once what ``write`` writes."""
        if self._holding:
            write()
            return
        self._holding = True
        try:
            write()
        finally:
            self._holding = False
            self._flush()

    def startWriting(self) -> None:
        """There is something to be sent. Called by what writes."""
        if self._holding:
            self._pending = True
        else:
            self._wait_for_room()

    def stopWriting(self) -> None:
        """All is sent. The reactor is told only where it was asked before."""
        if self._is_writer:
            self._is_writer = False
            super().stopWriting()

    def startReading(self) -> None:
        """Read what comes. Each answer asks for it; the reactor hears it once."""
        if not self._is_reader:
            self._is_reader = True
            super().startReading()

    def stopReading(self) -> None:
        """Leave what comes with the system."""
        self._is_reader = False
        super().stopReading()

    def _wait_for_room(self) -> None:
        if not self._is_writer:
            self._is_writer = True
            super().startWriting()

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """As one."""
        self.write(b"".join(iovec))

    def _flush(self) -> None:
        if not self._pending:
            return
        self._pending = False
        if self.disconnected or not self.connected:
            return
        why = self.doWrite()
        if not self.disconnected and (why is not None or self._tempDataLen or self.offset < len(self.dataBuffer)):
            self._wait_for_room()  # the reactor goes on, or tells of the end

    def getHost(self) -> Any:
        """This end; it does not change."""
        if self._host is None:
            self._host = super().getHost()
        return self._host

    def getPeer(self) -> Any:
        """The other end; it does not change."""
        if self._peer is None:
            self._peer = super().getPeer()
        return self._peer


class EagerTCP(Eager, tcp.Server):
    """Over TCP."""


class EagerUnix(Eager, unix.Server):
    """Over a UNIX socket."""


class EagerUnixClient(Eager, tcp.BaseClient):
    """To a UNIX socket; twisted's own looks at each read for descriptors that might be passed with it."""

    addressFamily = socket.AF_UNIX

    def __init__(self, path: str, connector: Any, reactor: Any) -> None:
        self.connector = connector
        self.realAddress = self.addr = path  # type: ignore[assignment]  # of another family than tcp's
        self._finishInit(self.doConnect, self.createInternetSocket(), None, reactor)

    def getHost(self) -> Any:
        """This end has no name."""
        return UNIXAddress(None)

    def getPeer(self) -> Any:
        """The other end."""
        return UNIXAddress(self.addr)

    def setTcpNoDelay(self, enabled: bool) -> None:
        """It is not TCP."""


class EagerUnixConnector(unix.Connector):
    """Connects to a UNIX socket: ``EagerUnixConnector(path, factory, seconds, reactor, False).connect()``."""

    def _makeTransport(self) -> Any:
        return EagerUnixClient(self.address, self, self.reactor)


def write_now(transport: Any, data: bytes) -> None:
    """Write, and send at once where the transport can."""
    if isinstance(transport, Eager):
        transport.write_together(partial(transport.write, data))
    else:
        transport.write(data)
