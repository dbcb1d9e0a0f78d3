"""Who a request comes from, as the Hub says, and how often it is asked."""

from __future__ import annotations

import pytest

from tests.hub.fake_hub import model
from tests.hub.serving import BASE, NAVIGATE, SCRIPT, Below, Making

THINGS = f"{BASE}api/things"
MINE = "token-of-a-program"


@pytest.fixture
def token(ada: Below) -> dict[str, str]:
    """The header of a program of Ada's."""
    ada.hub.tokens[MINE] = model("ada", "access:servers!user=ada")
    return {"Authorization": f"token {MINE}"}


def test_a_programs_token(ada: Below, token: dict[str, str]) -> None:
    answer = ada.site.request("POST", THINGS, headers=token)
    assert (answer.status, answer.json()["user"]) == (200, "ada"), "no XSRF where a token is shown"
    assert ada.site.request("GET", THINGS, headers={"Authorization": f"Bearer {MINE}"}).status == 200


def test_me(ada: Below, token: dict[str, str]) -> None:
    info = {"name": "Ada Lovelace", "initials": "AL", "avatar_url": 7, "unknown": "x"}
    ada.hub.tokens[MINE] = model("ada", "access:servers", user_info=info)
    identity = ada.site.request("GET", f"{BASE}api/me", headers=token).json()["identity"]
    assert identity == {
        "username": "ada",
        "name": "Ada Lovelace",
        "display_name": "Ada Lovelace",
        "initials": "AL",
        "avatar_url": None,
        "color": None,
    }


def test_the_hub_is_asked_once_in_the_cache_time(ada: Below, token: dict[str, str]) -> None:
    for _ in range(50):
        assert ada.site.request("GET", THINGS, headers=token).status == 200
    assert ada.asked("GET", "/hub/api/user") == 1
    ada.reactor.advance(149)
    ada.site.request("GET", THINGS, headers=token)
    assert ada.asked("GET", "/hub/api/user") == 1
    ada.reactor.advance(2)
    ada.site.request("GET", THINGS, headers=token)
    assert ada.asked("GET", "/hub/api/user") == 2, "in the background, from half of the time on"


def test_a_burst_asks_once(ada: Below, token: dict[str, str]) -> None:
    ada.hub.held = []
    text = f"GET {THINGS} HTTP/1.1\r\nHost: x\r\nAuthorization: token {MINE}\r\n\r\n".encode()
    clients = [ada.site.connect() for _ in range(20)]
    for client in clients:
        client.send(text)
    assert [client.received() for client in clients] == [b""] * 20
    ada.hub.release()
    assert all(client.received().startswith(b"HTTP/1.1 200") for client in clients)
    assert ada.hub.asked == [("GET", "/hub/api/user")]


def test_a_revoked_token_counts_no_longer_than_the_cache_time(ada: Below, token: dict[str, str]) -> None:
    assert ada.site.request("GET", THINGS, headers=token).status == 200
    ada.hub.tokens.clear()
    ada.reactor.advance(301)
    assert ada.site.request("GET", THINGS, headers=token).status == 403
    assert ada.site.request("GET", THINGS, headers=token).status == 403
    assert ada.asked("GET", "/hub/api/user") == 2, "a token that is not known is remembered too"


def test_a_refresh_that_says_no_counts_at_once(ada: Below, token: dict[str, str]) -> None:
    ada.site.request("GET", THINGS, headers=token)
    ada.hub.tokens.clear()
    ada.reactor.advance(200)
    ada.site.request("GET", THINGS, headers=token)
    assert ada.site.request("GET", THINGS, headers=token).status == 403


def test_the_cache_time_is_the_operators(below: Making) -> None:
    server = below("--HubAuth.cache_max_age=10")
    server.hub.tokens[MINE] = model("ada", "access:servers")
    headers = {"Authorization": f"token {MINE}"}
    server.site.request("GET", THINGS, headers=headers)
    server.hub.tokens.clear()
    server.reactor.advance(11)
    assert server.site.request("GET", THINGS, headers=headers).status == 403


