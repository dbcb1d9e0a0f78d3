"""Logging in by the Hub, coming back, and going out."""

from __future__ import annotations

import base64
import hashlib

import pytest

from tests.hub.serving import BASE, SCRIPT, Below, Making

LOGIN = "jupyterhub-user-ada"


def test_a_page_leads_to_the_hub_and_back(ada: Below) -> None:
    browser = ada.browser()
    answer = ada.log_in(browser, f"{BASE}page?a=b%20c")
    assert (answer.status, answer.header("location")) == (302, f"{BASE}page?a=b%20c")
    assert browser.get(f"{BASE}page").status == 200
    assert set(browser.cookies) == {LOGIN, "_xsrf", "jupyterhub-session-id"}


@pytest.mark.parametrize("query", ["?redirects=3", "?token=secret", "?a=1&redirects=2&token=x", "?"])
def test_what_the_hub_counts_by_does_not_stay_in_the_url(ada: Below, query: str) -> None:
    answer = ada.log_in(ada.browser(), f"{BASE}page{query}")
    assert answer.header("location") == f"{BASE}page" + ("?a=1" if "a=1" in query else "")


def test_what_the_hub_is_asked(ada: Below) -> None:
    asked = ada.begin(ada.browser())
    assert asked["client_id"] == LOGIN
    assert asked["redirect_uri"] == f"{BASE}oauth_callback"
    assert asked["response_type"] == "code"
    assert asked["code_challenge_method"] == "S256"


def test_the_secret_of_pkce_is_that_of_the_challenge(ada: Below) -> None:
    browser = ada.browser()
    asked = ada.begin(browser)
    ada.hub.codes["c"] = "t"
    browser.get(f"{BASE}oauth_callback?code=c&state={asked['state']}")
    verifier = ada.hub.forms[0]["code_verifier"][0]
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    assert challenge == asked["code_challenge"]


def test_without_pkce(below: Making) -> None:
    server = below("--HubOAuth.pkce_enabled=False")
    assert "code_challenge" not in server.begin(server.browser())


def test_cookies_are_this_servers_alone(ada: Below) -> None:
    browser = ada.browser()
    ada.log_in(browser)
    login = next(cookie for cookie in browser.set_cookies if cookie.startswith(f"{LOGIN}="))
    assert "HttpOnly" in login
    assert f"Path={BASE}" in login
    assert "Secure" not in login
    assert "token-" not in login, "it is signed, and in base64"


@pytest.mark.parametrize(
    ("headers", "environment"),
    [
        ({"X-Forwarded-Proto": "https,http"}, {}),
        ({"Forwarded": "for=1.2.3.4;proto=https, for=5.6.7.8;proto=http"}, {}),
        ({"X-Scheme": "https"}, {}),
        ({}, {"JUPYTERHUB_PUBLIC_URL": "https://hub.example/user/ada/"}),
    ],
)
def test_cookies_are_secure_where_the_browser_sees_https(
    below: Making, headers: dict[str, str], environment: dict[str, str]
) -> None:
    server = below(**environment)
    browser = server.browser()
    browser.get(f"{BASE}page", headers={"Sec-Fetch-Mode": "navigate", **headers})
    assert all("Secure" in cookie for cookie in browser.set_cookies)
    assert browser.set_cookies


def test_cookies_with_the_host_prefix(below: Making) -> None:
    server = below(JUPYTERHUB_COOKIE_HOST_PREFIX_ENABLED="1")
    browser = server.browser()
    server.log_in(browser)
    login = next(cookie for cookie in browser.set_cookies if cookie.startswith(f"__Host-{LOGIN}="))
    assert "Path=/;" in login + ";"
    assert "Secure" in login
    browser.get(f"{BASE}logout")
    gone = next(cookie for cookie in browser.set_cookies if cookie.startswith(f"__Host-{LOGIN}="))
    assert "Secure" in gone, "else browsers do not take it"


