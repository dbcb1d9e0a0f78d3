"""Delays against guessing, as clients see them."""

from __future__ import annotations

from jupyterd.auth.password_identity import PasswordIdentityProvider
from tests.auth.guarded_requests import ask, browser
from tests.auth.serving import bearer, guarded_site, jar


def test_wrong_tokens_are_answered_slower_and_slower() -> None:
    site, _ = guarded_site(provider=PasswordIdentityProvider(token="chosen"))
    for number in range(2):
        assert site.request("GET", "/api/things", headers=bearer(f"guess{number}")).status == 403
    connection = ask(site, "GET", "/api/things", **bearer("guess9"))
    assert connection.received() == b""
    site.reactor.advance(10)
    assert b" 403 " in connection.received()


def test_guesses_side_by_side_are_not_even_looked_at() -> None:
    site, guard = guarded_site(provider=PasswordIdentityProvider(token="chosen"))
    for number in range(40):
        ask(site, "GET", "/api/things", **bearer(f"guess{number}"))
    answer = site.request("GET", "/api/things", headers=bearer("chosen"))
    assert answer.status == 429
    assert int(answer.header("retry-after") or 0) > 0
    site.reactor.pump([1.0] * 60)
    assert guard.delay._held == 0
    assert site.request("GET", "/api/things", headers=bearer("chosen")).status == 200


def test_strong_token_always_works() -> None:
    site, _ = guarded_site()
    for number in range(40):
        ask(site, "GET", "/api/things", **bearer(f"guess{number}"))
    assert site.request("GET", "/api/things", headers=bearer()).status == 200


def test_session_is_not_slowed_by_others_guesses() -> None:
    site, _ = guarded_site(provider=PasswordIdentityProvider(token="chosen"))
    cookies = jar(site.request("GET", "/page?token=chosen"))
    for number in range(40):
        ask(site, "GET", "/api/things", **bearer(f"guess{number}"))
    assert site.request("GET", "/api/things", headers=browser(cookies)).status == 200
