"""Cross-site requests: foreign hosts, origins and forms, and what they are refused."""

from __future__ import annotations

import re
from typing import Any

import pytest

from jupyterd.auth.http import xsrf_tokens as xsrf
from jupyterd.auth.http.origin_rules import OriginRules
from tests.auth.guarded_requests import EVIL, browser, upgrade
from tests.auth.serving import COOKIE_NAME, HOST, bearer, guarded_site, logged_in, sent


@pytest.mark.parametrize("host", ["evil.com", "localhost.evil.com", "127.0.0.1@evil.com", "", "10.1.1.1"])
def test_dns_rebinding_foreign_host_is_refused_with_any_credentials(host: str) -> None:
    site, _ = guarded_site()
    for path in ("/api/things", "/page", "/login", "/api"):
        answer = site.request("GET", path, headers={**bearer(), "Host": host})
        if host:
            assert answer.status == 403
            assert b"Host" in answer.body


def test_remote_access() -> None:
    site, _ = guarded_site(origin_rules=OriginRules(allow_remote_access=True))
    assert site.request("GET", "/api/things", headers={**bearer(), "Host": "lab.example"}).status == 200


def test_xsrf_header_is_needed_with_a_cookie() -> None:
    site, _ = guarded_site()
    cookies = logged_in(site)
    answer = site.request("POST", "/api/things", body=b"{}", headers=browser(cookies))
    assert answer.status == 403
    assert answer.json() == {"message": "'_xsrf' argument missing from POST", "reason": None}
    headers = browser(cookies, X_XSRFToken=cookies["_xsrf"])
    assert site.request("POST", "/api/things", body=b"{}", headers=headers).json()["bytes"] == 2
    assert site.request("DELETE", f"/api/things?_xsrf={cookies['_xsrf']}", headers=browser(cookies)).status == 200


def test_xsrf_complaints_name_the_check() -> None:
    site, _ = guarded_site()
    cookies = logged_in(site)

    def message(**headers: str) -> str:
        answer = site.request("POST", "/api/things", body=b"", headers=browser(cookies, **headers))
        assert answer.status == 403
        return str(answer.json()["message"])

    assert message() == "'_xsrf' argument missing from POST"
    assert message(X_XSRFToken="2|x") == "'_xsrf' argument has invalid format"
    assert message(X_XSRFToken=xsrf.show(xsrf.new(), 0)) == "XSRF cookie does not match POST argument"
    answer = site.request(
        "POST", "/api/things", body=b"", headers=browser(cookies, X_XSRFToken=cookies["_xsrf"], **EVIL)
    )
    assert (answer.status, answer.json()["message"]) == (404, "Blocking Cross Origin request from http://evil.example.")


def test_token_needs_no_xsrf() -> None:
    site, _ = guarded_site()
    assert site.request("POST", "/api/things", body=b"", headers=bearer()).status == 200
    assert site.request("POST", "/api/things", body=b"", headers={**bearer(), **EVIL}).status == 200


def test_disable_check_xsrf() -> None:
    site, _ = guarded_site(disable_check_xsrf=True)
    assert site.request("POST", "/api/things", body=b"", headers=browser(logged_in(site))).status == 200


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "application/json", ""],
)
def test_cve_2015_5607_simple_cross_site_posts(content_type: str) -> None:
    """What a foreign page can send without a preflight, with the browser's cookies."""
    site, _ = guarded_site()
    cookies = logged_in(site)
    for more in ({}, EVIL, {"Origin": "null"}, {"Referer": "http://evil.example/"}):
        headers = {**browser(cookies), "Content-Type": content_type, **more}
        answer = site.request("POST", "/api/things", body=b'{"a": 1}', headers=headers)
        assert answer.status in (403, 404)


def test_form_carries_its_token_in_the_body() -> None:
    site, _ = guarded_site()
    cookies = logged_in(site)
    headers = browser(cookies, Content_Type="application/x-www-form-urlencoded")
    good = f"_xsrf={cookies['_xsrf']}&x=1".encode()
    assert site.request("POST", "/api/things", body=good, headers=headers).status == 200
    assert site.request("POST", "/api/things", body=b"_xsrf=2|0|0|0", headers=headers).status == 403
    assert (
        site.request("POST", "/api/things", body=b"x=1", headers=headers)
        .json()["message"]
        .startswith("'_xsrf' argument missing")
    )


