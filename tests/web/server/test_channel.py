"""Heads and bodies that nobody should send: each has an answer, none confuses the parser, none fills the memory."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.web.resource import Resource

from jupyterd.testing.http import Connection, MemorySite
from jupyterd.web.root import Root
from jupyterd.web.server.channel import HEAD_BYTES, MAX_HEADERS
from jupyterd.web.server.head import parse_query
from jupyterd.web.server.timeouts import Timeouts, most_waiting

HOST = b"Host: localhost\r\n"


class Echo(Resource):
    """Answers with method, path and body; keeps what it was asked."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[bytes, bytes, bytes]] = []

    def render(self, request: Any) -> bytes:
        body = request.content.read()
        self.asked.append((request.method, request.path, body))
        request.setHeader(b"content-length", b"%d" % len(body))
        return bytes(body)


def serving(max_body: int = 1000) -> tuple[MemorySite, Echo]:
    echo = Echo()
    root = Root()
    root.mount("/", lambda: echo, auth="x")
    site = MemorySite(root, max_body=max_body)
    return site, echo


def statuses(connection: Connection) -> list[int]:
    """The status codes of all answers since the last call."""
    data = connection.received()
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", data)]


def told(data: bytes, **options: Any) -> tuple[list[int], Echo, Connection]:
    site, echo = serving(**options)
    connection = site.connect()
    connection.send(data)
    return statuses(connection), echo, connection


# -- where one request ends and the next begins

SMUGGLING = {
    "two lengths": b"POST / HTTP/1.1\r\n%sContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "two equal lengths": b"POST / HTTP/1.1\r\n%sContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "list of lengths": b"POST / HTTP/1.1\r\n%sContent-Length: 5, 5\r\n\r\nhello",
    "signed length": b"POST / HTTP/1.1\r\n%sContent-Length: +5\r\n\r\nhello",
    "negative length": b"POST / HTTP/1.1\r\n%sContent-Length: -5\r\n\r\nhello",
    "hexadecimal length": b"POST / HTTP/1.1\r\n%sContent-Length: 0x5\r\n\r\nhello",
    "empty length": b"POST / HTTP/1.1\r\n%sContent-Length:\r\n\r\nhello",
    "endless length": b"POST / HTTP/1.1\r\n%sContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
    "length then chunked": b"POST / HTTP/1.1\r\n%sContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked then length": b"POST / HTTP/1.1\r\n%sTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "chunked twice": b"POST / HTTP/1.1\r\n%sTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and more": b"POST / HTTP/1.1\r\n%sTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "gzip, chunked": b"POST / HTTP/1.1\r\n%sTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "identity": b"POST / HTTP/1.1\r\n%sTransfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello",
    "xchunked": b"POST / HTTP/1.1\r\n%sTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked with a vertical tab": b"POST / HTTP/1.1\r\n%sTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": b"POST / HTTP/1.0\r\n%sTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "space before the colon": b"POST / HTTP/1.1\r\n%sContent-Length : 5\r\n\r\nhello",
    "folded header": b"POST / HTTP/1.1\r\n%sX: a\r\n Content-Length: 5\r\n\r\nhello",
    "folded transfer encoding": b"POST / HTTP/1.1\r\n%sTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "first header folded": b"POST / HTTP/1.1\r\n X: a\r\n%s\r\n",
    "bare LF after the request line": b"POST / HTTP/1.1\n%sContent-Length: 0\r\n\r\n",
    "bare LF between headers": b"POST / HTTP/1.1\r\n%sX: a\nContent-Length: 5\r\n\r\nhello",
    "bare LF at the end": b"POST / HTTP/1.1\r\n%sX: a\n\nGET /second HTTP/1.1\r\n\r\n",
    "bare CR in a header": b"POST / HTTP/1.1\r\n%sX: a\rContent-Length: 5\r\n\r\nhello",
    "NUL in a header": b"POST / HTTP/1.1\r\n%sX: a\x00b\r\n\r\n",
    "NUL in a name": b"POST / HTTP/1.1\r\n%sX\x00: a\r\n\r\n",
    "no colon": b"POST / HTTP/1.1\r\n%sX\r\n\r\n",
    "no name": b"POST / HTTP/1.1\r\n%s: x\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\n%sHost: evil.com\r\n\r\n",
    "absolute target": b"GET http://evil.com/ HTTP/1.1\r\n%s\r\n",
    "authority as target": b"CONNECT evil.com:443 HTTP/1.1\r\n%s\r\n",
    "asterisk": b"OPTIONS * HTTP/1.1\r\n%s\r\n",
    "HTTP/0.9": b"GET /\r\n%s\r\n",
    "HTTP/2.0": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/1.2": b"GET / HTTP/1.2\r\n%s\r\n",
    "lower case version": b"GET / http/1.1\r\n%s\r\n",
    "two spaces": b"GET  / HTTP/1.1\r\n%s\r\n",
    "tab": b"GET\t/ HTTP/1.1\r\n%s\r\n",
    "bad method": b"GE(T / HTTP/1.1\r\n%s\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "a path that is not UTF-8": b"GET /%%ff HTTP/1.1\r\n%s\r\n",
    "a path with NUL": b"GET /a%%00b HTTP/1.1\r\n%s\r\n",
    "a control character": b"GET /a\x01 HTTP/1.1\r\n%s\r\n",
}


