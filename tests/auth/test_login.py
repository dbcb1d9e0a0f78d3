"""The login and logout pages, as browsers and VS Code use them."""

from __future__ import annotations

import json
import os
import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

import pytest

from jupyterd.auth.http.origin_rules import OriginRules
from jupyterd.auth.password_identity import PasswordIdentityProvider
from jupyterd.auth.passwords import passwd, passwd_check
from jupyterd.testing.http import Answer, MemorySite
from tests.auth.serving import COOKIE_NAME, TOKEN, bearer, guarded_site, jar, logged_in, sent

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
HASHED = passwd("sesame", "sha256")


def with_password(**options: Any) -> MemorySite:
    return guarded_site(provider=PasswordIdentityProvider(token="", hashed_password=HASHED), **options)[0]


def post(site: MemorySite, path: str = "/login", cookies: dict[str, str] | None = None, **fields: str) -> Answer:
    """Fetch the form, fill it in, send it."""
    if cookies is None:
        cookies = jar(site.request("GET", path))
    body = urlencode({"_xsrf": cookies["_xsrf"], **fields}).encode()
    return site.request("POST", path, body=body, headers={**FORM, "Cookie": sent(cookies)})


def test_password_logs_in() -> None:
    site = with_password()
    answer = post(site, password="sesame")
    assert (answer.status, answer.header("location")) == (302, "/")
    session = jar(answer)
    assert list(session) == [COOKIE_NAME]
    assert site.request("GET", "/api/things", headers={"Cookie": sent(session)}).status == 200


def test_wrong_password_does_not() -> None:
    site = with_password()
    answer = post(site, password="open")
    assert answer.status == 401
    assert b"Invalid credentials" in answer.body
    assert COOKIE_NAME not in jar(answer)
    assert post(site, password="").status == 401


def test_token_typed_into_the_form_logs_in() -> None:
    site, _ = guarded_site()
    assert post(site, password=TOKEN).status == 302
    assert post(site, password=TOKEN + "x").status == 401


def test_form_without_its_xsrf_token_is_refused() -> None:
    site = with_password()
    answer = site.request("POST", "/login", body=b"password=sesame", headers=FORM)
    assert answer.status == 403
    assert b"&#39;_xsrf&#39; argument missing from POST" in answer.body
    cookies = jar(site.request("GET", "/login"))
    answer = site.request(
        "POST", "/login", body=b"password=sesame&_xsrf=2|0|0|1", headers={**FORM, "Cookie": sent(cookies)}
    )
    assert answer.status == 403
    # As JSON, or as text, which a foreign page may send without being asked:
    for kind in ("application/json", "text/plain"):
        assert (
            site.request("POST", "/login", body=b'{"password": "sesame"}', headers={"Content-Type": kind}).status == 403
        )


def test_login_from_a_foreign_page_is_refused() -> None:
    site = with_password()
    cookies = jar(site.request("GET", "/login"))
    body = urlencode({"_xsrf": cookies["_xsrf"], "password": "sesame"}).encode()
    headers = {**FORM, "Cookie": sent(cookies), "Origin": "http://evil.example"}
    assert site.request("POST", "/login", body=body, headers=headers).status == 404


def test_login_body_is_bounded() -> None:
    site = with_password()
    assert site.request("POST", "/login", body=b"a=" + b"x" * 70_000, headers=FORM).status == 413
    assert site.request("POST", "/login", body=b"&".join([b"a=1"] * 5000), headers=FORM).status == 403


# -- where it leads

NEXT = [
    ("/lab", "/lab"), ("/user/../x", "/"), ("//evil.com", "/"), ("///evil.com", "/"), ("\\\\evil.com", "/"),
    ("/%5cevil.com", "/%5cevil.com"), ("http:///evil.com", "/"), ("https:evil.com", "/"), ("http://evil.com", "/"),
    ("/\\evil.com", "/"), ("javascript:alert(1)", "/"), ("lab", "/"), ("", "/"),
]  # fmt: skip


@pytest.mark.parametrize(("wanted", "location"), NEXT)
def test_cve_2020_26232_26275_2023_39968_2025_61669_redirect_after_login(wanted: str, location: str) -> None:
    site = with_password()
    query = urlencode({"next": wanted})
    assert post(site, f"/login?{query}", password="sesame").header("location") == location
    cookies = jar(post(site, password="sesame"))
    again = site.request("GET", f"/login?{query}", headers={"Cookie": sent(cookies)})
    assert (again.status, again.header("location")) == (302, location)


