"""What the guard lets through, and what it says to the others."""

from __future__ import annotations

import re
from typing import Any

import pytest

from jupyterd.auth.password_identity import PasswordIdentityProvider
from jupyterd.testing.http import MemorySite
from tests.auth.guarded_requests import EVIL, ask, browser
from tests.auth.serving import COOKIE_NAME, HOST, TOKEN, bearer, guarded_site, jar, logged_in

FORBIDDEN = {"message": "Forbidden", "reason": None}


@pytest.mark.parametrize("header", [f"token {TOKEN}", f"Token   {TOKEN}", f"bearer {TOKEN}", f"BEARER {TOKEN} "])
def test_token_in_header(header: str) -> None:
    site, _ = guarded_site()
    answer = site.request("GET", "/api/things", headers={"Authorization": header})
    assert answer.status == 200
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "header",
    [
        f"basic {TOKEN}",
        TOKEN,
        "token",
        "token ",
        f"token {TOKEN}x",
        f"token {TOKEN[:-1]}",
        f"token {TOKEN.upper()}",
        "token é",
    ],
)
def test_other_authorization_is_none(header: str) -> None:
    site, _ = guarded_site()
    answer = site.request("GET", "/api/things", headers={"Authorization": header})
    assert answer.status == 403
    assert answer.json() == FORBIDDEN


def test_programs_with_the_token_keep_one_name() -> None:
    site, _ = guarded_site()
    first, second = (site.request("GET", "/api/me", headers=bearer()).json() for _ in range(2))
    assert first == second


def test_token_in_query_logs_a_browser_in() -> None:
    site, _ = guarded_site()
    answer = site.request("GET", f"/page?token={TOKEN}")
    assert answer.status == 200
    cookie = answer.headers["set-cookie"][0]
    assert re.fullmatch(rf"{COOKIE_NAME}=2\|1:0\|.*; expires=[^;]+ GMT; HttpOnly; Path=/", cookie)
    cookies = jar(answer)
    assert site.request("GET", "/page", headers=browser(cookies)).status == 200
    names = {site.request("GET", "/api/me", headers=browser(cookies)).json()["identity"]["username"] for _ in range(2)}
    assert len(names) == 1


def test_token_with_a_cookie_keeps_the_cookies_user() -> None:
    site, _ = guarded_site()
    cookies = logged_in(site)
    me = site.request("GET", "/api/me", headers=browser(cookies)).json()
    answer = site.request("GET", f"/api/me?token={TOKEN}", headers=browser(cookies))
    assert answer.json() == me
    assert "set-cookie" not in answer.headers


def test_unknown_visitor_of_a_page_is_sent_to_the_login() -> None:
    site, _ = guarded_site()
    answer = site.request("GET", "/page?a=1&b=2")
    assert (answer.status, answer.header("location")) == (302, "/login?next=%2Fpage%3Fa%3D1%26b%3D2")
    assert site.request("HEAD", "/page").status == 302
    site, _ = guarded_site(base_url="/user/ada/")
    assert site.request("GET", "/user/ada/page").header("location") == "/user/ada/login?next=%2Fuser%2Fada%2Fpage"


def test_wrong_token_does_not_travel_on() -> None:
    site, _ = guarded_site()
    location = site.request("GET", "/page?token=wrong&x=1").header("location")
    assert location == "/login?next=%2Fpage%3Fx%3D1"


def test_what_is_not_there_is_not_there_for_anybody() -> None:
    site, _ = guarded_site()
    assert site.request("GET", "/nosuch").status == 404
    assert site.request("POST", "/api/nosuch", body=b"x" * 10).status == 404
    assert site.request("GET", "/nosuch", headers=bearer()).status == 404


def stored(site: MemorySite, head: str, body: bytes) -> tuple[bytes, Any]:
    """The answer to a request sent in two pieces, and what was kept of its body."""
    connection = site.connect()
    connection.send(f"{head}\r\nHost: {HOST}\r\n".encode() + b"\r\n")
    request = connection.protocol.requests[0] if connection.protocol.requests else None
    connection.send(body)
    return connection.received(), request


@pytest.mark.parametrize("length", ["Content-Length: 1000000", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("path", ["/api/things", "/page", "/nosuch", "/api", "/files/x"])
def test_d1_body_of_a_stranger_is_neither_kept_nor_waited_for(path: str, length: str) -> None:
    site, _ = guarded_site()
    data, request = stored(site, f"PUT {path} HTTP/1.1\r\n{length}", b"x" * 1000)
    assert data.startswith((b"HTTP/1.1 403", b"HTTP/1.1 404", b"HTTP/1.1 413"))
    assert request is None or request.content is None


def test_open_server_gives_a_name_and_checks_forgery() -> None:
    site, _ = guarded_site(provider=PasswordIdentityProvider(token=""))
    answer = site.request("GET", "/page")
    assert answer.status == 200
    cookies = jar(answer)
    assert set(cookies) == {COOKIE_NAME, "_xsrf"}
    name = site.request("GET", "/api/things", headers=browser(cookies)).json()["user"]
    assert name == site.request("GET", "/api/things", headers=browser(cookies)).json()["user"]
    assert site.request("POST", "/api/things", body=b"").status == 403
    headers = browser(cookies, X_XSRFToken=cookies["_xsrf"])
    assert site.request("POST", "/api/things", body=b"", headers=headers).status == 200


def test_proxy_is_believed_only_where_told_to() -> None:
    told = {"X-Forwarded-Proto": "https", "X-Real-Ip": "1.2.3.4"}
    site, guard = guarded_site()
    assert "Secure" not in site.request("GET", f"/page?token={TOKEN}", headers=told).headers["set-cookie"][0]
    site, guard = guarded_site(trust_xheaders=True)
    assert "; Secure" in site.request("GET", f"/page?token={TOKEN}", headers=told).headers["set-cookie"][0]
    for number in range(9):
        ask(site, "GET", "/api/things", **told, **bearer(f"guess{number}"))
    assert guard.delay.wait("1.2.3.4") > 0
    assert guard.delay.wait("127.0.0.1") == 0


def test_traceback_stays_inside() -> None:
    site, _ = guarded_site()
    answer = site.request("GET", "/api/broken", headers=bearer())
    assert answer.status == 500
    assert answer.json() == {"message": "Unhandled error", "reason": None, "traceback": ""}


def test_refusals_are_counted_by_check() -> None:
    site, _ = guarded_site()
    site.request("GET", "/api/things")
    site.request("GET", "/api/things", headers={"Authorization": f"token {TOKEN}x"})
    site.request("GET", "/api/things", headers={"Host": "rebound.example"})
    site.request("GET", "/api/things", headers={**browser(logged_in(site)), **EVIL})
    site.request("POST", "/api/things", headers=browser(logged_in(site)))
    site.request("GET", "/api/nothing", headers=bearer())
    assert site.site.refused == {"login": 2, "host": 1, "origin": 1, "xsrf": 1}
