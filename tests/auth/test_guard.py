"""What the guard lets through, and what it says to the others."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from traitlets import Unicode

from jupyterd.auth.authorizer import Authorizer
from jupyterd.auth.http import xsrf_tokens as xsrf
from jupyterd.auth.http.origin_rules import OriginRules
from jupyterd.auth.identity import IdentityProvider
from jupyterd.auth.password_identity import PasswordIdentityProvider
from jupyterd.auth.user import User
from jupyterd.testing.http import Answer, MemorySite
from tests.auth.serving import COOKIE_NAME, HOST, TOKEN, bearer, guarded_site, jar, logged_in, sent

UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    "Sec-WebSocket-Version": "13",
}
FORBIDDEN = {"message": "Forbidden", "reason": None}
EVIL = {"Origin": "http://evil.example"}


def browser(cookies: dict[str, str], **more: str) -> dict[str, str]:
    return {"Cookie": sent(cookies), **{name.replace("_", "-"): value for name, value in more.items()}}


# -- tokens


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


# -- no byte of a stranger


class Watched(MemorySite):
    pass


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


# -- hosts


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


# -- forged requests


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


# -- untrusted files


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


def test_cve_2018_21030_files_are_sandboxed() -> None:
    site, _ = guarded_site()
    answer = site.request("GET", "/files/a.svg", headers=bearer())
    assert answer.header("content-security-policy") == (
        "frame-ancestors 'self'; report-uri /api/security/csp-report; sandbox allow-scripts"
    )
    assert answer.header("x-content-type-options") == "nosniff"


def test_cve_2019_9644_errors_can_not_be_included() -> None:
    site, _ = guarded_site()
    answer = site.request("GET", "/api/things")
    assert answer.header("content-type") == "application/json"
    assert answer.header("content-security-policy").endswith("; default-src 'none'")  # type: ignore[union-attr]
    assert answer.header("x-content-type-options") == "nosniff"


def test_operators_headers_win() -> None:
    headers = {
        "Content-Security-Policy": "default-src 'self'",
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "x",
    }
    site, _ = guarded_site(headers=headers)
    page = site.request("GET", "/page", headers=bearer())
    assert page.headers["content-security-policy"] == ["default-src 'self'"]
    assert page.header("x-frame-options") == "DENY"
    assert page.headers["x-content-type-options"] == ["x"]
    api = site.request("GET", "/api/things", headers=bearer())
    assert api.header("content-security-policy") == "default-src 'self'; default-src 'none'"


def test_policy_knows_the_base_url() -> None:
    site, _ = guarded_site(base_url="/x/")
    assert "report-uri /x/api/security/csp-report" in str(
        site.request("GET", "/x/api").header("content-security-policy")
    )


# -- CORS


def test_preflight() -> None:
    site, _ = guarded_site()
    answer = site.request("OPTIONS", "/api/things", headers={**EVIL, "Access-Control-Request-Headers": "authorization"})
    assert (answer.status, answer.body) == (200, b"")
    assert answer.header("access-control-allow-methods") == "GET, PUT, POST, PATCH, DELETE, OPTIONS"
    assert answer.header("access-control-allow-headers") == "accept, content-type, authorization, x-xsrftoken"
    assert "access-control-allow-origin" not in answer.headers
    site, _ = guarded_site(origin_rules=OriginRules(allow_origin="http://evil.example"))
    assert site.request("OPTIONS", "/api/things", headers=EVIL).header("access-control-allow-origin") == EVIL["Origin"]


def test_cors_headers() -> None:
    def allowed(origin_rules: OriginRules, origin: str, **headers: str) -> tuple[str | None, str | None]:
        site, _ = guarded_site(origin_rules=origin_rules)
        answer = site.request("GET", "/api/things", headers={"Origin": origin, **headers})
        return answer.header("access-control-allow-origin"), answer.header("access-control-allow-credentials")

    pattern = OriginRules(allow_origin_pat=re.compile(r"https://.*\.example\.com"))
    assert allowed(OriginRules(), "http://evil") == (None, None)
    assert allowed(OriginRules(), "http://evil", **bearer()) == ("http://evil", None)
    assert allowed(pattern, "https://a.example.com") == ("https://a.example.com", None)
    assert allowed(pattern, "https://a.example.com.evil.org", **bearer()) == (None, None)
    assert allowed(OriginRules(allow_origin="*"), "http://evil") == ("*", None)
    listed = OriginRules(allow_origin="https://a", allow_credentials=True)
    assert allowed(listed, "http://evil") == ("https://a", "true")


def test_listed_origin_may_use_a_session() -> None:
    site, _ = guarded_site(origin_rules=OriginRules(allow_origin="https://lab.example", allow_credentials=True))
    cookies = logged_in(site)
    headers = browser(cookies, X_XSRFToken=cookies["_xsrf"], Origin="https://lab.example")
    assert site.request("POST", "/api/things", body=b"", headers=headers).status == 200


# -- websockets


def upgrade(site: MemorySite, **headers: str) -> Answer:
    return site.request("GET", "/api/things/channels", headers={**UPGRADE, **headers})


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


# -- authorization


class Table(Authorizer):
    """As written against the reference: table of (action, resource)."""

    allowed: Any = ()
    seen: Any = None

    def is_authorized(self, handler: Any, user: User, action: str, resource: str) -> bool:
        self.seen = (handler.request.method, handler.request.path, user.username, action, resource)
        assert handler.current_user is user
        return (action, resource) in self.allowed


def table(*allowed: tuple[str, str]) -> Table:
    authorizer = Table()
    authorizer.allowed = allowed
    return authorizer


@pytest.mark.parametrize(
    ("method", "action"),
    [("GET", "read"), ("HEAD", "read"), ("POST", "write"), ("PUT", "write"), ("DELETE", "write"), ("PATCH", "write")],
)
def test_authorizer_is_asked_with_the_known_words(method: str, action: str) -> None:
    authorizer = table()
    site, _ = guarded_site(authorizer=authorizer)
    answer = site.request(method, "/api/things", body=b"", headers=bearer())
    assert answer.status == 403
    if method != "HEAD":
        assert answer.json() == {"message": f"User is not authorized to {action} on resource: things.", "reason": None}
    assert authorizer.seen[0] == method
    assert authorizer.seen[3:] == (action, "things")


@pytest.mark.parametrize(
    ("method", "action"),
    [("GET", "read"), ("HEAD", "read"), ("POST", "execute"), ("PUT", "execute"), ("DELETE", "execute")],
)
def test_where_requests_run_code_they_are_judged_as_execute(method: str, action: str) -> None:
    site, _ = guarded_site(authorizer=table((action, "things")))
    assert site.request(method, "/api/things/run", body=b"", headers=bearer()).status == 200
    others = [(other, "things") for other in ("read", "write", "execute") if other != action]
    site, _ = guarded_site(authorizer=table(*others))
    assert site.request(method, "/api/things/run", body=b"", headers=bearer()).status == 403


def test_websocket_is_execute() -> None:
    site, _ = guarded_site(authorizer=table(("execute", "things")))
    assert upgrade(site, **bearer()).status == 101
    assert site.request("GET", "/api/things", headers=bearer()).status == 403
    site, _ = guarded_site(authorizer=table(("read", "things")))
    assert upgrade(site, **bearer()).status == 403


def test_upgrade_header_does_not_change_what_is_asked() -> None:
    site, _ = guarded_site(authorizer=table(("execute", "things")))
    assert site.request("GET", "/api/things", headers={**bearer(), **UPGRADE}).status == 403


class Slow(Authorizer):
    async def is_authorized(self, handler: Any, user: User, action: str, resource: str) -> bool:  # type: ignore[override]
        await asyncio.sleep(0)
        return action == "read"


def ask(site: MemorySite, method: str, path: str, **headers: str) -> Any:
    """A request whose answer comes later."""
    connection = site.connect()
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    connection.send(f"{method} {path} HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n".encode())
    return connection


async def received(connection: Any) -> bytes:
    from twisted.internet import reactor
    from twisted.internet.task import deferLater

    for _ in range(100):
        data: bytes = connection.received()
        if data:
            return data
        await deferLater(reactor, 0)  # type: ignore[arg-type]
    raise AssertionError("no answer")


@ensureDeferred  # type: ignore[untyped-decorator]
async def test_asynchronous_authorizer() -> None:
    site, _ = guarded_site(authorizer=Slow())
    assert b" 200 " in await received(ask(site, "GET", "/api/things", **bearer()))
    assert b" 403 " in await received(ask(site, "PUT", "/api/things", **bearer()))


# -- custom identity providers


class ByHeader(IdentityProvider):
    """As written against the reference: trusts a header of the proxy in front."""

    header = Unicode("X-Remote-User", config=True)

    def get_user(self, handler: Any) -> User | None:
        name = handler.request.headers.get(self.header)
        return User(username=name, name=handler.get_argument("name", "")) if name else None


class Asynchronous(IdentityProvider):
    async def get_user(self, handler: Any) -> User | None:  # type: ignore[override]
        await asyncio.sleep(0)
        if handler.get_cookie("session") == "good":
            handler.set_cookie("seen", "1")
            return User("ada")
        return await super().get_user(handler)  # type: ignore[misc,no-any-return]


class Lazy(PasswordIdentityProvider):
    async def get_user_token(self, handler: Any) -> User | None:
        await asyncio.sleep(0)
        return User("tina") if self.get_token(handler) == "t" else None


class Foreign:
    """A user class of somebody else's."""

    def __init__(self, username: str) -> None:
        self.username = username


