"""Hosts, origins, referers, next URLs, proxies, delays: the rules by themselves."""

from __future__ import annotations

import os
import re
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from jupyterd.auth.guessing_delay import FREE_ATTEMPTS, MAX_ADDRESSES, MAX_DELAY, GuessingDelay
from jupyterd.auth.http.next_url import safe_next
from jupyterd.auth.http.origin_rules import OriginRules, split_host
from jupyterd.auth.http.proxies import client_address, client_scheme

HOST = "localhost:8888"


# -- hosts


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8888",
        "LOCALHOST",
        "127.0.0.1",
        "127.0.0.1:1",
        "127.9.9.9",
        "[::1]",
        "[::1]:8888",
    ],
)
def test_local_hosts(host: str) -> None:
    assert OriginRules().host_allowed(host)


@pytest.mark.parametrize(
    "host",
    [
        "evil.com", "evil.com:8888", "127.0.0.1.evil.com", "localhost.evil.com", "10.0.0.1", "[2001:db8::1]", "0.0.0.0",
        "localhost:8888:9", "localhost@evil.com", "", ":8888", "[::1", "::1]", "localhost\r\nX: y",
        "%2Fno%2Fsuch%2Fsocket",
        "localhost, evil.com", "localhost/..", "evil.com#localhost", "\xff", "2130706433", "0x7f.1",
    ],
)  # fmt: skip
def test_foreign_hosts(host: str) -> None:
    assert not OriginRules().host_allowed(host)


def test_path_of_a_socket_is_a_local_host(tmp_path: Any) -> None:
    import socket

    path = os.path.join(tmp_path, "s")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        assert OriginRules().host_allowed(path.replace("/", "%2F"))
        assert OriginRules().host_allowed(path.replace("/", "%2f") + ":80")
        assert not OriginRules().host_allowed(str(tmp_path).replace("/", "%2F"))
        assert not OriginRules().host_allowed("%2F%00")


def test_listed_hosts_and_remote_access() -> None:
    assert OriginRules(local_hostnames=("lab.example",)).host_allowed("lab.example:80")
    assert not OriginRules(local_hostnames=("lab.example",)).host_allowed("localhost")
    assert OriginRules(allow_remote_access=True).host_allowed("evil.com")


@given(st.text(max_size=60))
def test_any_host_is_judged(host: str) -> None:
    OriginRules().host_allowed(host)
    split_host(host)


def test_hosts_of_strangers_do_not_fill_the_memory() -> None:
    origin_rules = OriginRules()
    for number in range(1000):
        origin_rules.host_allowed(f"h{number}.example")
    assert len(origin_rules._known) <= 64


# -- origins


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (None, True),
        ("http://localhost:8888", True),
        ("https://localhost:8888", True),
        ("http://LOCALHOST:8888", True),
        ("http://localhost", False),
        ("http://localhost:88888", False),
        ("http://localhost:8888.evil.com", False),
        ("http://evil.com", False),
        ("http://evil.com:8888", False),
        ("http://localhost:8888@evil.com", False),
        ("http://evil.com#localhost:8888", False),
        ("null", False),
        ("", False),
        ("file://", False),
        ("http://localhost:8888\n", True),  # stripped by urlsplit; headers can not hold it
        ("localhost:8888", False),
        ("http://[", False),
    ],
)
def test_own_origin_only(origin: str | None, allowed: bool) -> None:
    assert OriginRules().origin_allowed(origin, HOST) is allowed


PATTERN = OriginRules(allow_origin_pat=re.compile(r"https://.*\.example\.com"))


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://a.example.com", True),
        ("https://a.example.com.evil.org", False),
        ("https://a.example.com:444", False),
        ("https://a.example.com\n", False),
        ("https://evil.org/?https://a.example.com", True),  # the pattern says so: it is the operator's
        ("http://a.example.com", False),
        ("xhttps://a.example.com", False),
        ("null", False),
    ],
)
def test_cve_2026_40110_origin_pattern_must_match_whole(origin: str, allowed: bool) -> None:
    assert PATTERN.origin_listed(origin) is allowed