def test_no_hub_is_asked_for_a_public_path(ada: Below) -> None:
    assert ada.site.request("GET", f"{BASE}api").status == 200
    assert ada.hub.asked == []


@pytest.mark.parametrize(
    ("scopes", "status"),
    [
        (["access:servers"], 200),
        (["access:servers!user=ada"], 200),
        (["access:servers!server=ada/"], 200),
        (["access:servers!server=ada/other"], 403),
        (["access:servers!user=eve"], 403),
        (["access:services", "self", "admin:users"], 403),
        ([], 403),
    ],
)
def test_scopes_decide(ada: Below, scopes: list[str], status: int) -> None:
    ada.hub.tokens[MINE] = model("eve", *scopes, admin=True)
    answer = ada.site.request("GET", THINGS, headers={"Authorization": f"token {MINE}"})
    assert answer.status == status
    if status == 403:
        assert answer.json()["message"] == "user eve is not allowed."
        page = ada.site.request("GET", f"{BASE}page", headers={"Authorization": f"token {MINE}", **NAVIGATE})
        assert (page.status, page.header("location")) == (403, None), "not round and round"


def test_a_scope_that_is_taken_away(ada: Below, token: dict[str, str]) -> None:
    assert ada.site.request("GET", THINGS, headers=token).status == 200
    ada.hub.tokens[MINE] = model("ada")
    ada.reactor.advance(301)
    assert ada.site.request("GET", THINGS, headers=token).status == 403


def test_a_service_is_known_by_its_name(ada: Below) -> None:
    ada.hub.tokens[MINE] = {"name": "prometheus", "kind": "service", "scopes": ["access:servers"]}
    answer = ada.site.request("GET", THINGS, headers={"Authorization": f"token {MINE}"})
    assert answer.json()["user"] == "prometheus"


@pytest.mark.parametrize(
    ("instead", "status"),
    [
        ((500, b"oops"), 502),
        ((503, b""), 502),
        ((200, b"not json"), 500),
        ((200, b"[]"), 500),
        ((200, b'{"name": "ada"}'), 500),
        ((200, b'{"name": 7, "scopes": []}'), 500),
        ((200, b"{" + b" " * 2_000_000 + b"}"), 500),
        ((302, b""), 500),
    ],
)
def test_a_hub_that_talks_nonsense_lets_nobody_in(ada: Below, instead: tuple[int, bytes], status: int) -> None:
    ada.hub.instead = instead
    answer = ada.site.request("GET", THINGS, headers={"Authorization": f"token {MINE}"})
    assert answer.status == status
    assert "traceback" not in answer.body.decode().lower()
    ada.hub.instead = None


def test_without_scopes_to_ask_for_nobody_comes_in(below: Making) -> None:
    server = below(JUPYTERHUB_OAUTH_ACCESS_SCOPES="[]")
    server.hub.tokens[MINE] = model("ada", "access:servers")
    assert server.site.request("GET", THINGS, headers={"Authorization": f"token {MINE}"}).status == 403


@pytest.mark.parametrize("token", ["x" * 2000, "caf\xe9", "a b", "a\tb"])
def test_tokens_that_can_be_none_are_not_sent_on(ada: Below, token: str) -> None:
    assert ada.site.request("GET", THINGS, headers={"Authorization": f"token {token}"}).status == 403
    assert all(path != "/hub/api/user" or " " in token for _, path in ada.hub.asked)


# -- in the URL