def test_custom_provider_with_a_header() -> None:
    site, _ = guarded_site(provider=ByHeader())
    assert site.request("GET", "/api/things").status == 403
    me = site.request("GET", "/api/me?name=Ada+L", headers={"X-Remote-User": "ada"}).json()
    assert me["identity"]["username"] == "ada"
    assert me["identity"]["name"] == "Ada L"
    assert me["permissions"] == {"updatable_fields": ["color"]}
    assert site.request("POST", "/api/things", body=b"", headers={"X-Remote-User": "ada"}).status == 403


@ensureDeferred  # type: ignore[untyped-decorator]
async def test_asynchronous_provider() -> None:
    site, _ = guarded_site(provider=Asynchronous(token=TOKEN))
    data = await received(ask(site, "GET", "/api/things", Cookie="session=good"))
    assert b'"user":"ada"' in data
    assert b"seen=1; Path=/" in data
    assert b" 403 " in await received(ask(site, "GET", "/api/things"))
    assert b" 200 " in await received(ask(site, "GET", "/api/things", **bearer()))


@ensureDeferred  # type: ignore[untyped-decorator]
async def test_asynchronous_hook_of_a_stock_provider() -> None:
    site, _ = guarded_site(provider=Lazy(token=TOKEN))
    assert b'"user":"tina"' in await received(ask(site, "GET", "/api/things", Authorization="token t"))
    assert b" 403 " in await received(ask(site, "GET", "/api/things", Authorization="token u"))