def test_one_origin_is_compared_exactly() -> None:
    origin_rules = OriginRules(allow_origin="https://lab.example")
    assert origin_rules.origin_allowed("https://lab.example", HOST)
    assert origin_rules.origin_allowed("https://LAB.example", HOST)
    for origin in ("http://lab.example", "https://lab.example:8443", "https://lab.example.org", "https://xlab.example"):
        assert not origin_rules.origin_allowed(origin, HOST)
    assert OriginRules(allow_origin="*").origin_allowed("null", HOST)


@given(st.text(max_size=60), st.text(max_size=30))
def test_any_origin_is_judged(origin: str, host: str) -> None:
    PATTERN.origin_allowed(origin, host)
    PATTERN.referer_allowed(origin, host)


def test_referers() -> None:
    origin_rules = OriginRules()
    assert origin_rules.referer_allowed("http://localhost:8888/lab?x", HOST)
    for referer in (
        None,
        "",
        "http://evil.com/localhost:8888",
        "http://localhost:8888@evil.com/",
        "//localhost:8888/",
        "about:blank",
    ):
        assert not origin_rules.referer_allowed(referer, HOST)
    assert not origin_rules.referer_allowed("http://localhost:8888/", None)
    assert PATTERN.referer_allowed("https://a.example.com/x", HOST)
    assert not PATTERN.referer_allowed("https://a.example.com.evil.org/x", HOST)


def test_cors_origin() -> None:
    assert OriginRules().cors_origin("http://evil", by_token=False) is None
    assert OriginRules().cors_origin("http://evil", by_token=True) == "http://evil"
    assert OriginRules(allow_origin="*").cors_origin(None, by_token=False) == "*"
    assert PATTERN.cors_origin("https://a.example.com", by_token=False) == "https://a.example.com"
    assert PATTERN.cors_origin("https://evil", by_token=True) is None


# -- where a login leads

HOSTILE = [
    "//evil.com", "///evil.com", "////evil.com/x", "\\\\evil.com", "/\\evil.com", "\\/evil.com", "/\\/evil.com",
    "\t//evil.com", " //evil.com",
    "/\t/evil.com", "/\n/evil.com", "/\r\n/evil.com", "http://evil.com", "http:///evil.com", "http:evil.com",
    "https:evil.com", "http:/evil.com",
    "HTTP://evil.com", "javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "ftp://evil.com",
    "evil.com", "http://localhost:8888@evil.com",
    "", "x", "/..//evil.com", "/.//evil.com", "/a/..//evil.com", "/%2e%2e//evil.com", "//", "///", "http://",
    "http://[",
    "https:\\\\evil.com", "mailto:x", "//evil.com/..", "\x00//evil.com", "\u2028//evil.com",
    "https://evil.com\\@localhost",
]  # fmt: skip


@pytest.mark.parametrize("url", HOSTILE)
def test_cve_2020_26232_2023_39968_2025_61669_hostile_next_leads_nowhere(url: str) -> None:
    assert safe_next(url, "/", OriginRules()) is None
    assert safe_next(url, "/user/ada/", OriginRules()) is None
    assert safe_next(url, "/", OriginRules(allow_origin="*")) is None


@pytest.mark.parametrize(
    ("url", "base_url", "target"),
    [
        ("/lab", "/", "/lab"),
        ("/", "/", "/"),
        ("/lab/tree/a%20b.ipynb?x=1&y=http://h#c", "/", "/lab/tree/a%20b.ipynb?x=1&y=http://h#c"),
        ("/user/ada/lab", "/user/ada/", "/user/ada/lab"),
        ("/user/ada", "/user/ada/", "/user/ada"),
        ("/user/adam/lab", "/user/ada/", None),
        ("/user/ada/../eve/", "/user/ada/", None),
        ("/user/ada/%2e%2E/eve/", "/user/ada/", None),
        ("/%5Cevil.com", "/", "/%5Cevil.com"),
        ("/lab\\x", "/", "/lab/x"),
        ("/läb", "/", "/l%C3%A4b"),
        ('/lab"><script>', "/", "/lab%22%3E%3Cscript%3E"),
    ],
)
def test_next_within_the_server(url: str, base_url: str, target: str | None) -> None:
    assert safe_next(url, base_url, OriginRules()) == target


