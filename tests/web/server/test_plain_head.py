"""A plain head is read as twisted.web's parser reads it line by line, or is left to that."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.testing import StringTransport
from twisted.web import http

from jupyterd.web.server.plain_head import MAX_LINES, MAX_PLAIN_BYTES, NAMES, plain_head

Read = tuple[bytes, bytes, dict[bytes, list[bytes]], bytes]
"""Method, target, headers and body."""


class Seen(http.Request):
    """A request that tells what it was, and answers nothing."""

    found: list[Read] = []

    def process(self) -> None:
        headers = {name: list(values) for name, values in self.requestHeaders.getAllRawHeaders()}
        self.found.append((self.method, self.uri, headers, self.content.read()))


def line_by_line(data: bytes) -> Read | None:
    """What Twisted's own parser says; None where it refuses."""
    Seen.found = []
    channel: Any = http.HTTPChannel()
    channel.requestFactory = Seen
    channel.site = type("Site", (), {"logger": None})
    channel.makeConnection(StringTransport())
    channel.dataReceived(data)
    return Seen.found[0] if len(Seen.found) == 1 else None


NAME = st.sampled_from(
    [*NAMES, b"host", b"ACCEPT", b"Content-Length", b"Transfer-Encoding", b"Expect", b"Odd", b" Host"]
)
VALUE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20).map(str.encode) | st.binary(
    max_size=5
)
LENGTH = st.sampled_from([b"Content-Length: 5", b"content-length: 0", b"Content-Length: +5", b"Content-Length: 1"])
LINE = st.tuples(NAME, st.sampled_from([b": ", b":", b" : ", b":  "]), VALUE).map(b"".join) | LENGTH
HEAD = st.tuples(
    st.sampled_from([b"GET", b"HEAD", b"DELETE", b"POST", b"PUT", b"get"]),
    st.sampled_from([b" / ", b" /a?b=%20 ", b"  / ", b" /\xc3\xa9 ", b" "]),
    st.sampled_from([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.1 "]),
    st.lists(LINE, max_size=5),
    st.sampled_from([b"\r\n\r\n", b"\n\n", b"\r\n", b"\r\n\r\nx", b"\r\n\r\n12345", b"\r\n\r\n\r\n"]),
).map(lambda parts: b"".join(parts[:3]) + b"".join(b"\r\n" + line for line in parts[3]) + parts[4])


@given(HEAD)
def test_what_is_taken_is_read_alike(data: bytes) -> None:
    head = plain_head(data)
    if head is not None and len(head.body) == (head.length or 0):
        assert (head.method, head.target, head.headers, head.body) == line_by_line(data)


def test_a_browser_s_request_is_plain() -> None:
    data = (
        b"GET /api/kernels?1 HTTP/1.1\r\nHost: localhost:8888\r\nAccept: */*\r\nSec-Fetch-Site: same-origin\r\n"
        b"Content-Type: application/json\r\nX-Of-A-Proxy: 1\r\n"
        b'sec-ch-ua: "Chromium"\r\nCookie: a=b; c="d"\r\nCookie: e=f\r\nX-XSRFToken: 1|2\r\n\r\n'
    )
    head = plain_head(data)
    assert head is not None
    assert (head.method, head.target, head.headers, head.body) == line_by_line(data)
    assert [b'a=b; c="d"', b"e=f"] in head.headers.values()


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: x", b"Content-Length: -1", b"Content-Length: 1, 1", b"Content-Length: 1\r\ncontent-length: 1",
        b"Transfer-Encoding: chunked", b"TRANSFER-encoding: x", b"Expect: 100-continue", b"Upgrade: websocket",
        b"Host: a\r\n b", b"Host: a\nX: b", b"Host: a\rb", b"Host: \xe9", b"Host: \0", b"Host: a\tb", b"Host", b"",
        b"Odd_: 1", b"Host : x", b"X: " + b"\r\nX: ".join([b"1"] * (MAX_LINES + 1)),
    ],
)  # fmt: skip
def test_what_could_be_read_in_two_ways_is_left(lines: bytes) -> None:
    assert plain_head(b"GET / HTTP/1.1\r\n" + lines + b"\r\n\r\n") is None


def test_long_and_half_heads_are_left() -> None:
    head = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    assert plain_head(head) is not None
    assert plain_head(head[:-1]) is None
    assert plain_head(head + head) is None
    sized = b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"
    for body in (b"", b"ab", b"abc"):
        read = plain_head(sized + body)
        assert read is not None
        assert (read.length, read.body) == (3, body)
    assert plain_head(sized + b"abcd") is None
    assert plain_head(b"GET / HTTP/1.1\r\nHost: " + b"x" * MAX_PLAIN_BYTES + b"\r\n\r\n") is None


@given(HEAD, HEAD, st.booleans())
def test_one_that_came_before_changes_nothing(one: bytes, other: bytes, same_lines: bool) -> None:
    before = plain_head(one)
    if same_lines:
        other = b"GET /other HTTP/1.1\r\n" + one.partition(b"\r\n")[2]
    assert plain_head(other, before) == plain_head(other)


def test_headers_of_two_requests_are_not_the_same_lists() -> None:
    data = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    before = plain_head(data)
    after = plain_head(data, before)
    assert before is not None
    assert after is not None
    after.headers[b"Host"].append(b"y")
    assert before.headers == {b"Host": [b"x"]}