def test_operators_cookie_options(below: Making) -> None:
    server = below(JUPYTERHUB_COOKIE_OPTIONS='{"SameSite": "Strict", "expires_days": 1}')
    browser = server.browser()
    server.log_in(browser)
    login = next(cookie for cookie in browser.set_cookies if cookie.startswith(f"{LOGIN}="))
    assert "SameSite=Strict" in login


def test_what_can_not_lead_to_a_login_is_403_without_a_cookie(ada: Below) -> None:
    for path, headers, method in (
        (f"{BASE}api/things", {}, "GET"),
        (f"{BASE}page", {"Sec-Fetch-Mode": "no-cors"}, "GET"),
        (f"{BASE}page", {"Sec-Fetch-Mode": "cors"}, "GET"),
        (f"{BASE}page", {}, "POST"),
    ):
        browser = ada.browser()
        assert browser.get(path, headers, method).status == 403
        assert browser.set_cookies == []


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("error=access_denied&error_description=No%20way", 400, "No way"),
        ("", 400, "without a token"),
        ("code=c", 400, "state is missing"),
        ("code=c&state=guessed", 403, "does not match"),
        (f"code=c&state={'x' * 5000}", 403, "does not match"),
    ],
)
def test_a_callback_that_is_none(ada: Below, query: str, status: int, words: str) -> None:
    browser = ada.browser()
    ada.begin(browser)
    answer = browser.get(f"{BASE}oauth_callback?{query}")
    assert (answer.status, words in answer.body.decode()) == (status, True)
    assert LOGIN not in browser.cookies
    assert ada.asked("POST", "/hub/api/oauth2/token") == 0


def test_another_browsers_login_is_not_ended_here(ada: Below) -> None:
    mine, theirs = ada.browser(), ada.browser()
    asked = ada.begin(theirs)
    ada.begin(mine)
    ada.hub.codes["c"] = "t"
    assert mine.get(f"{BASE}oauth_callback?code=c&state={asked['state']}").status == 403


def test_two_tabs_log_in_at_once(ada: Below) -> None:
    browser = ada.browser()
    first, second = ada.begin(browser, f"{BASE}page?1"), ada.begin(browser, f"{BASE}page?2")
    for number, asked in (("2", second), ("1", first)):
        ada.hub.codes[number] = f"t{number}"
        ada.hub.tokens[f"t{number}"] = {"name": "ada", "scopes": ["access:servers"]}
        answer = browser.get(f"{BASE}oauth_callback?code={number}&state={asked['state']}")
        assert answer.header("location") == f"{BASE}page?{number}"
    assert not any("state" in name for name in browser.cookies)


def test_a_callback_that_is_loaded_again_leads_to_the_start(ada: Below) -> None:
    browser = ada.browser()
    asked = ada.begin(browser)
    ada.log_in(browser)
    answer = browser.get(f"{BASE}oauth_callback?code=used&state=of-before{asked['state']}")
    assert (answer.status, answer.header("location")) == (302, BASE)


def test_a_code_that_the_hub_does_not_know(ada: Below) -> None:
    browser = ada.browser()
    asked = ada.begin(browser)
    answer = browser.get(f"{BASE}oauth_callback?code=x&state={asked['state']}")
    assert answer.status == 400
    assert "invalid_grant" in answer.body.decode()