def test_next_at_a_listed_origin() -> None:
    origin_rules = OriginRules(allow_origin="https://hub.example")
    assert safe_next("https://hub.example/x", "/", origin_rules) == "https://hub.example/x"
    assert safe_next("https:///hub.example/x", "/", origin_rules) == "https://hub.example/x"
    assert safe_next("https://hub.example.evil.com/x", "/", origin_rules) is None
    assert safe_next("https://hub.example:444/x", "/", origin_rules) is None


URLS = st.text(string.ascii_letters + "/\\:.@?#%25eE\t\n ", max_size=30)


@given(URLS | st.text(max_size=30))
def test_next_never_leaves(url: str) -> None:
    target = safe_next(url, "/base/", OriginRules())
    if target is not None:
        assert target.startswith("/")
        assert not target.startswith("//")
        assert not re.search(r"[\\\x00-\x20\x7f]", target)
        assert (re.split("[?#]", target)[0] + "/").startswith("/base/")


# -- proxies


def test_addresses_behind_a_proxy() -> None:
    assert client_address("127.0.0.1", "1.2.3.4, 5.6.7.8", None) == "5.6.7.8"
    assert client_address("127.0.0.1", "1.2.3.4", "9.9.9.9") == "9.9.9.9"
    assert client_address("127.0.0.1", "evil", None) == "127.0.0.1"
    assert client_address("127.0.0.1", None, None) == "127.0.0.1"
    assert client_address("unix", None, "2001:db8::1") == "2001:db8::1"


def test_schemes_behind_a_proxy() -> None:
    assert client_scheme("http", None, "https") == "https"
    assert client_scheme("http", None, "http, https") == "https"
    assert client_scheme("http", "https", "http") == "https"
    assert client_scheme("http", "gopher", None) == "http"


# -- guessing


def test_guesses_wait_longer_and_longer() -> None:
    clock = Clock()
    delay = GuessingDelay(clock)
    waits = []
    for number in range(12):
        waits.append(delay.wait("1.2.3.4"))
        clock.advance(waits[-1])
        delay.failed("1.2.3.4", f"guess {number}")
    assert waits[:FREE_ATTEMPTS] == [0.0] * FREE_ATTEMPTS
    assert waits[FREE_ATTEMPTS:] == sorted(waits[FREE_ATTEMPTS:])
    assert waits[-1] > MAX_DELAY * 0.9
    assert delay.wait("4.3.2.1") == 0.0


def test_guesses_side_by_side_gain_nothing() -> None:
    delay = GuessingDelay(Clock())
    for number in range(8):
        delay.failed("1.2.3.4", str(number))
    waits = [delay.wait("1.2.3.4") for _ in range(5)]
    assert waits == sorted(waits)
    assert waits[1] >= 2 * waits[0]
    assert waits[-1] > MAX_DELAY
    assert delay.backlog("1.2.3.4") <= 2 * MAX_DELAY


def test_same_wrong_secret_again_is_no_guess() -> None:
    delay = GuessingDelay(Clock())
    for _ in range(100):
        delay.failed("1.2.3.4", "outdated token")
    assert delay.wait("1.2.3.4") == 0.0


def test_failures_are_forgiven() -> None:
    clock = Clock()
    delay = GuessingDelay(clock)
    for number in range(6):
        delay.failed("1.2.3.4", str(number))
    assert delay.wait("1.2.3.4") > 0
    clock.advance(600)
    assert delay.wait("1.2.3.4") == 0.0
    for number in range(6):
        delay.failed("1.2.3.4", str(number))
    delay.succeeded("1.2.3.4")
    assert delay.wait("1.2.3.4") == 0.0


def test_memory_of_guessers_is_bounded() -> None:
    delay = GuessingDelay(Clock())
    for number in range(MAX_ADDRESSES + 500):
        delay.failed(f"10.{number >> 16}.{(number >> 8) & 255}.{number & 255}", "x")
    assert len(delay) == MAX_ADDRESSES


def test_an_ipv6_network_is_one_source() -> None:
    delay = GuessingDelay(Clock())
    for number in range(8):
        delay.failed(f"2001:db8::{number}", str(number))
    assert delay.wait("2001:db8::ffff") > 0
    assert delay.wait("2001:db8:0:1::1") == 0.0
    for number in range(8):
        delay.failed("::ffff:1.2.3.4", str(number))
    assert delay.wait("1.2.3.4") > 0
    delay.failed("unix", "x")
