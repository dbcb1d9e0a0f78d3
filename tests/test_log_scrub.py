"""No secret in any log: lines, JSON, tracebacks, the stdlib's loggers."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import (
    FileLogObserver,
    ILogObserver,
    Logger,
    LogPublisher,
    eventAsText,
    globalLogPublisher,
    jsonFileLogObserver,
)
from twisted.python.failure import Failure

from jupyterd.auth.password_identity import PasswordIdentityProvider
from jupyterd.log import Bridge, Console
from jupyterd.log_scrub import SECRET, SHOWS_SECRET, Scrubber, install
from tests.auth.serving import bearer, guarded_site, jar, sent

TOKEN = "0123456789abcdef0123456789abcdef"


class Sinks:
    """Every kind of sink behind the scrubber."""

    def __init__(self) -> None:
        self.lines, self.json, self.console = io.StringIO(), io.StringIO(), io.StringIO()
        self.observers: list[ILogObserver] = [
            FileLogObserver(self.lines, lambda event: eventAsText(event) + "\n"),
            jsonFileLogObserver(self.json),
            Console(self.console),
        ]

    @property
    def text(self) -> str:
        return self.lines.getvalue() + self.json.getvalue() + self.console.getvalue()


@pytest.fixture
def sinks() -> Iterator[Sinks]:
    """Attached to the global log, as twistd does, behind the scrubber."""
    sinks = Sinks()
    for observer in sinks.observers:
        globalLogPublisher.addObserver(observer)
    scrubber = Scrubber(lambda: [TOKEN])
    install(scrubber)
    yield sinks
    for observer in [*sinks.observers, scrubber]:
        globalLogPublisher.removeObserver(observer)


def scrubbed(text: str) -> str:
    return Scrubber(lambda: [TOKEN]).text(text)


SECRETS = [
    "GET /lab?token=s3cr3t HTTP/1.1",
    "GET /lab?a=1&token=s3cr3t&b=2",
    "GET /x?access_token=s3cr3t",
    "GET /x?_xsrf=s3cr3t",
    "GET /oauth?code=s3cr3t&state=s3cr3t",
    "GET /login?next=%2Flab%3Ftoken%3Ds3cr3t%26x%3D1",
    "referer=http://localhost:8888/lab?token=s3cr3t",
    "Authorization: token s3cr3t",
    "authorization: Bearer s3cr3t",
    "{'Authorization': 'token s3cr3t'}",
    "{b'authorization': [b'token s3cr3t']}",
    "Cookie: username-localhost-8888=s3cr3t; _xsrf=s3cr3t",
    "{'Cookie': 'a=s3cr3t; b=s3cr3t'}",
    "Set-Cookie: a=s3cr3t; Path=/",
    '{"token": "s3cr3t", "port": 1}',
    "{'hashed_password': 's3cr3t'}",
    "('token', 's3cr3t')",
    "X-XSRFToken: s3cr3t",
    "password=s3cr3t&_xsrf=s3cr3t",
    "argon2:$argon2id$s3cr3t",
    "Bearer s3cr3t.s3cr3t.s3cr3ts3cr3t",
]


@pytest.mark.parametrize("text", SECRETS)
def test_secret_is_taken_out(text: str) -> None:
    assert "s3cr3t" not in scrubbed(text)
    assert SECRET in scrubbed(text)
    assert "S3CR3T" not in scrubbed(text.upper()) or "ARGON" in text.upper()


@pytest.mark.parametrize(
    "text",
    [
        "GET /api/kernels?x=1&y=2",
        "200 GET /lab/tree/token.ipynb",
        "Kernel started: 5f1d",
        "token authentication is enabled",
        "the cookie secret is in /run/user/1/jupyter_cookie_secret",
        "Invalid credentials",
        "state: idle",
    ],
)
def test_the_rest_stays(text: str) -> None:
    assert scrubbed(text) == text


def test_known_secret_is_found_wherever_it_stands() -> None:
    assert scrubbed(f"KeyError: '{TOKEN}'") == f"KeyError: '{SECRET}'"
    assert Scrubber(lambda: ["a", ""]).text("an apple") == "an apple"


def test_operators_parameters() -> None:
    assert Scrubber(parameters=["magic"]).text("/x?my_magic_word=s3cr3t&y=1") == f"/x?my_magic_word={SECRET}&y=1"


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    scrubbed(text)


@given(
    st.dictionaries(st.text(max_size=5), st.recursive(st.text() | st.binary() | st.integers() | st.none(), st.lists))
)
def test_any_event_is_read(event: dict[str, Any]) -> None:
    Scrubber()(event)


class Web:
    """Shows its URL as requests of twisted.web do."""

    def __repr__(self) -> str:
        return "<Request method=GET uri=/lab?token=s3cr3t>"


def test_every_kind_of_value(sinks: Sinks) -> None:
    log = Logger()
    log.warn(
        "{a} {b} {c} {d} {e}",
        a="?token=s3cr3t",
        b=b"?token=s3cr3t",
        c=Web(),
        d={"token": "s3cr3t", "n": 1},
        e=[("Cookie", "x"), Web()],
    )
    log.warn("/lab?token=s3cr3t")
    try:
        raise ValueError(f"bad header: {SECRETS[7]}")
    except ValueError:
        log.failure("while serving {uri}", uri="/x?token=s3cr3t")
    logging.getLogger("some.library").warning("GET %s", "/x?token=s3cr3t")
    assert "s3cr3t" not in sinks.text
    assert "ValueError" in sinks.text
    assert "Traceback" in sinks.text
    for line in sinks.json.getvalue().strip("\x1e\n").split("\x1e"):
        json.loads(line)


def test_failure_itself_is_not_changed(sinks: Sinks) -> None:
    failure = Failure(ValueError("?token=s3cr3t"))
    Logger().failure("x", failure)
    assert str(failure.value) == "?token=s3cr3t"
    assert "s3cr3t" not in sinks.text


def test_lines_of_code_in_a_traceback_are_scrubbed(sinks: Sinks) -> None:
    """An operator's own class may hold a secret; a sink writes the lines of each frame."""
    try:
        [][len("?token=s3cr3t")]
    except IndexError:
        Logger().failure("x")
    assert "s3cr3t" not in sinks.text
    assert "Traceback" in sinks.text
    assert "IndexError: list index out of range" in sinks.text


