"""Sends on a UNIX socket: what was taken is known from outside, and arrives as it was."""

from __future__ import annotations

import os
import random
import socket
import threading
from collections.abc import Iterator
from hashlib import sha256

import pytest

from jupyterd.keeper.taken import sent_from
from jupyterd.kernels.websocket import counted_sends
from jupyterd.kernels.websocket.counted_sends import CountedSends

pytestmark = pytest.mark.real


class Transport:
    """What is used of Twisted's."""

    def __init__(self, ours: socket.socket) -> None:
        ours.setblocking(False)
        self.fileno = ours.fileno
        self.itself: list[bytes] = []

    def writeSomeData(self, data: bytes) -> int:  # noqa: N802 - Twisted's
        self.itself.append(bytes(data))
        return len(data)


@pytest.fixture
def both() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def refuse() -> None:
    raise AssertionError("it is counted")


def test_what_is_sent_arrives_as_it_was_and_is_counted(both: tuple[socket.socket, socket.socket]) -> None:
    """Three times as much as is kept, read late and in other pieces."""
    ours, theirs = both
    transport, randomly = Transport(ours), random.Random(3)
    counted = CountedSends(transport, refuse)
    other = os.dup(counted.fd)
    read, written, sent, full = sha256(), sha256(), 0, 0

    def reading() -> None:
        while data := theirs.recv(randomly.choice([100, 5000, 65536])):
            read.update(data)

    reader = threading.Thread(target=reading)
    try:
        while sent < 3 * counted_sends.KEPT:
            view = memoryview(randomly.randbytes(randomly.choice([1, 300, 4096, 70_000, 200_000])))
            while view:
                size = transport.writeSomeData(view)
                if size == 0:
                    full += 1
                    if not reader.is_alive():
                        reader.start()
                written.update(view[:size])
                sent, view = sent + size, view[size:]
                assert sent_from(other) == sent
            assert os.fstat(other).st_blocks * 512 <= counted_sends.KEPT + 3 * counted_sends.AT_ONCE
        assert full, "the socket took all at once"
    finally:
        ours.shutdown(socket.SHUT_WR)
        reader.join(30)
        os.close(other)
        counted.close()
    assert read.digest() == written.digest()


def test_where_it_can_not_be_counted_it_is_said_before_it_is_sent(both: tuple[socket.socket, socket.socket]) -> None:
    transport, told = Transport(both[0]), []
    counted = CountedSends(transport, lambda: told.append(list(transport.itself)))
    os.close(counted.fd)
    counted.fd = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    assert transport.writeSomeData(b"all the same") == 12
    assert (told, transport.itself) == ([[]], [b"all the same"])
    assert transport.writeSomeData(b"and on") == 6
    counted.close()


def test_of_what_is_closed_nothing_is_known() -> None:
    assert sent_from(-1) is None
