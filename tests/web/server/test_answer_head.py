"""The head of an answer, and its date."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import pytest
from twisted.web.http_headers import Headers

from jupyterd.web.server import answer_head as module
from jupyterd.web.server.answer_head import answer_head, date_now, short_head


def test_each_value_has_its_line() -> None:
    headers = Headers({b"Set-Cookie": [b"a=b", b"c=d"], b"X": [b"1"]})
    assert answer_head(b"HTTP/1.1", b"200", b"OK", headers) == (
        b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nX: 1\r\n\r\n"
    )


def test_a_short_one_is_as_a_long_one() -> None:
    """Headers that each answer has of its own win over those that many share, however they are configured."""
    common = ((b"X-Content-Type-Options", b"nosniff"), (b"Server", b"other"), (b"Content-Type", b"text/plain"))
    head = short_head(200, b"OK", b"application/json", b"2", common, b"abc-1")
    assert head == answer_head(
        b"HTTP/1.1",
        b"200",
        b"OK",
        Headers(
            {
                b"Content-Type": [b"application/json"],
                b"Content-Length": [b"2"],
                b"X-Content-Type-Options": [b"nosniff"],
                b"Server": [b"jupyterd"],
                b"Date": [date_now()],
                b"X-Request-Id": [b"abc-1"],
            }
        ),
    )


def test_the_date_is_of_this_second(monkeypatch: pytest.MonkeyPatch) -> None:
    for now in (1_000_000_000.9, 1_000_000_001.0, 1_000_000_000.0):
        monkeypatch.setattr(module.time, "time", lambda now=now: now)
        assert parsedate_to_datetime(date_now().decode()).timestamp() == int(now)
