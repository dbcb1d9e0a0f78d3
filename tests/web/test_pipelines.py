"""Requests sent in one go, cut at any byte, have the answers that each has on a connection of its own."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from jupyterd.testing.http import MemorySite
from jupyterd.web.api import Routes, json_api
from jupyterd.web.call import Call
from tests.auth.serving import TOKEN, guarded_site

pytestmark = pytest.mark.slow

HOST = f"Host: 127.0.0.1:8888\r\nAuthorization: token {TOKEN}\r\n".encode()


def request(line: bytes, body: bytes | None = None, headers: bytes = b"") -> bytes:
    length = b"" if body is None else b"Content-Length: %d\r\n" % len(body)
    return line + b" HTTP/1.1\r\n" + HOST + headers + length + b"\r\n" + (body or b"")


CHUNKED = request(b"POST /api/things", headers=b"Transfer-Encoding: chunked\r\n")
REQUESTS = {
    "get": request(b"GET /api/things"),
    "head": request(b"HEAD /api/things"),
    "put": request(b"PUT /api/things", b"a\r\nbody\r\n\r\n"),
    "patch": request(b"PATCH /api/me", b'{"name": "A"}'),
    "bad patch": request(b"PATCH /api/me", b"{"),
    "empty": request(b"POST /api/things", b""),
    "delete": request(b"DELETE /api/things"),
    "chunked": CHUNKED + b"3\r\na\r\n\r\n1\r\nb\r\n0\r\n\r\n",
    "trailer": CHUNKED + b"1\r\na\r\n0\r\nX: y\r\n\r\n",
    "no route": request(b"POST /api/things/none", b"x"),
    "no mount": request(b"GET /nothing"),
    "no method": request(b"PATCH /api/things", b"x"),
    "broken": request(b"GET /api/broken"),
    "later": request(b"GET /later"),
    "later with a body": request(b"PUT /later", b"GET / HTTP/1.1\r\n\r\n"),
    "large": request(b"PUT /api/things", b"x" * 40_000),
}
LAST = {
    "no mount for a body": request(b"POST /nothing", b"x"),
    "close": request(b"GET /api/things", headers=b"Connection: close\r\n"),
    "http 1.0": b"GET /api/things HTTP/1.0\r\n" + HOST + b"\r\n",
    "a lone line feed": b"GET /api/things HTTP/1.1\n" + HOST + b"\r\n",
    "no request": b"what?\r\n\r\n",
    "a stranger's body": b"PUT /api/things HTTP/1.1\r\nHost: 127.0.0.1:8888\r\nContent-Length: 5\r\n\r\nhello",
}
"""After these nothing more is read."""


class Later:
    """Answers when it is told to."""

    app = Routes()
    api = json_api(app)

    def __init__(self) -> None:
        self.waiting: list[Deferred[None]] = []

    @api(("GET", "PUT"), "/later")
    async def later(self, call: Call) -> dict[str, Any]:
        waiting: Deferred[None] = Deferred()
        self.waiting.append(waiting)
        await waiting
        return {"later": len(call.body())}


def served() -> tuple[MemorySite, Later]:
    site, _ = guarded_site()
    later = Later()
    site.root.mount("/later", later.app.resource, auth="later")
    return site, later


def answers(*pieces: bytes, served: tuple[MemorySite, Later]) -> bytes:
    """What comes back, without what is of the moment."""
    site, later = served
    connection = site.connect()
    for piece in pieces:
        connection.send(piece)
    while later.waiting:
        later.waiting.pop(0).callback(None)
    received = re.sub(rb"(Date|Set-Cookie|X-Request-Id): [^\r]*\r\n", b"", connection.received())
    return re.sub(rb"\b[0-9a-f]{8}-[0-9a-f]{6}\b", b"", received)


@pytest.fixture(scope="module")
def server() -> Any:
    return served()


@pytest.fixture(scope="module")
def alone(server: Any) -> dict[str, bytes]:
    """The answer to each by itself."""
    return {name: answers(data, served=server) for name, data in {**REQUESTS, **LAST}.items()}


def test_each_has_one_answer(alone: dict[str, bytes]) -> None:
    for name, answer in alone.items():
        assert len(re.findall(rb"HTTP/1\.[01] \d{3} ", answer)) == 1, name


@pytest.mark.parametrize("second", [*REQUESTS, *LAST])
@pytest.mark.parametrize("first", [name for name in REQUESTS if name != "large"])
def test_two_in_one_segment(server: Any, alone: dict[str, bytes], first: str, second: str) -> None:
    data = REQUESTS[first] + {**REQUESTS, **LAST}[second]
    assert answers(data, served=server) == alone[first] + alone[second]


def test_cut_at_every_byte(server: Any, alone: dict[str, bytes]) -> None:
    names = ["patch", "get", "chunked", "later with a body", "put", "head", "trailer", "bad patch", "get"]
    data, expected = b"".join(REQUESTS[name] for name in names), b"".join(alone[name] for name in names)
    for cut in range(len(data) + 1):
        assert answers(data[:cut], data[cut:], served=server) == expected, cut


@settings(max_examples=150)
@given(
    st.lists(st.sampled_from(sorted(REQUESTS)), min_size=1, max_size=6),
    # How a lone line feed is complained of depends on what has come with it; that it is refused does not.
    st.sampled_from([None, *sorted(set(LAST) - {"a lone line feed"})]),
    st.lists(st.integers(1, 400), max_size=20),
)
def test_any_pipeline_cut_anywhere(
    server: Any, alone: dict[str, bytes], names: list[str], last: str | None, lengths: list[int]
) -> None:
    everything = {**REQUESTS, **LAST}
    names = names if last is None else [*names, last]
    data, pieces = b"".join(everything[name] for name in names), []
    for length in lengths:
        pieces.append(data[:length])
        data = data[length:]
    pieces.append(data)
    assert answers(*pieces, served=server) == b"".join(alone[name] for name in names)
