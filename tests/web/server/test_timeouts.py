"""Clients that do not read their answers: cut when nothing goes on, and never before."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from jupyterd.testing.http import Connection, MemorySite
from jupyterd.web.api import Routes, json_api
from jupyterd.web.call import Call, Reply
from jupyterd.web.root import Root
from jupyterd.web.server.channel import LEAST_TAKEN
from jupyterd.web.server.timeouts import READER_SECONDS, Queue, Timeouts

ASK = b"GET /api/large HTTP/1.1\r\nHost: x\r\n\r\n"


class Large:
    app = Routes()
    api = json_api(app)

    @api("GET", "/api/large")
    async def get(self, call: Call) -> object:
        return Reply(b"x" * 1_000_000)


def site() -> MemorySite:
    root = Root("/")
    root.mount("/api/large", Large().app.resource, auth="things")
    return MemorySite(root)


def holds(connection: Connection, size: int) -> None:
    """What the transport holds of the answer, as one of sockets would."""
    transport: Any = connection.transport
    transport.dataBuffer, transport.offset, transport._tempDataLen = b"", 0, size


def full(memory: MemorySite, request: bytes = ASK) -> Connection:
    """A connection whose answer fills the transport."""
    connection = memory.connect()
    holds(connection, 1_000_000)
    connection.send(request)
    connection.protocol.pauseProducing()
    return connection


def test_a_client_that_takes_nothing_is_cut() -> None:
    memory = site()
    connection = full(memory)
    memory.reactor.advance(READER_SECONDS - 1)
    assert not connection.transport.disconnected
    memory.reactor.advance(1)
    assert connection.transport.disconnected


def test_a_client_that_takes_hardly_anything_is_cut() -> None:
    memory = site()
    connection = full(memory)
    holds(connection, 1_000_000 - LEAST_TAKEN + 1)
    memory.reactor.advance(READER_SECONDS)
    assert connection.transport.disconnected


def test_a_slow_client_may_take_as_long_as_it_goes_on() -> None:
    memory = site()
    connection = full(memory)
    for left in range(1_000_000 - LEAST_TAKEN, LEAST_TAKEN, -LEAST_TAKEN):
        holds(connection, left)
        memory.reactor.advance(READER_SECONDS)
        assert not connection.transport.disconnected
    connection.protocol.resumeProducing()
    memory.reactor.advance(READER_SECONDS * 3)
    assert not connection.transport.disconnected
    connection.received()
    connection.send(ASK)
    assert connection.received().startswith(b"HTTP/1.1 200 OK")


def test_an_answer_that_is_complete_waits_no_longer() -> None:
    for request in (ASK, ASK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), ASK.replace(b"1.1", b"1.0")):
        memory = site()
        connection = full(memory, request)
        memory.reactor.advance(READER_SECONDS)
        assert connection.transport.disconnected


def test_next_answer_that_fills_the_transport_at_once_is_waited_for() -> None:
    memory = site()
    connection = full(memory)

    class Producer:
        def resumeProducing(self) -> None:
            connection.protocol.pauseProducing()

        def pauseProducing(self) -> None: ...

    connection.protocol._requestProducer = Producer()
    connection.protocol.resumeProducing()
    memory.reactor.advance(READER_SECONDS)
    assert connection.transport.disconnected


def test_strangers_who_do_not_read_make_room() -> None:
    memory = site()
    memory.site.timeouts = Timeouts(memory.reactor, most=3)
    slow = [full(memory) for _ in range(3)]
    assert len(memory.site.timeouts.strange_readers) == 3
    memory.connect()
    assert [connection.transport.disconnected for connection in slow] == [True, False, False]
    slow += [full(memory) for _ in range(5)]
    assert [connection.transport.disconnected for connection in slow] == [True] * 5 + [False] * 3


def test_strangers_count_while_their_answers_are_made() -> None:
    memory = site()
    memory.site.timeouts = timeouts = Timeouts(memory.reactor, most=3)
    answers: list[Deferred[None]] = []

    class Slow:
        app = Routes()
        api = json_api(app)

        @api("GET", "/api/slow")
        async def get(self, call: Call) -> object:
            answers.append(Deferred())
            await answers[-1]
            return {}

    memory.root.mount("/api/slow", Slow().app.resource, auth="things")
    asking = []
    for _ in range(5):
        asking.append(memory.connect())
        asking[-1].send(b"GET /api/slow HTTP/1.1\r\nHost: x\r\n\r\n")
    assert [connection.transport.disconnected for connection in asking] == [True] * 2 + [False] * 3
    answers[4].callback(None)
    assert asking[4].received().startswith(b"HTTP/1.1 200 OK")
    assert (len(timeouts.strange_readers), len(timeouts.idles)) == (2, 1)
    memory.reactor.advance(READER_SECONDS)
    assert [connection.transport.disconnected for connection in asking] == [True] * 4 + [False]


def test_those_who_wait_again_leave_one_timer() -> None:
    clock = Clock()

    class Waiting:
        waiting: Queue | None = None

        def too_late(self) -> None:
            queue.add(self)

        def cut(self) -> None: ...

    queue = Queue(clock, 10.0)
    for _ in range(3):
        queue.add(Waiting())
        clock.advance(1)
    for _ in range(50):
        clock.advance(5)
        assert len(clock.getDelayedCalls()) == 1
    assert len(queue) == 3