def test_a_token_in_the_url_counts_for_websockets_alone(ada: Below, token: dict[str, str]) -> None:
    assert ada.site.request("GET", f"{THINGS}?token={MINE}").status == 403
    key = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    key["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ=="
    assert ada.site.request("GET", f"{THINGS}/channels?token={MINE}", headers=key).status == 101


def test_a_token_in_the_url_where_it_is_allowed(below: Making) -> None:
    server = below(JUPYTERHUB_ALLOW_TOKEN_IN_URL="1")
    server.hub.tokens[MINE] = model("ada", "access:servers")
    browser = server.browser()
    assert browser.get(f"{BASE}page?token={MINE}").status == 200
    assert browser.get(f"{BASE}page").status == 200, "the cookie has it now"
    other = server.browser()
    other.get(f"{THINGS}?token={MINE}", SCRIPT)
    assert other.cookies == {}, "but not that of a script's request"


# -- one host for all users


def test_a_script_needs_the_xsrf_token_to_read_by_cookie(ada: Below) -> None:
    browser = ada.browser()
    ada.log_in(browser)
    browser.get(f"{BASE}page")
    answer = browser.get(THINGS, SCRIPT)
    assert (answer.status, answer.json()["message"]) == (403, "'_xsrf' argument missing from GET")
    shown = {**SCRIPT, "X-XSRFToken": browser.cookies["_xsrf"]}
    assert browser.get(THINGS, shown).status == 200
    assert browser.get(THINGS, {"X-XSRFToken": browser.cookies["_xsrf"]}, "POST").status == 200
    assert browser.get(THINGS, {}, "POST").status == 403
    assert browser.get(f"{BASE}page", SCRIPT).status == 403


def test_a_cookie_that_another_server_has_put_there_is_worth_nothing(ada: Below) -> None:
    browser = ada.browser()
    ada.log_in(browser)
    browser.get(f"{BASE}page")
    browser.cookies["_xsrf"] = "2|aaaaaaaa|abcd|1700000000"
    tossed = {**SCRIPT, "X-XSRFToken": browser.cookies["_xsrf"]}
    answer = browser.get(THINGS, tossed)
    assert (answer.status, answer.json()["message"]) == (403, "XSRF cookie does not match GET argument")


def test_another_login_has_another_token(ada: Below) -> None:
    first, second = ada.browser(), ada.browser()
    for browser in (first, second):
        ada.log_in(browser)
        browser.get(f"{BASE}page")
    assert first.cookies["_xsrf"] != second.cookies["_xsrf"]
    assert first.get(THINGS, {**SCRIPT, "X-XSRFToken": second.cookies["_xsrf"]}).status == 403


def test_pictures_are_for_pages_of_ours(ada: Below) -> None:
    browser = ada.browser()
    ada.log_in(browser)
    embedded = {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "image"}
    own = {**embedded, "Referer": f"http://127.0.0.1:8888{BASE}lab"}
    theirs = {**embedded, "Referer": "http://127.0.0.1:8888/user/eve/lab"}
    assert browser.get(f"{BASE}files/a.png", own).status == 200
    assert browser.get(f"{BASE}files/a.png", theirs).status == 403
    assert browser.get(f"{BASE}files/a.png", embedded).status == 403
    browser.get(f"{BASE}page")
    assert browser.get(f"{BASE}files/a.png?_xsrf={browser.cookies['_xsrf']}", embedded).status == 200


def test_websockets_by_cookie_can_be_forbidden(below: Making) -> None:
    key = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    key["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ=="
    for allowed, status in (("1", 101), ("0", 403)):
        server = below(JUPYTERHUB_ALLOW_WEBSOCKET_COOKIE_AUTH=allowed)
        browser = server.browser()
        server.log_in(browser)
        assert browser.get(f"{THINGS}/channels", {**key, "Sec-Fetch-Mode": "websocket"}).status == status


def test_other_servers_may_not_frame_ours(ada: Below) -> None:
    answer = ada.site.request("GET", f"{BASE}api")
    assert (answer.header("content-security-policy") or "").startswith("frame-ancestors 'none'")


# -- pages


def test_a_page_is_told_its_users_token_and_not_the_servers(ada: Below) -> None:
    browser = ada.browser()
    ada.log_in(browser)
    told = browser.get(f"{BASE}told").json()
    assert told["token"].startswith("token-ada")
    assert told["token"] != ada.side.provider.token
    assert (told["hubUser"], told["hubPrefix"], told["shareUrl"]) == ("ada", "/hub/", "/hub/user-redirect")


def test_the_token_can_be_left_out_of_pages(below: Making) -> None:
    server = below("--IdentityProvider.token_in_pages=False")
    browser = server.browser()
    server.log_in(browser)
    assert browser.get(f"{BASE}told").json()["token"] == ""