def test_body_that_is_streamed_away_is_never_waited_for() -> None:
    site, _ = guarded_site()
    began: list[Any] = []
    next(mount for mount in site.root.mounts() if mount.prefix == ("api", "things")).body = began.append  # type: ignore[assignment]
    cookies = logged_in(site)
    body = f"_xsrf={cookies['_xsrf']}".encode()
    headers = browser(cookies, Content_Type="application/x-www-form-urlencoded")
    assert site.request("PUT", "/api/things", body=body, headers=headers).status == 403
    assert began == []


def test_get_and_foreign_origin_is_not_found_for_cookies() -> None:
    site, _ = guarded_site()
    cookies = logged_in(site)
    answer = site.request("GET", "/api/things", headers={**browser(cookies), **EVIL})
    assert answer.status == 404
    assert answer.json()["message"] == f"Blocking Cross Origin API request. Origin: http://evil.example, Host: {HOST}"
    assert site.request("GET", "/api/things", headers={**browser(cookies), "Origin": f"http://{HOST}"}).status == 200
    assert site.request("GET", "/api/things", headers={**bearer(), **EVIL}).status == 200


def test_cve_2023_40170_files_are_not_for_foreign_pages() -> None:
    site, _ = guarded_site()
    cookies = logged_in(site)

    def status(**headers: str) -> int:
        return site.request("GET", "/files/a.html", headers=browser(cookies, **headers)).status

    assert status() == 403
    assert status(Referer="http://evil.example/x") == 403
    assert status(Referer=f"http://{HOST}/lab") == 200
    assert status(X_XSRFToken=cookies["_xsrf"]) == 200
    assert site.request("GET", f"/files/a.html?_xsrf={cookies['_xsrf']}", headers=browser(cookies)).status == 200
    assert site.request("GET", "/files/a.html", headers=bearer()).status == 200
    assert site.request("GET", "/files/a.html").status == 302
    answer = site.request("GET", "/files/a.html", headers=browser(cookies, Referer="http://evil.example/?token=x"))
    assert b"Blocking Cross Origin request from http://evil.example/." in answer.body


def test_listed_origin_may_use_a_session() -> None:
    site, _ = guarded_site(origin_rules=OriginRules(allow_origin="https://lab.example", allow_credentials=True))
    cookies = logged_in(site)
    headers = browser(cookies, X_XSRFToken=cookies["_xsrf"], Origin="https://lab.example")
    assert site.request("POST", "/api/things", body=b"", headers=headers).status == 200


def test_cve_2024_28179_2026_39987_websocket_needs_credentials() -> None:
    site, _ = guarded_site()
    assert upgrade(site).status == 403
    assert upgrade(site, Cookie=f"{COOKIE_NAME}=x").status == 403
    assert upgrade(site, **bearer()).status == 101
    assert upgrade(site, Cookie=sent(logged_in(site))).status == 101


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "", "http://127.0.0.1:88888", "http://127.0.0.1:8888.evil.example", "file://"],
)
def test_cve_2014_3429_websocket_checks_the_origin(origin: str) -> None:
    site, _ = guarded_site()
    cookies = sent(logged_in(site))
    assert upgrade(site, Cookie=cookies, Origin=origin).status == 403
    assert upgrade(site, Cookie=cookies, **{"Sec-WebSocket-Origin": origin or "x"}).status == 403
    assert upgrade(site, Cookie=cookies, Origin=f"http://{HOST}").status == 101


@pytest.mark.parametrize(
    ("origin", "status"),
    [("https://a.example.com", 101), ("https://a.example.com.evil.org", 403), ("https://a.example.com:1", 403)],
)
def test_cve_2026_40110_websocket_origin_pattern(origin: str, status: int) -> None:
    site, _ = guarded_site(origin_rules=OriginRules(allow_origin_pat=re.compile(r"https://.*\.example\.com")))
    assert upgrade(site, Cookie=sent(logged_in(site)), Origin=origin).status == status
