"""Login cookies: whose they are, and when they are void."""

from __future__ import annotations

import pytest

from jupyterd.auth.password_identity import PasswordIdentityProvider
from tests.auth.guarded_requests import browser
from tests.auth.serving import COOKIE_NAME, TOKEN, guarded_site, jar, logged_in


def test_cve_2026_40934_password_change_voids_cookies() -> None:
    provider = PasswordIdentityProvider(token=TOKEN, hashed_password="sha1:a:b")
    site, _ = guarded_site(provider=provider)
    cookies = logged_in(site)
    assert site.request("GET", "/api/things", headers=browser(cookies)).status == 200
    provider.hashed_password = "sha1:a:c"
    answer = site.request("GET", "/api/things", headers=browser(cookies))
    assert answer.status == 403
    assert (
        answer.headers["set-cookie"][0].startswith(f'{COOKIE_NAME}=""')
        or f"{COOKIE_NAME}=;" in answer.headers["set-cookie"][0]
    )


def test_token_change_voids_cookies() -> None:
    provider = PasswordIdentityProvider(token=TOKEN)
    site, _ = guarded_site(provider=provider)
    cookies = logged_in(site)
    provider.token = "another"
    assert site.request("GET", "/api/things", headers=browser(cookies)).status == 403


def test_generated_token_leaves_logins_alone_over_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JUPYTER_TOKEN", raising=False)
    first, second = PasswordIdentityProvider(), PasswordIdentityProvider()
    assert first.token != second.token
    site, _ = guarded_site(provider=first)
    cookies = jar(site.request("GET", f"/page?token={first.token}"))
    site, _ = guarded_site(provider=second)
    assert site.request("GET", "/api/things", headers=browser(cookies)).status == 200


def test_servers_on_one_host_do_not_log_each_other_out() -> None:
    site, _ = guarded_site()
    names = set()
    for host in ("127.0.0.1:8888", "127.0.0.1:8889", "localhost:8888"):
        names |= {
            name for name in jar(site.request("GET", f"/page?token={TOKEN}", headers={"Host": host})) if name != "_xsrf"
        }
    assert names == {"username-127-0-0-1-8888", "username-127-0-0-1-8889", "username-localhost-8888"}
    site, _ = guarded_site(base_url="/a/")
    lines = site.request("GET", f"/a/page?token={TOKEN}").headers["set-cookie"]
    assert all("Path=/a/" in line for line in lines)
