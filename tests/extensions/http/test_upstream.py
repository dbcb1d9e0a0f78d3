"""A connection to the host: answers of each framing, and what is none."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from jupyterd.extensions.http.upstream import HEAD_BYTES, Head, Upstream, parse_head


class Taken:
    """What was heard of an answer."""

    def __init__(self) -> None:
        self.status = 0
        self.data = b""
        self.end: Any = None

    def head(self, head: Head) -> None:
        self.status = head.status

    def body(self, data: bytes) -> None:
        self.data += data

    def done(self) -> None:
        self.end = "done"

    def lost(self, reason: Exception) -> None:
        self.end = reason


class Connected:
    """A connection with a request under way."""

    def __init__(self, without_body: bool = False) -> None:
        self.idle: list[Upstream] = []
        self.gone: list[Upstream] = []
        self.transport = StringTransport()
        self.upstream = Upstream(self.idle.append, self.gone.append)
        self.upstream.makeConnection(self.transport)
        self.taken = Taken()
        self.upstream.begin(b"GET /a%2Fb?#x HTTP/1.1\r\n\r\n", self.taken, without_body=without_body)
        self.upstream.sent()

    def end(self) -> None:
        self.upstream.connectionLost(Failure(ConnectionDone()))


def test_the_request_is_sent_as_it_is() -> None:
    assert Connected().transport.value() == b"GET /a%2Fb?#x HTTP/1.1\r\n\r\n"


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    ],
)
def test_an_answer_is_taken_in_any_pieces_and_the_connection_used_again(answer: bytes, size: int) -> None:
    connected = Connected()
    for start in range(0, len(answer), size):
        connected.upstream.dataReceived(answer[start : start + size])
    assert (connected.taken.status, connected.taken.data, connected.taken.end) == (200, b"hello", "done")
    assert connected.idle == [connected.upstream]


def test_a_connection_that_was_stopped_is_read_again_when_its_answer_is_complete() -> None:
    connected = Connected()
    connected.transport.producerState = "paused"
    connected.upstream.dataReceived(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert connected.transport.producerState == "producing"


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b"HTTP/1.1 204 No\r\n\r\n"]
)
def test_answers_without_a_body(head: bytes) -> None:
    connected = Connected()
    connected.upstream.dataReceived(head)
    assert connected.taken.end == "done"


def test_the_end_of_the_connection_is_the_end_of_a_body_without_length() -> None:
    connected = Connected()
    connected.upstream.dataReceived(b"HTTP/1.1 200 OK\r\n\r\nhello")
    assert connected.taken.end is None
    connected.end()
    assert (connected.taken.data, connected.taken.end) == (b"hello", "done")
    assert connected.idle == []


def test_an_answer_that_breaks_off_is_lost() -> None:
    connected = Connected()
    connected.upstream.dataReceived(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello")
    connected.end()
    assert isinstance(connected.taken.end, Exception)
    assert connected.gone == [connected.upstream]


def test_after_a_switch_of_protocols_all_bytes_pass() -> None:
    connected = Connected()
    connected.upstream.dataReceived(b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n\x81\x01a")
    connected.upstream.dataReceived(b"\x81\x01b")
    assert (connected.taken.status, connected.taken.data) == (101, b"\x81\x01a\x81\x01b")
    connected.end()
    assert connected.taken.end == "done"


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * HEAD_BYTES,
    ],
)
def test_what_is_no_answer_is_lost_and_the_connection_closed(answer: bytes) -> None:
    connected = Connected()
    connected.upstream.dataReceived(answer)
    assert isinstance(connected.taken.end, Exception)
    assert connected.transport.disconnecting or connected.transport.disconnected


def test_what_nobody_asked_for_closes_the_connection() -> None:
    connected = Connected()
    connected.upstream.dataReceived(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    connected.upstream.dataReceived(b"more")
    assert connected.transport.disconnecting or connected.transport.disconnected


def test_header_values_are_read() -> None:
    assert parse_head(b"HTTP/1.1 200 OK\r\nA: 1\r\nA:  2 ").get(b"a") == b"2"


def test_what_comes_with_the_switch_goes_to_who_takes_over() -> None:
    connected, other = Connected(), Taken()

    def take_over(head: Head) -> None:
        connected.upstream._listener = other

    connected.taken.head = take_over  # type: ignore[method-assign]
    connected.upstream.dataReceived(b"HTTP/1.1 101 Switching\r\n\r\n\x81\x01a")
    assert (connected.taken.data, other.data) == (b"", b"\x81\x01a")
