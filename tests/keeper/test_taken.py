"""Bytes that the system has taken for a connection, read or not."""

from __future__ import annotations

import socket

import pytest

from jupyterd.keeper.taken import taken

pytestmark = pytest.mark.real


def test_all_that_was_sent_is_counted_whether_it_is_read_or_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_connection(listening.getsockname()) as peer:
        ours, _ = listening.accept()
        with ours, ours.dup() as other:
            base = taken(ours)
            assert base is not None
            ours.sendall(b"x" * 1000)
            assert taken(other) == base + 1000
            assert len(peer.recv(1000, socket.MSG_WAITALL)) == 1000
            assert taken(other) == base + 1000
            ours.setblocking(False)
            sent = 1000
            for _ in range(1000):
                try:
                    sent += ours.send(b"y" * 65536)
                except BlockingIOError:
                    break
            assert taken(other) == base + sent
            ours.close()
            assert taken(other) == base + sent


def test_of_others_it_is_not_known() -> None:
    for each in socket.socketpair():
        assert taken(each) is None
        each.close()
        assert taken(each) is None
