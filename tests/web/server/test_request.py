"""What is decided when a request's head is complete, and what becomes of its body."""

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.web.resource import Resource

from jupyterd.errors import Conflict
from jupyterd.testing.http import MemorySite, parse_answer
from jupyterd.web.refusal import Refusal
from jupyterd.web.root import Root


class Echo(Resource):
    isLeaf = True

    def render(self, request: Any) -> bytes:
        return b"got " + request.content.read() if hasattr(request.content, "read") else b"streamed"


class Judge:
    """A gate that gives the verdict it is told and counts its calls."""

    def __init__(self, verdict: Any) -> None:
        self.verdict = verdict
        self.asked = 0

    def admit(self, request: Any, mount: Any) -> Any:
        self.asked += 1
        return self.verdict

    def headers(self, request: Any) -> tuple[tuple[bytes, bytes], ...]:
        return ((b"x-everywhere", b"1"),)


class Sink:
    def __init__(self) -> None:
        self.events: list[Any] = []

    def write(self, data: bytes) -> None:
        self.events.append(data)

    def finished(self) -> None:
        self.events.append("finished")

    def failed(self) -> None:
        self.events.append("failed")

    def close(self) -> None:
        self.events.append("close")


def serve(verdict: Any = None, **mount: Any) -> MemorySite:
    root = Root("/")
    root.mount("/api/echo", Echo, auth="echo", **mount)
    return MemorySite(root, Judge(verdict), max_body=1000)


def test_a_refused_body_is_answered_at_its_head_and_never_kept() -> None:
    memory = serve(Refusal(403, "Forbidden"))
    connection = memory.connect()
    connection.send(b"PUT /api/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n")
    request_before = connection.protocol.requests
    answer = parse_answer(connection.received())
    assert (answer.status, answer.json()["message"], answer.header("connection")) == (403, "Forbidden", "close")
    assert request_before == []
    connection.send(b"x" * 900)
    assert connection.received() == b""


def test_a_connection_of_a_refused_body_is_cut_when_it_goes_on() -> None:
    memory = serve(Refusal(403))
    connection = memory.connect()
    connection.send(b"PUT /api/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    assert not connection.transport.disconnected
    memory.reactor.advance(5)
    assert connection.transport.disconnected


def test_a_refusal_without_a_body_keeps_the_connection() -> None:
    memory = serve(Refusal(403))
    connection = memory.connect()
    connection.send(b"GET /api/echo HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
    assert connection.received().count(b"403 Forbidden") == 2
    assert not connection.transport.disconnecting


def test_an_announced_body_above_the_limit_is_413_before_it_is_read() -> None:
    connection = serve().connect()
    connection.send(b"PUT /api/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\nExpect: 100-continue\r\n\r\n")
    data = connection.received()
    assert b"100 Continue" not in data
    assert parse_answer(data).status == 413


def test_a_chunked_body_above_the_limit_is_413_when_it_gets_there() -> None:
    connection = serve().connect()
    connection.send(b"PUT /api/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    connection.send(b"3e8\r\n" + b"x" * 1000 + b"\r\n")
    assert connection.received() == b""
    connection.send(b"1\r\nx\r\n0\r\n\r\n")
    assert parse_answer(connection.received()).status == 413


def test_a_continue_is_sent_to_who_may_go_on() -> None:
    connection = serve().connect()
    connection.send(b"PUT /api/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
    assert connection.received() == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.send(b"hi")
    assert parse_answer(connection.received()).body == b"got hi"


def test_a_late_verdict_holds_reading_and_loses_nothing() -> None:
    verdict: Deferred[Any] = Deferred()
    memory = serve(verdict)
    connection = memory.connect()
    connection.send(b"PUT /api/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe")
    assert connection.transport.producerState == "paused"
    verdict.callback(None)
    assert connection.transport.producerState == "producing"
    connection.send(b"llo")
    assert parse_answer(connection.received()).body == b"got hello"


def test_a_late_verdict_after_the_whole_body() -> None:
    for outcome, expected in ((None, b"got hello"), (Refusal(401, "no"), b'{"message": "no", "reason": null}')):
        verdict: Deferred[Any] = Deferred()
        connection = serve(verdict).connect()
        connection.send(b"PUT /api/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")
        assert connection.received() == b""
        verdict.callback(outcome)
        assert parse_answer(connection.received()).body == expected


def test_a_gate_that_fails_lets_nobody_in() -> None:
    verdict: Deferred[Any] = Deferred()
    connection = serve(verdict).connect()
    connection.send(b"GET /api/echo HTTP/1.1\r\nHost: x\r\n\r\n")
    verdict.errback(Failure(RuntimeError("defect")))
    answer = parse_answer(connection.received())
    assert answer.status == 500
    assert b"defect" not in answer.body


def test_a_mounts_sink_takes_the_body_as_it_comes() -> None:
    sink = Sink()
    connection = serve(body=lambda request: sink, max_body=10**9).connect()
    connection.send(b"PUT /api/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n")
    connection.send(b"x" * 3000)
    assert sink.events == [b"x" * 3000]
    connection.send(b"y" * 2000)
    assert sink.events[1:3] == [b"y" * 2000, "finished"]


def test_a_sink_is_told_when_its_client_leaves() -> None:
    sink = Sink()
    connection = serve(body=lambda request: sink).connect()
    connection.send(b"PUT /api/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\nxx")
    connection.protocol.connectionLost(Failure(ConnectionDone()))
    assert "failed" in sink.events
    assert "finished" not in sink.events


@pytest.mark.parametrize(("error", "status"), [(Conflict("no room"), 409), (RuntimeError("defect"), 500)])
def test_a_mount_that_takes_no_body_says_so(error: Exception, status: int) -> None:
    def refuse(request: Any) -> Any:
        raise error

    connection = serve(body=refuse).connect()
    connection.send(b"PUT /api/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\nxx")
    answer = parse_answer(connection.received())
    assert answer.status == status
    assert b"defect" not in answer.body


def test_every_answer_has_the_gates_headers() -> None:
    for path in ("/api/echo", "/nothing", "/api/nothing"):
        assert serve().request("GET", path).header("x-everywhere") == "1"


def test_a_path_that_is_not_utf8_is_400() -> None:
    assert serve().request("GET", "/api/echo/%ff").status == 400


def test_a_path_that_is_not_looked_at_is_refused_in_the_form_of_its_place() -> None:
    for path, status in (("/api/echo/../x", 404), ("/api/%ff", 400)):
        answer = serve().request("GET", path)
        assert (answer.status, answer.header("content-type")) == (status, "application/json")


def test_unknown_paths_are_404_json_for_programs_and_a_page_for_people() -> None:
    assert serve().request("GET", "/api/nothing").json() == {"message": "Not Found", "reason": None}
    page = serve().request("GET", "/nothing")
    assert (page.status, page.header("content-type")) == (404, "text/html; charset=UTF-8")


@pytest.mark.parametrize("chunked", [False, True])
def test_what_is_held_in_memory_has_a_limit_of_its_own(chunked: bool) -> None:
    sink = Sink()
    for body, status in ((None, b"413"), (lambda request: sink, b"")):
        memory = serve(body=body)
        memory.site.max_held = 100
        connection = memory.connect()
        framing = b"Transfer-Encoding: chunked\r\n\r\nc8\r\n" if chunked else b"Content-Length: 200\r\n\r\n"
        connection.send(b"PUT /api/echo HTTP/1.1\r\nHost: x\r\n" + framing + b"x" * 150)
        assert connection.received()[9:12] == status
    assert sink.events == [b"x" * 150]