def test_a_login_is_under_way_for_ten_minutes(ada: Below, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    browser = ada.browser()
    asked = ada.begin(browser)
    ada.hub.codes["c"] = "t"
    later = time.time() + 601
    monkeypatch.setattr("time.time", lambda: later)
    assert browser.get(f"{BASE}oauth_callback?code=c&state={asked['state']}").status == 403


def test_forgotten_logins_do_not_add_up(ada: Below) -> None:
    browser = ada.browser()
    for _ in range(30):
        ada.begin(browser)
        assert len(browser.cookies) <= 9


def test_the_login_page_leads_on(ada: Below) -> None:
    browser = ada.browser()
    ada.begin(browser, f"{BASE}login?next=%2Fuser%2Fada%2Fpage")
    ada.log_in(browser, f"{BASE}login?next=%2Fuser%2Fada%2Fpage%3Fx")
    answer = browser.get(f"{BASE}login?next=https%3A%2F%2Fevil.example%2F")
    assert (answer.status, answer.header("location")) == (302, BASE)


def test_logging_out_ends_here_and_at_the_hub(ada: Below) -> None:
    browser = ada.browser()
    ada.log_in(browser)
    kept = dict(browser.cookies)
    answer = browser.get(f"{BASE}logout")
    assert (answer.status, answer.header("location")) == (302, "/hub/logout")
    assert LOGIN not in browser.cookies
    ada.hub.tokens.clear()  # what the Hub does to a session's tokens
    browser.cookies = kept
    assert browser.get(f"{BASE}page").status == 302, "the cookie of before is not remembered as good"


def test_the_hubs_logout_counts_at_once(ada: Below) -> None:
    browser = ada.browser()
    ada.log_in(browser)
    assert browser.get(f"{BASE}page").status == 200
    ada.hub.tokens.clear()
    del browser.cookies["jupyterhub-session-id"]
    assert browser.get(f"{BASE}page").status == 302
    assert LOGIN not in browser.cookies, "a cookie that is good for nothing is cleared"


def test_the_hubs_own_host(below: Making) -> None:
    server = below(JUPYTERHUB_HOST="https://hub.example", JUPYTERHUB_BASE_URL="/jupyter/")
    answer = server.browser().get(f"{BASE}page")
    assert (answer.header("location") or "").startswith("https://hub.example/jupyter/hub/api/oauth2/authorize?")
    assert server.browser().get(f"{BASE}logout").header("location") == "https://hub.example/jupyter/hub/logout"


def test_a_browser_that_goes_round_in_circles_is_told(ada: Below) -> None:
    browser = ada.browser()
    for _ in range(5):
        ada.log_in(browser)
        del browser.cookies[LOGIN]  # it does not keep it
    answer = browser.get(f"{BASE}page")
    assert answer.status == 508
    assert "5 times" in answer.body.decode()
    ada.reactor.advance(31)
    assert browser.get(f"{BASE}page").status == 302
    assert ada.browser().get(f"{BASE}page").status == 302


def test_many_people_behind_one_address_are_not_taken_for_one(ada: Below) -> None:
    for number in range(8):
        browser = ada.browser()
        ada.log_in(browser, name=f"p{number}", scopes=["access:servers"])
        assert browser.get(f"{BASE}page").status == 200


def test_who_may_not_come_in_is_told_and_not_sent_round(ada: Below) -> None:
    browser = ada.browser()
    answer = ada.log_in(browser, name="eve")
    assert answer.status == 403
    assert "user eve is not allowed." in answer.body.decode()
    assert LOGIN not in browser.cookies


def test_the_hub_is_away(ada: Below) -> None:
    browser, known = ada.browser(), ada.browser()
    ada.log_in(known)
    ada.hub.away = True
    ada.reactor.advance(20)
    answer = browser.get(f"{BASE}page")
    assert (answer.status, answer.header("retry-after")) == (503, "5")
    assert "can not be reached" in answer.body.decode()
    assert known.get(f"{BASE}page").status == 200, "who is in stays in"
    ada.reactor.advance(300)
    assert known.get(f"{BASE}page").status == 503
    assert known.get(f"{BASE}api/things", SCRIPT).json()["message"].startswith("The Hub can not be reached")
    ada.hub.away = False
    ada.reactor.advance(3)
    assert known.get(f"{BASE}page").status == 200, "and is back in without a login"


def test_strangers_ask_the_hub_once_in_a_while(ada: Below) -> None:
    for _ in range(20):
        ada.begin(ada.browser())
    assert ada.hub.asked == [("GET", "/hub/api/")]