def test_redirect_to_a_listed_origin() -> None:
    site = with_password(origin_rules=OriginRules(allow_origin="https://hub.example"))
    query = urlencode({"next": "https://hub.example/x?y"})
    assert post(site, f"/login?{query}", password="sesame").header("location") == "https://hub.example/x?y"
    query = urlencode({"next": "https://hub.example.evil.com/x"})
    assert post(site, f"/login?{query}", password="sesame").header("location") == "/"


def test_base_url() -> None:
    site = with_password(base_url="/user/ada/")
    page = site.request("GET", "/user/ada/login?next=%2Fuser%2Fada%2Flab")
    assert b'action="/user/ada/login?next=%2Fuser%2Fada%2Flab"' in page.body
    answer = post(site, "/user/ada/login?next=%2Fuser%2Fada%2Flab", password="sesame")
    assert answer.header("location") == "/user/ada/lab"
    assert "Path=/user/ada/" in answer.headers["set-cookie"][0]
    assert post(site, "/user/ada/login?next=%2Fuser%2Feve%2F", password="sesame").header("location") == "/user/ada/"


# -- VS Code


def test_vscode_takes_the_first_cookie_and_sends_its_attributes_back() -> None:
    site = with_password()
    first = site.request("GET", "/login?")
    xsrf = next(line for line in first.headers["set-cookie"] if line.startswith("_xsrf=")).partition(";")[0][6:]
    body = urlencode({"_xsrf": xsrf, "password": "sesame"}).encode()
    headers = {
        "Cookie": f"_xsrf={xsrf}",
        "Connection": "keep-alive",
        "Content-Type": "application/x-www-form-urlencoded;charset=UTF-8",
    }
    answer = site.request("POST", "/login?", body=body, headers=headers)
    assert answer.status == 302
    session = answer.headers["set-cookie"][0]  # with expires, HttpOnly and Path
    name, _, value = session.partition("=")
    headers = {"Cookie": f"_xsrf={xsrf}; {name}={value}", "X-XSRFToken": xsrf}
    assert site.request("GET", "/api/things", headers=headers).status == 200
    assert site.request("POST", "/api/things", body=b"{}", headers=headers).status == 200


def test_vscode_on_an_open_server_meets_the_xsrf_check() -> None:
    site, _ = guarded_site(provider=PasswordIdentityProvider(token=""))
    assert site.request("POST", "/api/things", body=b"{}").json()["message"] == "'_xsrf' argument missing from POST"
    cookies = jar(site.request("GET", "/page"))
    headers = {"Cookie": f"_xsrf={cookies['_xsrf']}", "X-XSRFToken": cookies["_xsrf"]}
    assert site.request("POST", "/api/things", body=b"{}", headers=headers).status == 200


# -- a new password


def test_token_with_a_new_password_sets_it(tmp_path: object) -> None:
    provider = PasswordIdentityProvider(token=TOKEN)
    site, _ = guarded_site(provider=provider, settings={"config_dir": str(tmp_path)})
    old = logged_in(site)
    answer = post(site, password=TOKEN, new_password="sesame")
    assert answer.status == 302
    assert passwd_check(provider.hashed_password, "sesame")
    path = os.path.join(str(tmp_path), "jupyter_server_config.json")
    with open(path) as file:
        assert json.load(file)["IdentityProvider"]["hashed_password"] == provider.hashed_password
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert site.request("GET", "/api/things", headers={"Cookie": sent(jar(answer))}).status == 200
    assert site.request("GET", "/api/things", headers={"Cookie": sent(old)}).status == 403
    assert post(site, password="sesame").status == 302


@pytest.mark.parametrize("fields", [{"password": "wrong"}, {"password": ""}, {"password": "old"}])
def test_nobody_else_sets_a_password(fields: dict[str, str], tmp_path: object) -> None:
    provider = PasswordIdentityProvider(token=TOKEN, hashed_password=passwd("old", "sha256"))
    site, _ = guarded_site(provider=provider, settings={"config_dir": str(tmp_path)})
    before = provider.hashed_password
    assert post(site, new_password="new", **fields).status == 401
    assert provider.hashed_password == before
    assert os.listdir(str(tmp_path)) == []


def test_password_change_can_be_switched_off(tmp_path: object) -> None:
    provider = PasswordIdentityProvider(token=TOKEN, allow_password_change=False)
    site, _ = guarded_site(provider=provider, settings={"config_dir": str(tmp_path)})
    assert b"new_password" not in site.request("GET", "/login").body
    post(site, password=TOKEN, new_password="sesame")
    assert provider.hashed_password == ""


# -- logging out


