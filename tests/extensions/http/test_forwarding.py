"""A request goes to the host in one piece where it is short, and its answer back; all others as they come."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from jupyterd.extensions.http.forwarding import HELD, ForwardedResource, Forwarder
from jupyterd.extensions.http.upstream import Upstream
from jupyterd.testing.http import Connection, MemorySite, parse_answer
from jupyterd.web.root import Root

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"


class Writes(StringTransport):
    """A transport that keeps each write apart."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        super().write(data)


class Host:
    """The host's end of all connections to it."""

    def __init__(self) -> None:
        self.idle: list[Upstream] = []
        self.used: list[Upstream] = []
        self.refuses: Exception | None = None

    def get(self, ready: Any, failed: Any) -> None:
        if self.refuses is not None:
            failed(Failure(self.refuses))
            return
        if not self.idle:
            upstream = Upstream(self.idle.append, lambda _: None)
            upstream.makeConnection(Writes())  # type: ignore[arg-type]
            self.idle.append(upstream)
        self.used.append(self.idle.pop())
        ready(self.used[-1])

    @property
    def transport(self) -> Any:
        return self.used[-1].transport

    def answer(self, data: bytes) -> None:
        self.used[-1].dataReceived(data)


class Admitted:
    """A gate that knows who asks."""

    def admit(self, request: Any, mount: Any) -> None:
        request.user = SimpleNamespace(username="u", name="U", display_name="U", initials="U")
        request.handler = SimpleNamespace(xsrf_shown=None)

    def check_form(self, request: Any) -> None: ...

    def headers(self, request: Any) -> tuple[tuple[bytes, bytes], ...]:
        return ()

    def remote_ip(self, request: Any) -> str:
        return "192.0.2.1"

    def protocol(self, request: Any) -> str:
        return "http"


def serve() -> tuple[Host, Connection]:
    host, gate, root = Host(), Admitted(), Root("/")
    of_host: Any = SimpleNamespace(key=b"k", mirror=SimpleNamespace(refresh=lambda: 1))
    connections: Any = host
    guard: Any = gate
    resource = ForwardedResource(Forwarder(of_host, lambda: guard, connections))
    root.mount("/x", lambda: resource, auth="", body=resource.sink, max_body=1 << 62)
    return host, MemorySite(root, gate).connect()


def asked(method: str = "GET", body: bytes = b"", framing: str = "") -> bytes:
    return f"{method} /x/a%2Fb?c=#d HTTP/1.1\r\nHost: here\r\n{framing}\r\n".encode() + body


def test_a_request_and_its_answer() -> None:
    host, client = serve()
    client.send(asked())
    head, _, body = host.transport.value().partition(b"\r\n\r\n")
    assert head.startswith(b"GET /x/a%2Fb?c=#d HTTP/1.1\r\nHost: here\r\n")
    assert b"X-Forwarded-For: 192.0.2.1" in head
    assert body == b""
    host.answer(ANSWER)
    answer = parse_answer(client.received())
    assert (answer.status, answer.body, answer.header("content-type")) == (200, b"hello", "text/plain")
    client.send(asked())
    assert len(host.used) == 2  # both connections have been used again
    assert host.used[0] is host.used[1]


def test_a_short_body_is_one_write_with_its_head_and_the_answer_one() -> None:
    host, client = serve()
    client.send(asked("POST", b"", "Content-Length: 4\r\n"))
    assert host.used == []
    client.send(b"body")
    (sent,) = host.transport.writes
    assert sent.endswith(b"Content-Length: 4\r\n\r\nbody")
    client.transport.write = (writes := []).append  # type: ignore[method-assign]
    host.answer(ANSWER)
    assert len(writes) == 1


@pytest.mark.parametrize(
    ("framing", "body", "passed"),
    [
        (f"Content-Length: {HELD + 1}\r\n", b"x" * (HELD + 1), b"x" * (HELD + 1)),
        ("Transfer-Encoding: chunked\r\n", b"3\r\nabc\r\n0\r\n\r\n", b"3\r\nabc\r\n0\r\n\r\n"),
    ],
)
def test_other_bodies_pass_as_they_come(framing: str, body: bytes, passed: bytes) -> None:
    host, client = serve()
    client.send(asked("PUT", b"", framing))
    assert host.transport.value().endswith(b"\r\n\r\n")
    host.transport.clear()
    client.send(body)
    assert host.transport.value() == passed
    host.answer(ANSWER)
    assert parse_answer(client.received()).body == b"hello"


def test_the_head_of_an_answer_does_not_wait_for_its_body() -> None:
    host, client = serve()
    client.send(asked())
    host.answer(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert client.received().startswith(b"HTTP/1.1 200 OK\r\n")
    host.answer(b"3\r\nabc\r\n")
    assert client.received() == b"3\r\nabc\r\n"
    host.answer(b"0\r\n\r\n")
    assert client.received() == b"0\r\n\r\n"


@pytest.mark.parametrize("size", [1, 40, 1000])
def test_an_answer_in_pieces(size: int) -> None:
    host, client = serve()
    client.send(asked())
    for start in range(0, len(ANSWER), size):
        host.answer(ANSWER[start : start + size])
    assert parse_answer(client.received()).body == b"hello"


@pytest.mark.parametrize(
    ("method", "head", "status"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 5\r\n\r\n", 200),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n", 304),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", 204),
        ("DELETE", b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 0\r\n\r\n", 200),
    ],
)
def test_answers_without_a_body(method: str, head: bytes, status: int) -> None:
    host, client = serve()
    client.send(asked(method))
    host.answer(head)
    assert parse_answer(client.received(), head_only=True).status == status
    client.send(asked())
    host.answer(ANSWER)
    assert parse_answer(client.received()).body == b"hello"


def test_an_answer_that_begins_well_and_is_none() -> None:
    host, client = serve()
    client.send(asked())
    host.answer(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
    answer = parse_answer(client.received())
    assert (answer.status, answer.header("content-encoding")) == (502, None)
    assert "did not answer" in answer.json()["message"]


@pytest.mark.parametrize("begun", [b"", ANSWER[:-1]])
def test_a_host_that_ends(begun: bytes) -> None:
    host, client = serve()
    client.send(asked())
    host.answer(begun) if begun else None
    client.received()
    host.used[-1].connectionLost(Failure(ConnectionDone()))
    if begun:
        assert client.transport.disconnected  # else the client would take what it has for all
    else:
        assert parse_answer(client.received()).status == 502


def test_a_host_that_is_not_there() -> None:
    host, client = serve()
    host.refuses = OSError("no such socket")
    client.send(asked())
    assert parse_answer(client.received()).status == 502


def test_the_host_is_told_when_the_client_goes() -> None:
    host, client = serve()
    client.send(asked())
    client.protocol.connectionLost(Failure(ConnectionDone()))
    assert host.transport.disconnected or host.transport.disconnecting
    host.answer(ANSWER)  # too late; nothing happens
    assert host.idle == []


def test_who_does_not_read_stops_the_host() -> None:
    host, client = serve()
    client.send(asked())
    host.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000)
    client.protocol.pauseProducing()
    assert host.transport.producerState == "paused"
    client.protocol.resumeProducing()
    assert host.transport.producerState == "producing"