def test_provider_that_names_those_with_the_token() -> None:
    class Named(PasswordIdentityProvider):
        def generate_anonymous_user(self, handler: Any) -> User:
            return User("ada" if handler.request.method == "GET" else "bob")

    site, _ = guarded_site(provider=Named(token=TOKEN))
    assert site.request("GET", "/api/things", headers=bearer()).json()["user"] == "ada"
    assert site.request("POST", "/api/things", body=b"", headers=bearer()).json()["user"] == "bob"
    assert site.request("GET", f"/api/things?token={TOKEN}").json()["user"] == "ada"


def test_foreign_user_class() -> None:
    class Provider(IdentityProvider):
        def get_user(self, handler: Any) -> Any:
            return Foreign("ada")

    site, _ = guarded_site(provider=Provider())
    assert site.request("GET", "/api/things").json()["user"] == "ada"
    assert site.request("GET", "/api/me").json()["identity"] == {"username": "ada"}


def test_provider_that_fails_lets_nobody_in() -> None:
    class Broken(IdentityProvider):
        def get_user(self, handler: Any) -> Any:
            raise RuntimeError("database away")

    site, _ = guarded_site(provider=Broken())
    answer = site.request("GET", "/api/things")
    assert answer.status == 500
    assert answer.json() == {"message": "Unhandled error", "reason": None, "traceback": ""}


# -- no authentication


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


# -- guessing tokens


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


# -- behind a proxy


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


# -- the end of a session


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


def test_traceback_stays_inside() -> None:
    site, _ = guarded_site()
    answer = site.request("GET", "/api/broken", headers=bearer())
    assert answer.status == 500
    assert answer.json() == {"message": "Unhandled error", "reason": None, "traceback": ""}


# -- counted


def test_refusals_are_counted_by_check() -> None:
    site, _ = guarded_site()
    site.request("GET", "/api/things")
    site.request("GET", "/api/things", headers={"Authorization": f"token {TOKEN}x"})
    site.request("GET", "/api/things", headers={"Host": "rebound.example"})
    site.request("GET", "/api/things", headers={**browser(logged_in(site)), **EVIL})
    site.request("POST", "/api/things", headers=browser(logged_in(site)))
    site.request("GET", "/api/nothing", headers=bearer())
    assert site.site.refused == {"login": 2, "host": 1, "origin": 1, "xsrf": 1}