@pytest.mark.parametrize("name", SMUGGLING)
def test_ambiguous_request_is_refused_and_nothing_after_it_is_read(name: str) -> None:
    data = SMUGGLING[name]
    data = data.replace(b"%s", HOST).replace(b"%%", b"%")
    answers, echo, connection = told(data + b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n")
    assert (answers, echo.asked) == ([400], [])


def test_what_comes_after_a_head_that_is_none_of_ours_is_thrown_away() -> None:
    """The client may still be sending: the answer must reach it, so the connection is not cut at once."""
    site, echo = serving()
    connection = site.connect()
    connection.send(SMUGGLING["two hosts"].replace(b"%s", HOST))
    connection.send(b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n" + b"x" * 10_000)
    assert connection.received().count(b"HTTP/1.1 ") == 1
    assert echo.asked == []
    site.reactor.advance(10)
    assert connection.transport.disconnecting


def test_twisted_cve_2022_24801_lengths_and_chunks_are_strict() -> None:
    for size in (b"0x5", b"+5", b" 5", b"5 ", b"-0", b"5_0", b""):
        data = b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + size + b"\r\nhello\r\n0\r\n\r\n"
        answers, echo, _ = told(data)
        assert answers == [400], size
        assert echo.asked == []


def test_no_host_is_refused_in_http_1_1_only() -> None:
    assert told(b"GET / HTTP/1.1\r\n\r\n")[0] == [400]
    assert told(b"GET / HTTP/1.0\r\n\r\n")[0] == [200]


def test_chunk_extensions_and_trailers_are_read_over() -> None:
    head = b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    answers, echo, _ = told(head + b'5;a=b;c="d"\r\nhello\r\n0;x\r\nTrailer: y\r\n\r\n')
    assert answers == [200]
    assert echo.asked == [(b"POST", b"/", b"hello")]
    assert told(head + b"5;a=\x00\r\nhello\r\n0\r\n\r\n")[0] == [400]
    assert told(head + b"5;" + b"a" * 2000 + b"\r\nhello\r\n0\r\n\r\n")[0] == [400]
    assert told(head + b"5\r\nhelloX\r\n0\r\n\r\n")[0] == [400]
    assert told(head + b"5\nhello\n0\n\n")[0] == [400]
    for trailer in (b"GET /smuggled HTTP/1.1", b" X: a", b"X : a", b": a", b"X: a\0"):
        answers, echo, _ = told(head + b"5\r\nhello\r\n0\r\n" + trailer + b"\r\n\r\n")
        assert (answers, echo.asked) == ([400], []), trailer


def test_chunks_of_an_impossible_size_are_refused_at_once() -> None:
    head = b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    for size in (b"8000000000000000", b"1" + b"0" * 16 + b"5", b"f" * 30):
        assert told(head + size + b"\r\nhello")[0] == [400], size


@pytest.mark.parametrize("head", [b"GET / HTTP/1.1\nHost: x\n\n", b"GET / HTTP/1.1\r\nHost: x\r\n\n", b"GET /\n"])
def test_a_head_without_cr_is_refused_and_not_waited_for(head: bytes) -> None:
    for cut in range(1, len(head)):
        site, echo = serving()
        connection = site.connect()
        connection.send(head[:cut])
        connection.send(head[cut:])
        assert connection.received().startswith(b"HTTP/1.1 400 ")
        assert echo.asked == []


def test_methods_are_written_in_capitals() -> None:
    for method in (b"get", b"Get", b"post"):
        assert told(method + b" / HTTP/1.1\r\n" + HOST + b"\r\n")[0] == [405]


def test_twisted_cve_2023_46137_2024_41671_pipelined_requests_are_answered_in_order() -> None:
    requests = b"".join(b"POST /%d HTTP/1.1\r\n%sContent-Length: 2\r\n\r\n%02d" % (n, HOST, n) for n in range(20))
    site, echo = serving()
    connection = site.connect()
    for start in range(0, len(requests), 7):
        connection.send(requests[start : start + 7])
    assert statuses(connection) == [200] * 20
    assert [path for _, path, _ in echo.asked] == [b"/%d" % n for n in range(20)]


def test_pipelined_after_a_refusal_with_a_body_is_not_read() -> None:
    data = (
        b"POST / HTTP/1.1\r\n"
        + HOST
        + b"Content-Length: 5000\r\n\r\n"
        + b"x" * 2000
        + b"GET /smuggled HTTP/1.1\r\n\r\n"
    )
    answers, echo, _ = told(data)
    assert answers == [413]
    assert echo.asked == []


# -- how much


def test_head_of_64_kib_is_read_and_one_byte_more_is_431() -> None:
    start = b"GET / HTTP/1.1\r\n" + HOST
    filler = HEAD_BYTES - len(start) - len(b"X: \r\n\r\n")
    assert told(start + b"X: " + b"a" * filler + b"\r\n\r\n")[0] == [200]
    answers, echo, connection = told(start + b"X: " + b"a" * (filler + 1) + b"\r\n\r\n")
    assert answers == [431]
    assert echo.asked == []


def test_d12_twenty_kilobytes_of_cookies_are_read() -> None:
    assert told(b"GET / HTTP/1.1\r\n" + HOST + b"Cookie: " + b"a" * 20_000 + b"\r\n\r\n")[0] == [200]


def test_endless_heads_are_431() -> None:
    assert told(b"GET /" + b"a" * 70_000)[0] == [431]
    assert told(b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n")[0] == [431]
    assert told(b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000)[0] == [431]
    assert told(b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n" * 20_000)[0] == [431]
    assert told(b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n" * MAX_HEADERS + b"\r\n")[0] == [431]
    assert told(b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n" * (MAX_HEADERS - 1) + b"\r\n")[0] == [200]


def test_refused_head_keeps_nothing() -> None:
    site, _ = serving()
    connection = site.connect()
    connection.send(b"GET /" + b"a" * 70_000)
    for _ in range(100):
        connection.send(b"a" * 10_000)
    assert len(connection.protocol._buffer) == 0
    assert statuses(connection) == [431]


def test_body_limits() -> None:
    def post(length: int, body: bytes) -> list[int]:
        return told(b"POST / HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n" % (HOST, length) + body)[0]

    assert post(1000, b"x" * 1000) == [200]
    assert post(1001, b"") == [413]  # before the body
    chunk = b"64\r\n" + b"x" * 100 + b"\r\n"
    chunked = b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    assert told(chunked + chunk * 10 + b"0\r\n\r\n")[0] == [200]
    assert told(chunked + chunk * 11)[0] == [413]
    assert told(chunked + b"ffffffffffff\r\n")[0] == []


def test_expect_100_is_not_answered_to_who_is_refused() -> None:
    head = b"POST / HTTP/1.1\r\n%sContent-Length: %d\r\nExpect: 100-continue\r\n\r\n"
    assert told(head % (HOST, 10))[0] == [100]
    assert told(head % (HOST, 10_000))[0] == [413]


# -- how long


def patient(**seconds: Any) -> tuple[MemorySite, Echo]:
    site, echo = serving()
    site.site.timeouts = Timeouts(site.reactor, **seconds)
    return site, echo


def test_silent_connection_is_closed() -> None:
    site, _ = patient(head=30)
    connection = site.connect()
    site.reactor.advance(29)
    assert not connection.transport.disconnected
    site.reactor.advance(2)
    assert connection.transport.disconnected
    assert connection.received() == b""


def test_slow_head_is_408_however_it_drips() -> None:
    site, _ = patient(head=30)
    connection = site.connect()
    for byte in (b"G", b"E", b"T", b" ", b"/", b" HTTP/1.1\r\n", b"X"):
        connection.send(byte)
        site.reactor.advance(4)
    site.reactor.advance(4)
    assert statuses(connection) == [408]
    site.reactor.advance(6)
    assert connection.transport.disconnected


def test_slow_head_on_a_kept_connection_is_408() -> None:
    site, _ = patient(head=30, idle=1000)
    connection = site.connect()
    connection.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
    assert statuses(connection) == [200]
    site.reactor.advance(900)
    connection.send(b"G")
    site.reactor.advance(29)
    assert connection.received() == b""
    site.reactor.advance(2)
    assert statuses(connection) == [408]


def test_idle_connection_is_kept_and_then_closed() -> None:
    site, _ = patient(idle=1000)
    connection = site.connect()
    connection.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
    site.reactor.advance(999)
    connection.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
    assert statuses(connection) == [200, 200]
    site.reactor.advance(999)
    assert not connection.transport.disconnected
    site.reactor.advance(2)
    assert connection.transport.disconnected


def test_slow_body_of_a_known_user_may_take_its_time_but_must_go_on() -> None:
    site, echo = patient(head=30, body=100)
    site.gate.admit = lambda request, mount: setattr(request, "user", "ada")  # type: ignore[method-assign]
    connection = site.connect()
    connection.send(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 10\r\n\r\n")
    for _ in range(5):
        connection.send(b"x")
        site.reactor.advance(99)
    assert connection.received() == b""
    site.reactor.advance(2)
    assert statuses(connection) == [408]
    assert echo.asked == []


def test_slow_body_of_a_stranger_may_not() -> None:
    site, _ = patient(head=30, body=100)
    connection = site.connect()
    connection.send(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 100\r\n\r\n")
    for _ in range(7):
        connection.send(b"x")
        site.reactor.advance(4)
    site.reactor.advance(4)
    assert statuses(connection) == [408]


def test_ten_thousand_half_open_connections_are_bounded_and_others_served() -> None:
    site, _ = patient(most=200)
    known = site.connect()
    known.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
    assert statuses(known) == [200]
    attackers = []
    for number in range(10_000):
        connection = site.connect()
        connection.send(b"GET / HTTP/1.1\r\nX: " if number % 2 else b"")
        attackers.append(connection)
        if number % 1000 == 0:
            known.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
            assert statuses(known) == [200]
            fresh = site.connect()
            fresh.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
            assert statuses(fresh) == [200]
    timeouts = site.site.timeouts
    assert len(timeouts.heads) + len(timeouts.idles) + len(timeouts.lingers) <= 201
    closed = sum(c.transport.disconnected or b"408" in c.transport.value() for c in attackers)
    assert closed > 9_700


def test_crowd_is_smaller_where_descriptors_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    for limits, most in (((1024, 1024), 256), ((1024, -1), 1024), ((20, 20), 16), ((100_000, 100_000), 1024)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, limits=limits: limits)
        assert most_waiting() == most


def test_nothing_is_left_of_closed_connections() -> None:
    from twisted.internet.error import ConnectionLost
    from twisted.python.failure import Failure

    site, _ = patient()
    for _ in range(50):
        connection = site.connect()
        connection.send(b"GET / HT")
        connection.protocol.connectionLost(Failure(ConnectionLost()))
    timeouts = site.site.timeouts
    assert len(timeouts.heads) + len(timeouts.idles) + len(timeouts.lingers) == 0
    site.reactor.advance(10_000)
    assert site.reactor.getDelayedCalls() == []


# -- anything


PIECES = [
    b"GET / HTTP/1.1\r\n", HOST, b"\r\n", b"\n", b"Content-Length: 3\r\n", b"abc", b"Transfer-Encoding: chunked\r\n",
    b"0\r\n\r\n", b"3\r\n", b"Expect: 100-continue\r\n", b"Connection: close\r\n", b" ",
]  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=40) | st.sampled_from(PIECES), max_size=14))
def test_any_bytes_are_survived(pieces: list[bytes]) -> None:
    site, _ = serving()
    connection = site.connect()
    for piece in pieces:
        connection.send(piece)
    assert all(status in (100, 200, 400, 404, 408, 413, 431) for status in statuses(connection))
    site.reactor.advance(10_000)


@given(st.text(max_size=60))
def test_any_path_is_answered(path: str) -> None:
    from urllib.parse import quote

    answers, _, _ = told(b"GET /" + quote(path).encode() + b" HTTP/1.1\r\n" + HOST + b"\r\n")
    assert answers in ([200], [400], [404])


@given(st.binary(max_size=60))
def test_any_query_is_read(query: bytes) -> None:
    parse_query(query)


def test_queries() -> None:
    assert parse_query(b"a=1&a=2&b&c=&d=x%20y+z&=e&&f=g;h") == {
        b"a": [b"1", b"2"], b"b": [b""], b"c": [b""], b"d": [b"x y z"], b"": [b"e"], b"f": [b"g;h"],
    }  # fmt: skip


def test_path_rules() -> None:
    """An escaped slash is a slash, for the guard and for the routes alike; nothing climbs."""
    root = Root()
    seen: list[str] = []

    class Where(Resource):
        isLeaf = True

        def __init__(self, name: str) -> None:
            super().__init__()
            self._name = name

        def render(self, request: Any) -> bytes:
            seen.append(f"{self._name} {b'/'.join(request.postpath).decode()}")
            return b""

    root.mount("/api/kernels", lambda: Where("kernels"), auth="kernels")
    root.mount("/api/kernels/*/channels", lambda: Where("channels"), auth="kernels", websocket=True)
    root.mount("/static", lambda: Where("static"), auth="", public=True)
    site = MemorySite(root)
    for path in ("/api/kernels/k/channels", "/api/kernels/k%2Fchannels", "/api%2Fkernels/k%2fchannels"):
        site.request("GET", path)
    assert seen == ["channels api/kernels/k/channels"] * 3
    for path in (
        "/static/../api/kernels",
        "/static/%2e%2e/api/kernels",
        "/static%2F..%2Fapi%2Fkernels",
        "/static/..",
        "/..",
    ):
        assert site.request("GET", path).status == 404
    assert len(seen) == 3


def test_slash_at_the_end_makes_no_other_path() -> None:
    root = Root()
    echo = Echo()
    root.mount("/api", lambda: echo, auth="", exact=True)
    root.mount("/", lambda: echo, auth="", exact=True)
    site = MemorySite(root)
    for path, status in (
        ("/api", 200),
        ("/api/", 200),
        ("/api//", 404),
        ("/api/x", 404),
        ("/", 200),
        ("//", 404),
        ("//api", 404),
    ):
        assert site.request("GET", path).status == status, path


@pytest.mark.parametrize("user", [None, "somebody"])
def test_header_lines_are_remembered_of_who_is_known_alone(user: str | None) -> None:
    site, echo = serving()

    class Knowing(type(site.gate)):  # type: ignore[misc]
        def admit(self, request: Any, mount: Any) -> None:
            request.user = user

    site.site.gate = Knowing()
    connection = site.connect()
    for path in (b"/a", b"/b"):
        connection.send(b"GET " + path + b" HTTP/1.1\r\n" + HOST + b"\r\n")
    assert [path for _, path, _ in echo.asked] == [b"/a", b"/b"]
    assert (connection.protocol._before is None) is (user is None)
