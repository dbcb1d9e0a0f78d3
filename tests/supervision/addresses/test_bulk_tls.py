"""TLS in large pieces: a client gets each byte, in few writes, also of what was written before the handshake."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from OpenSSL import SSL
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory

from jupyterd.supervision.addresses.bulk_tls import RECORD, BulkTLS
from jupyterd.supervision.addresses.tls import Certificates
from tests.supervision.addresses.test_tls import certificate


class Counting(StringTransport):
    writes = 0

    def write(self, data: bytes) -> None:
        self.writes += 1
        super().write(data)


class Both:
    """A server, and a client of OpenSSL's own."""

    def __init__(self, home: Path) -> None:
        cert, key = certificate(home)
        certificates = Certificates({"certfile": cert, "keyfile": key})
        self.clock = Clock()
        factory = TLSMemoryBIOFactory(certificates, False, Factory.forProtocol(Protocol), self.clock)
        factory.protocol = BulkTLS
        self.transport = Counting()
        self.server: Any = factory.buildProtocol(None)  # type: ignore[arg-type]
        self.server.makeConnection(self.transport)
        self.client = SSL.Connection(SSL.Context(SSL.TLS_METHOD))
        self.client.set_connect_state()

    def pass_on(self) -> bytes:
        """Give each side what the other has sent; what the client could read."""
        read = b""
        for _ in range(6):
            self.clock.advance(1)
            if sent := self.transport.value():
                self.transport.clear()
                self.client.bio_write(sent)
            for step in (self.client.do_handshake, lambda: self.client.recv(2**20)):
                try:
                    while got := step():
                        read += got
                except (SSL.WantReadError, SSL.ZeroReturnError):
                    continue
            try:
                self.server.dataReceived(self.client.bio_read(2**16))
            except SSL.WantReadError:
                continue
        return read


@pytest.mark.parametrize("size", [1, RECORD, RECORD + 1, 65_000, 16 * RECORD, 1_000_003])
def test_each_byte_comes_in_few_writes(tmp_path: Path, size: int) -> None:
    both, data = Both(tmp_path), os.urandom(size)
    both.pass_on()
    both.transport.writes = 0
    both.server.write(data)
    both.clock.advance(1)
    assert both.transport.writes == 1
    assert both.pass_on() == data


def test_what_is_written_before_the_handshake_comes_after_it(tmp_path: Path) -> None:
    both, data = Both(tmp_path), os.urandom(200_000)
    both.server.write(data)
    assert both.pass_on() == data
    both.server.loseConnection()
    both.pass_on()
    with pytest.raises(SSL.ZeroReturnError):  # the end was said
        both.client.recv(1)


def test_after_the_end_nothing_is_sent(tmp_path: Path) -> None:
    both = Both(tmp_path)
    both.pass_on()
    both.server.connectionLost(None)
    both.transport.clear()
    both.server._write(b"x" * 100_000)
    assert both.transport.value() == b""
