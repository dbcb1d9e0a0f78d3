"""Transports that send at once: what the reactor is asked, and when."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet import tcp
from twisted.internet.protocol import Protocol
from twisted.internet.testing import MemoryReactor

from jupyterd.web.server.transport import Eager


class Asked(MemoryReactor):
    """A reactor that notes what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def addReader(self, reader: Any) -> None:
        self.asked.append("read")

    def removeReader(self, reader: Any) -> None:
        self.asked.append("do not read")

    def addWriter(self, writer: Any) -> None:
        self.asked.append("write")

    def removeWriter(self, writer: Any) -> None:
        self.asked.append("do not write")


class EagerConnection(Eager, tcp.Connection):
    """Over the one end of a pair of sockets."""

    def logPrefix(self) -> str:
        return "test"


class Answering(Protocol):
    """Answers each read with ``answer``, and reads on."""

    answer = b"answer"

    def dataReceived(self, data: bytes) -> None:
        transport: Any = self.transport
        transport.write(self.answer)
        transport.resumeProducing()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, Any, Asked, Answering]]:
    """The client's socket; connection, reactor and protocol of the server's end, which reads."""
    client, server = socket.socketpair()
    reactor, protocol = Asked(), Answering()
    connection: Any = EagerConnection(server, protocol, reactor)  # type: ignore[arg-type]
    connection.connected = 1
    protocol.transport = connection
    connection.startReading()
    yield client, connection, reactor, protocol
    client.close()
    server.close()


def test_an_answer_that_the_system_takes_costs_the_reactor_nothing(pair: Any) -> None:
    client, connection, reactor, _ = pair
    for _ in range(3):
        client.send(b"ask")
        connection.doRead()
        assert client.recv(100) == b"answer"
    assert reactor.asked == ["read"]


def test_what_finds_no_room_waits_for_it_and_comes_whole(pair: Any) -> None:
    client, connection, reactor, protocol = pair
    protocol.answer = bytes(range(256)) * 20_000
    client.send(b"ask")
    connection.doRead()
    assert reactor.asked == ["read", "write"]
    client.setblocking(False)
    got = b""
    while len(got) < len(protocol.answer):
        got += client.recv(1 << 20)
        connection.doWrite()
    assert got == protocol.answer
    assert reactor.asked == ["read", "write", "do not write"]
    connection.write(b"more")
    assert reactor.asked[3:] == ["write"]


def test_who_is_told_not_to_read_reads_again_when_told_to(pair: Any) -> None:
    _, connection, reactor, _ = pair
    connection.pauseProducing()
    connection.resumeProducing()
    connection.resumeProducing()
    assert reactor.asked == ["read", "do not read", "read"]