def test_logout_forgets_the_cookie() -> None:
    site = with_password()
    cookies = jar(post(site, password="sesame"))
    answer = site.request("GET", "/logout", headers={"Cookie": sent(cookies)})
    assert answer.status == 200
    assert b"Successfully logged out." in answer.body
    line = next(line for line in answer.headers["set-cookie"] if line.startswith(COOKIE_NAME))
    assert "expires=Thu, 01 Jan 1970" in line
    site, _ = guarded_site(base_url="/x/")
    paths = [line for line in site.request("GET", "/x/logout").headers["set-cookie"] if line.startswith(COOKIE_NAME)]
    assert {"Path=/x/" in line for line in paths} == {True, False}


def test_logout_everywhere_voids_every_cookie() -> None:
    site, _ = guarded_site()
    first, second = logged_in(site), logged_in(site)
    body = urlencode({"_xsrf": first["_xsrf"]}).encode()
    assert site.request("POST", "/logout", body=body, headers={**FORM, "Cookie": sent(first)}).status == 200
    for cookies in (first, second):
        assert site.request("GET", "/api/things", headers={"Cookie": sent(cookies)}).status == 403
    assert site.request("GET", "/api/things", headers=bearer()).status == 200
    cookies = jar(site.request("GET", "/login"))
    assert post(site, "/logout", cookies).status == 403


def test_logout_of_an_open_server_says_so() -> None:
    site, _ = guarded_site(provider=PasswordIdentityProvider(token=""))
    assert b"authentication is disabled" in site.request("GET", "/logout").body


# -- guessing


