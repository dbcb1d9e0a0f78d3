"""Which headers pass."""

from __future__ import annotations

from jupyterd.extensions.http import headers


def test_of_a_client() -> None:
    raw = [
        (b"Host", [b"h"]),
        (b"Connection", [b"keep-alive, X-Hop"]),
        (b"X-Hop", [b"1"]),
        (b"X-Jupyterd-Identity", [b"e30="]),
        (b"X-Jupyterd-MAC", [b"0"]),
        (b"X-Forwarded-For", [b"6.6.6.6"]),
        (b"Transfer-Encoding", [b"chunked"]),
        (b"Cookie", [b"a=1"]),
        (b"Accept", [b"a", b"b"]),
        (b"Sec-WebSocket-Key", [b"k"]),
    ]
    assert headers.forwarded(raw) == [
        (b"Host", b"h"),
        (b"Accept", b"a"),
        (b"Accept", b"b"),
        (b"Sec-WebSocket-Key", b"k"),
    ]


def test_cookies_and_the_token_that_the_answer_sets() -> None:
    assert headers.cookies([b"a=1", b"b=2"], None) == b"a=1; b=2"
    assert headers.cookies([b"a=1"], "2|x") == b"a=1; _xsrf=2|x"
    assert headers.cookies([], None) is None


def test_of_the_host() -> None:
    given = [
        (b"Content-Type", b"text/plain"),
        (b"Server", b"TornadoServer"),
        (b"Access-Control-Allow-Origin", b"*"),
        (b"Set-Cookie", b"_xsrf=mine; Path=/"),
        (b"Set-Cookie", b"other=1"),
        (b"Content-Security-Policy", b"p"),
        (b"Connection", b"close"),
    ]
    assert headers.relayed(given) == [
        (b"Content-Type", b"text/plain"),
        (b"Set-Cookie", b"other=1"),
        (b"Content-Security-Policy", b"p"),
    ]