def test_address_with_the_token_is_shown_once_at_the_start(sinks: Sinks) -> None:
    Logger().info("http://localhost:8888/?token={token}", token=TOKEN, **{SHOWS_SECRET: True})
    assert TOKEN in sinks.text


def test_stdlib_loggers_come_through_as_well(sinks: Sinks) -> None:
    logger = logging.getLogger("tests.scrubbed")
    logger.addHandler(Bridge())
    logger.propagate = False
    logger.warning("GET /?token=%s", "s3cr3t")
    try:
        raise RuntimeError("Cookie: a=s3cr3t")
    except RuntimeError:
        logger.exception("failed")
    assert "s3cr3t" not in sinks.text
    assert "RuntimeError" in sinks.text


def test_scrubber_stands_in_front_of_sinks_that_were_there_before() -> None:
    seen: list[Any] = []
    globalLogPublisher.addObserver(seen.append)  # type: ignore[arg-type]
    first, second = Scrubber(), Scrubber()
    install(first)
    install(second)
    try:
        assert globalLogPublisher._observers[0] is second
        assert first not in globalLogPublisher._observers
    finally:
        globalLogPublisher.removeObserver(seen.append)  # type: ignore[arg-type]
        globalLogPublisher.removeObserver(second)
    assert isinstance(globalLogPublisher, LogPublisher)


def test_cve_2022_24757_2026_86049_forced_500_leaks_nothing(sinks: Sinks) -> None:
    """Secrets in the URL, Referer, Cookie and Authorization of a request that fails."""
    site, _ = guarded_site(provider=PasswordIdentityProvider(token=TOKEN), disable_check_xsrf=True)
    cookies = jar(site.request("GET", f"/page?token={TOKEN}"))
    headers = {
        **bearer(TOKEN),
        "Cookie": sent({**cookies, "other": "s3cr3t"}),
        "Referer": f"http://127.0.0.1:8888/lab?token={TOKEN}&code=s3cr3t",
        "X-XSRFToken": "s3cr3t",
    }
    answer = site.request("GET", f"/api/broken?token={TOKEN}&_xsrf=s3cr3t", headers=headers)
    assert answer.status == 500
    for status_path in (f"/nosuch?token={TOKEN}", f"/page?token={TOKEN}x", "/api/things?token=s3cr3t"):
        site.request("GET", status_path, headers={"Referer": f"http://x/?token={TOKEN}"})
    site.request(
        "POST", "/login", body=b"password=s3cr3t", headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    text = sinks.text
    assert "a defect" in text
    assert TOKEN not in text
    assert "s3cr3t" not in text
    for value in cookies.values():
        assert value not in text
    assert TOKEN.encode() not in answer.body


def test_no_line_and_no_terminal_can_be_forged(sinks: Sinks) -> None:
    forged = "/x\n[C 2026-01-01 00:00:00.000 jupyterd] Shutting down\x1b[2J\x07\x9b"
    Logger().warn("{status} {path}", status=404, path=forged)
    for text in (sinks.lines.getvalue(), sinks.console.getvalue()):
        assert "\x1b" not in text
        assert "\x07" not in text
        assert "\x9b" not in text
    assert "\n[C" not in sinks.console.getvalue()
    assert "\\x1b" in sinks.console.getvalue()


@pytest.mark.parametrize(
    ("start", "filler"),
    [
        ('x="', "token"),
        ("x=?", "token"),
        ("cookie:", "\n"),
        ('"token":', " "),
        ("x=", "'token"),
        ("=", "?auth"),
        ("x=", "_"),
    ],
)
def test_a_line_takes_no_longer_than_it_is_long(start: str, filler: str) -> None:
    """Strangers choose paths. Patterns that look at a run of characters again from each of them would take hours."""
    text = start + filler * 200_000
    assert Scrubber().text(text).startswith(start[:1])
