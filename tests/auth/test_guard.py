"""What the guard lets through."""

from __future__ import annotations

from tests.auth.serving import TOKEN, bearer, guarded_site, jar, logged_in, sent


def test_token_in_header() -> None:
    site, _ = guarded_site()
    answer = site.request("GET", "/api/things", headers=bearer())
    assert answer.status == 200
    assert "set-cookie" not in answer.headers