def raw(cookies: dict[str, str], body: bytes) -> bytes:
    head = {**FORM, "Host": "127.0.0.1:8888", "Cookie": sent(cookies), "Content-Length": str(len(body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    return f"POST /login HTTP/1.1\r\n{lines}\r\n".encode() + body


def test_guessing_passwords_gets_slow() -> None:
    site = with_password()
    cookies = jar(site.request("GET", "/login"))

    def attempt(password: str) -> Any:
        body = urlencode({"_xsrf": cookies["_xsrf"], "password": password}).encode()
        connection = site.connect()
        connection.send(raw(cookies, body))
        return connection

    for number in range(3):
        assert b" 401 " in attempt(f"guess{number}").received()
    waiting = attempt("guess4")
    assert waiting.received() == b""
    right = attempt("sesame")  # waits as well: its delay must tell nothing
    assert right.received() == b""
    site.reactor.pump([0.5] * 20)
    assert b" 401 " in waiting.received()
    assert b" 302 " in right.received()


def test_many_guesses_side_by_side_are_refused() -> None:
    site = with_password()
    for _ in range(3):
        post(site, password=os.urandom(4).hex())
    cookies = jar(site.request("GET", "/login"))
    connections = []
    for number in range(200):
        body = urlencode({"_xsrf": cookies["_xsrf"], "password": str(number)}).encode()
        connection = site.connect()
        connection.send(raw(cookies, body))
        connections.append(connection)
    answers = [connection.received() for connection in connections]
    assert sum(b" 429 " in answer for answer in answers) > 180
    assert len(site.reactor.getDelayedCalls()) < 250


# -- the page


class Page(HTMLParser):
    def __init__(self, text: bytes) -> None:
        super().__init__()
        self.labels: list[str | None] = []
        self.inputs: list[dict[str, str | None]] = []
        self.tags: list[str] = []
        self.lang: str | None = None
        self.feed(text.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "label":
            self.labels.append(dict(attrs).get("for"))
        if tag == "input":
            self.inputs.append(dict(attrs))
        if tag == "html":
            self.lang = dict(attrs).get("lang")


def test_page_is_accessible_and_needs_no_script() -> None:
    site, _ = guarded_site()
    page = Page(site.request("GET", "/login").body)
    assert "script" not in page.tags
    assert page.lang == "en"
    assert {"main", "h1", "title", "button"} <= set(page.tags)
    visible = [field for field in page.inputs if field.get("type") != "hidden"]
    assert visible
    assert all(field["id"] in page.labels and field.get("autocomplete") for field in visible)
    error = post(site, password="x").body
    assert b'role="alert"' in error
    assert b'aria-invalid="true"' in error


def test_page_shows_no_secret() -> None:
    provider = PasswordIdentityProvider(token=TOKEN, hashed_password=HASHED)
    site, _ = guarded_site(provider=provider)
    for path in ("/login", f"/login?token={TOKEN}x", "/logout"):
        body = site.request("GET", path).body
        assert TOKEN.encode() not in body
        assert HASHED.encode() not in body


def test_hostile_names_are_escaped() -> None:
    site, _ = guarded_site()
    query = urlencode({"next": '/"><script>alert(1)</script>'})
    body = site.request("GET", f"/login?{query}").body
    assert b"<script>" not in body
    assert b"<script>" not in site.request("GET", "/<script>alert(1)</script>").body


def test_page_is_not_kept_by_caches() -> None:
    site, _ = guarded_site()
    assert site.request("GET", "/login").header("cache-control") == "no-store"
    assert site.request("GET", "/login").header("referrer-policy") == "same-origin"


def test_operators_template_wins(tmp_path: object) -> None:
    from jupyterd.web.pages import Pages

    with open(os.path.join(str(tmp_path), "login.html"), "w") as file:
        file.write(
            '{% extends "page.html" %}{% block site %}'
            '<p>{% trans %}Ours{% endtrans %} {{ static_url("a b") }}</p>'
            "{{ xsrf_form_html() | safe }}{% endblock %}"
        )
    site, guard = guarded_site()
    from jupyterd.auth.login import LoginPages
    from jupyterd.testing.deferreds import at_once

    resource = LoginPages(guard, Pages("/", [str(tmp_path)]), at_once).app.resource()
    for mount in site.root.mounts():
        if mount.prefix == ("login",):
            mount.factory = lambda: resource
    body = site.request("GET", "/login").body
    assert b"<p>Ours /static/a%20b</p>" in body
    assert re.search(rb'<input type="hidden" name="_xsrf" value="2\|', body)


# -- /api/me and CSP reports


def test_me_answers_with_permissions() -> None:
    site, _ = guarded_site()
    query = urlencode({"permissions": json.dumps({"contents": ["read", "write"], "kernels": []})})
    me = site.request("GET", f"/api/me?{query}", headers=bearer()).json()
    assert set(me["identity"]) == {"username", "name", "display_name", "initials", "avatar_url", "color"}
    assert me["permissions"] == {
        "contents": ["read", "write"],
        "kernels": [],
        "updatable_fields": ["name", "display_name", "initials", "avatar_url", "color"],
    }


@pytest.mark.parametrize(
    "permissions",
    ["x", "[]", "1", '{"a": 1}', '{"a": [1]}', '{"a": "read"}', "[" * 5000, json.dumps({"a": ["b"] * 2000})],
)
def test_bad_permissions(permissions: str) -> None:
    site, _ = guarded_site()
    answer = site.request("GET", "/api/me?" + urlencode({"permissions": permissions}), headers=bearer())
    assert answer.status == 400
    assert answer.json()["message"].startswith('permissions should be a JSON dict of {"resource": ["action",]}, got ')


def test_me_is_patched_and_kept_in_the_cookie() -> None:
    site, _ = guarded_site()
    cookies = logged_in(site)
    headers = {"Cookie": sent(cookies), "X-XSRFToken": cookies["_xsrf"]}
    answer = site.request("PATCH", "/api/me", json_body={"color": "red", "name": "Ada"}, headers=headers)
    assert answer.json()["status"] == "success"
    assert answer.json()["identity"]["color"] == "red"
    cookies.update(jar(answer))
    me = site.request("GET", "/api/me", headers={"Cookie": sent(cookies)}).json()
    assert (me["identity"]["name"], me["identity"]["color"]) == ("Ada", "red")


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"", 400, "Invalid or missing JSON body"),
        (b"{}", 400, "Invalid or missing JSON body"),
        (b"[]", 400, "Invalid or missing JSON body"),
        (b"x", 400, "Invalid JSON in body of request"),
        (b"[1]", 400, "Invalid or missing JSON body"),
        (b'{"username": "root"}', 400, "Field username is not updatable"),
        (b'{"x": 1}', 400, "Field x is not updatable"),
        (b'{"color": 1}', 400, "Field color must be text of at most 1024 characters"),
    ],
)
def test_bad_patches(body: bytes, status: int, message: str) -> None:
    site, _ = guarded_site()
    answer = site.request("PATCH", "/api/me", body=body, headers=bearer())
    assert (answer.status, answer.json()["message"]) == (status, message)


def test_me_is_not_for_strangers() -> None:
    site, _ = guarded_site()
    assert site.request("GET", "/api/me").status == 403
    assert site.request("PATCH", "/api/me", body=b'{"color": "red"}').status == 403


def test_csp_report_is_taken_without_xsrf_but_not_from_strangers() -> None:
    site, _ = guarded_site()
    body = b'{"csp-report": {"blocked-uri": "http://evil"}}'
    assert site.request("POST", "/api/security/csp-report", body=body).status == 403
    headers = {"Cookie": sent(logged_in(site)), "Origin": "null"}
    assert site.request("POST", "/api/security/csp-report", body=body, headers=headers).status == 200
