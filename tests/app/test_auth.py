"""What operators set: providers, cookies' secret, classes of their own and of the reference's family, warnings."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
import stat
from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from traitlets import TraitError
from traitlets.config import Config
from twisted.internet.testing import MemoryReactorClock

from jupyterd.app.auth import make_guard, refresh, warn
from jupyterd.auth.cookie_secret import CookieKey
from jupyterd.auth.guard import Guard
from jupyterd.auth.identity import IdentityProvider
from jupyterd.auth.password_identity import PasswordIdentityProvider
from jupyterd.auth.passwords import passwd
from jupyterd.settings.load import load
from tests.auth.guarded_requests import ask, received
from tests.auth.serving import bearer, guarded_site, jar, sent


@pytest.fixture(autouse=True)
def own_directories(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONFIG", "DATA", "RUNTIME"):
        monkeypatch.setenv(f"JUPYTER_{name}_DIR", os.path.join(tmp_path, name))
    for name in ("JUPYTER_TOKEN", "JUPYTER_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)


# -- the token


def test_token_is_made_by_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = PasswordIdentityProvider()
    assert len(provider.token) == 48
    assert provider.token_generated
    assert PasswordIdentityProvider().token != provider.token


def test_token_of_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    file = os.path.join(tmp_path, "token")
    with open(file, "w") as out:
        out.write("from-a-file\n")
    monkeypatch.setenv("JUPYTER_TOKEN_FILE", file)
    provider = PasswordIdentityProvider()
    assert (provider.token, provider.token_generated) == ("from-a-file", False)
    monkeypatch.setenv("JUPYTER_TOKEN", "given")
    assert PasswordIdentityProvider().token == "given"


def test_no_token_with_a_password() -> None:
    provider = PasswordIdentityProvider(hashed_password=passwd("x", "sha256"))
    assert provider.token == ""
    assert provider.auth_enabled
    assert not provider.need_token


def test_settings_under_either_class_name() -> None:
    for section in ("IdentityProvider", "PasswordIdentityProvider"):
        config = Config({section: {"hashed_password": "sha1:a:b", "cookie_name": "mine", "token": "t"}})
        provider = PasswordIdentityProvider(config=config)
        assert (provider.hashed_password, provider.cookie_name, provider.token) == ("sha1:a:b", "mine", "t")


def test_updatable_fields() -> None:
    assert IdentityProvider().updatable_fields == ["color"]
    assert len(PasswordIdentityProvider().updatable_fields) == 5
    with pytest.raises(TraitError):
        IdentityProvider(updatable_fields=["username"])


# -- cookies


def test_cookie_settings() -> None:
    provider = PasswordIdentityProvider(
        token="t", cookie_name="mine", cookie_options={"samesite": "Strict", "expires_days": None}, secure_cookie=True
    )
    site, _ = guarded_site(provider=provider)
    line = site.request("GET", "/page?token=t").headers["set-cookie"][0]
    assert line.startswith("mine=2|1:0|")
    assert line.endswith("; HttpOnly; Path=/; Secure; SameSite=Strict")
    assert "expires" not in line


def test_secure_cookie_can_be_switched_off() -> None:
    provider = PasswordIdentityProvider(token="t", secure_cookie=False)
    site, _ = guarded_site(provider=provider, trust_xheaders=True)
    line = site.request("GET", "/page?token=t", headers={"X-Forwarded-Proto": "https"}).headers["set-cookie"][0]
    assert "Secure" not in line


def test_age_of_a_login(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    provider = PasswordIdentityProvider(token="t", get_secure_cookie_kwargs={"max_age_days": 2})
    site, _ = guarded_site(provider=provider)
    cookies = jar(site.request("GET", "/page?token=t"))
    assert site.request("GET", "/api/things", headers={"Cookie": sent(cookies)}).status == 200
    now = time.time()
    monkeypatch.setattr("jupyterd.auth.handler.time.time", lambda: now + 3 * 86400)
    assert site.request("GET", "/api/things", headers={"Cookie": sent(cookies)}).status == 403


def test_cookie_of_another_kind_of_user_is_refused() -> None:
    class Strange(PasswordIdentityProvider):
        def user_from_cookie(self, cookie_value: str) -> Any:
            raise KeyError(cookie_value)

    site, _ = guarded_site(provider=Strange(token="t"))
    cookies = jar(site.request("GET", "/page?token=t"))
    assert site.request("GET", "/api/things", headers={"Cookie": sent(cookies)}).status == 403


# -- the secret


def test_secret_is_made_once_and_private(tmp_path: Any) -> None:
    path = os.path.join(tmp_path, "new", "secret")
    provider = PasswordIdentityProvider(token="t")
    key = CookieKey(path).key(provider)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert CookieKey(path).key(provider) == key
    assert os.listdir(os.path.dirname(path)) == ["secret"]
    assert CookieKey(path).key(PasswordIdentityProvider(token="u")) != key


def test_secret_that_others_could_read_becomes_private(tmp_path: Any) -> None:
    path = os.path.join(tmp_path, "secret")
    with open(path, "wb") as file:
        file.write(b"x" * 32)
    os.chmod(path, 0o644)
    CookieKey(path).key(PasswordIdentityProvider(token="t"))
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b"short"])
def test_secret_cut_short_is_replaced(tmp_path: Any, content: bytes) -> None:
    path = os.path.join(tmp_path, "secret")
    with open(path, "wb") as file:
        file.write(content)
    CookieKey(path).key(PasswordIdentityProvider(token="t"))
    with open(path, "rb") as file:
        assert len(file.read()) == 32


def test_secret_without_a_place_to_keep_it(tmp_path: Any) -> None:
    with open(os.path.join(tmp_path, "file"), "w"):
        pass
    provider = PasswordIdentityProvider(token="t")
    key = CookieKey(os.path.join(tmp_path, "file", "secret"))
    assert key.key(provider) == key.key(provider)


def test_secret_of_the_configuration_touches_no_file(tmp_path: Any) -> None:
    path = os.path.join(tmp_path, "secret")
    provider = PasswordIdentityProvider(token="t")
    assert CookieKey(path, b"configured").key(provider) == CookieKey("", b"configured").key(provider)
    assert not os.path.exists(path)


def test_of_two_servers_that_start_at_once_the_first_secret_counts(tmp_path: Any) -> None:
    path = os.path.join(tmp_path, "secret")
    provider = PasswordIdentityProvider(token="t")
    first, second = CookieKey(path), CookieKey(path)
    secrets = first._create(), second._create()
    assert secrets[0] == secrets[1]
    assert first.key(provider) == second.key(provider)


# -- from the command line to the guard


def built(*options: str) -> Guard:
    settings = load(["--allow-root", *options])
    return make_guard(settings.server, settings.make, MemoryReactorClock())


def test_guard_is_built_from_settings() -> None:
    guard = built(
        "--ServerApp.base_url=/x",
        "--ServerApp.allow_origin_pat=https://.*",
        "--ServerApp.local_hostnames=Lab.Example",
        "--ServerApp.trust_xheaders=True",
        "--ServerApp.disable_check_xsrf=True",
        "--ServerApp.password=sha1:a:b",
        "--ServerApp.tornado_settings={'headers': {'X-Frame-Options': 'DENY'}, 'xsrf_cookie_kwargs': {'secure': True}}",
    )
    assert guard.base_url == "/x/"
    assert guard.origin_rules.origin_listed("https://a")
    assert guard.origin_rules.host_allowed("lab.example:80")
    assert guard.trust_xheaders
    assert guard.disable_check_xsrf
    assert getattr(guard.provider, "hashed_password") == "sha1:a:b"  # noqa: B009
    assert guard.xsrf_cookie_options == {"secure": True}


def test_reload_takes_what_changed() -> None:
    guard = built("--IdentityProvider.token=one")
    refresh(guard, load(["--allow-root", "--IdentityProvider.token=two", "--ServerApp.allow_origin=https://a"]).server)
    assert guard.provider.token == "two"
    assert guard.origin_rules.allow_origin == "https://a"


def test_reload_does_not_throw_a_generated_token_away() -> None:
    guard = built()
    token = guard.provider.token
    refresh(guard, load(["--allow-root"]).server)
    assert guard.provider.token == token


# -- warnings


def warnings_of(caplog: pytest.LogCaptureFixture, *options: str, tls: bool = False) -> str:
    server = load(["--allow-root", *options]).server
    log = logging.getLogger("tests.warnings")
    server.log = server.identity_provider.log = log
    with caplog.at_level(logging.WARNING, "tests.warnings"):
        warn(server, tls)
    return "\n".join(record.getMessage() for record in caplog.records if record.name == log.name)


def test_open_doors_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    assert "All authentication is disabled." in warnings_of(caplog, "--IdentityProvider.token=")


def test_listening_to_the_world_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    text = warnings_of(caplog, "--ip=*", "--IdentityProvider.token=")
    assert "listening on all IP addresses and not using encryption" in text
    assert "not using authentication. This is highly insecure" in text


def test_closed_doors_are_not(caplog: pytest.LogCaptureFixture) -> None:
    assert warnings_of(caplog) == ""
    assert warnings_of(caplog, "--ip=*", tls=True) == ""


@pytest.mark.parametrize("given", ["False", "True"])
def test_allow_unauthenticated_access_is_no_reason_to_warn(caplog: pytest.LogCaptureFixture, given: str) -> None:
    with caplog.at_level(logging.INFO):
        text = warnings_of(caplog, f"--ServerApp.allow_unauthenticated_access={given}")
    assert "allow_unauthenticated_access" not in text


def test_required_password(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(SystemExit) as ended:
        warnings_of(caplog, "--PasswordIdentityProvider.password_required=True")
    assert ended.value.code == 1
    assert "configured to only be run with a password" in caplog.text
    warnings_of(caplog, "--PasswordIdentityProvider.password_required=True", "--ServerApp.password=sha1:a:b")


def test_handlers_that_are_not_served_are_told(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    handlers = lambda self: [("/login", None), ("/oauth", None)]  # noqa: E731
    monkeypatch.setattr(PasswordIdentityProvider, "get_handlers", handlers)
    text = warnings_of(
        caplog, "--ServerApp.login_handler_class=logging.Handler", "--IdentityProvider.logout_handler_class=a.B"
    )
    assert "handler for /oauth" in text
    assert "/login" not in text.replace("login_handler_class", "")
    assert "ServerApp.login_handler_class" in text
    assert "PasswordIdentityProvider.logout_handler_class" in text


def test_login_classes_of_the_reference_itself_are_served(caplog: pytest.LogCaptureFixture) -> None:
    """A provider that extends the reference's has them by default."""
    stock = "jupyter_server.auth.login.LoginFormHandler"
    assert warnings_of(caplog, f"--IdentityProvider.login_handler_class={stock}") == ""


# -- in a configuration file

CONFIGURATION = """
from jupyterd.auth import Authorizer, IdentityProvider, User

class Provider(IdentityProvider):
    def get_user(self, handler):
        name = handler.request.headers.get("X-Remote-User")
        return User(name, color="blue") if name else None

class ReadOnly(Authorizer):
    async def is_authorized(self, handler, user, action, resource):
        return action == "read" or user.username == "ada"

c.ServerApp.identity_provider_class = Provider
c.ServerApp.authorizer_class = ReadOnly
"""


@ensureDeferred
async def test_classes_in_a_configuration_file() -> None:
    os.makedirs(os.environ["JUPYTER_CONFIG_DIR"])
    with open(os.path.join(os.environ["JUPYTER_CONFIG_DIR"], "jupyter_server_config.py"), "w") as file:
        file.write(CONFIGURATION)
    guard = built()
    site, _ = guarded_site(provider=guard.provider, authorizer=guard.authorizer, disable_check_xsrf=True)
    assert b" 403 " in await received(ask(site, "GET", "/api/things"))
    assert b'"color":"blue"' in await received(ask(site, "GET", "/api/me", **{"X-Remote-User": "eve"}))
    assert b" 200 " in await received(ask(site, "GET", "/api/things", **{"X-Remote-User": "eve"}))
    assert b" 403 " in await received(ask(site, "DELETE", "/api/things", **{"X-Remote-User": "eve"}))
    assert b" 200 " in await received(ask(site, "DELETE", "/api/things", **{"X-Remote-User": "ada"}))


# -- classes of the reference's family

REFERENCE = importlib.util.find_spec("jupyter_server") is not None
with_reference = pytest.mark.skipif(not REFERENCE, reason="jupyter_server is not installed")


@with_reference
@ensureDeferred
async def test_provider_derived_from_the_references_class() -> None:
    """As it stands in configuration files today; its base class is asyncio."""
    from jupyter_server.auth.identity import PasswordIdentityProvider as Theirs
    from jupyter_server.auth.identity import User

    class Provider(Theirs):  # type: ignore[misc]
        async def get_user(self, handler: Any) -> Any:
            await asyncio.sleep(0)
            if handler.request.headers.get("X-Api-Key") == "k":
                return User(username="ada", name="Ada")
            return await super().get_user(handler)

    site, _ = guarded_site(provider=Provider(token="t"))
    assert b'"user":"ada"' in await received(ask(site, "GET", "/api/things", **{"X-Api-Key": "k"}))
    assert b" 403 " in await received(ask(site, "GET", "/api/things"))
    data = await received(ask(site, "GET", "/api/things", **bearer("t")))
    assert b" 200 " in data
    cookie = data.decode("latin-1").partition("Set-Cookie: ")[2].partition(";")[0]
    assert b" 200 " in await received(ask(site, "GET", "/api/things", Cookie=cookie))
    assert b'"initials":"A' in await received(ask(site, "GET", "/api/me", Cookie=cookie))
    assert b" 200 " in await received(ask(site, "GET", "/logout", Cookie=cookie))


@with_reference
def test_authorizer_derived_from_the_references_class() -> None:
    from jupyter_server.auth.authorizer import Authorizer as Theirs

    class ReadOnly(Theirs):  # type: ignore[misc]
        def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:
            return action == "read"

    provider = PasswordIdentityProvider(token="t")

    def make(trait: str, **arguments: Any) -> Any:
        return ReadOnly(**arguments)

    from jupyterd.app.auth import _authorizer

    site, _ = guarded_site(provider=provider, authorizer=_authorizer(make, provider))
    assert site.request("GET", "/api/things", headers=bearer("t")).status == 200
    answer = site.request("POST", "/api/things", body=b"", headers=bearer("t"))
    assert answer.json()["message"] == "User is not authorized to write on resource: things."


@with_reference
def test_hash_of_jupyter_server_password_verifies() -> None:
    from jupyter_server.auth.security import passwd as theirs
    from jupyter_server.auth.security import passwd_check as their_check

    from jupyterd.auth.passwords import passwd_check

    for algorithm in ("argon2", "sha1", "sha256"):
        assert passwd_check(theirs("sesame", algorithm), "sesame")
        assert their_check(passwd("sesame", algorithm), "sesame")


@with_reference
def test_signed_values_are_those_of_tornado() -> None:
    from tornado.web import create_signed_value, decode_signed_value

    from jupyterd.auth.http.signed_values import sign, unsign

    secret = b"0123456789abcdef"
    for value in ("", "ada", '{"name": "Ada"}', "é" * 50):
        theirs = create_signed_value(secret, "name", value).decode()
        assert unsign(secret, "name", theirs, 1_900_000_000.0, 10_000) == value
        import time

        assert decode_signed_value(secret, "name", sign(secret, "name", value, time.time())) == value.encode()


def test_public_names() -> None:
    import jupyterd.auth as auth

    for name in auth.__all__:
        assert getattr(auth, name) is not None
    with pytest.raises(AttributeError):
        getattr(auth, "nothing")  # noqa: B009


# -- attributes of the cookie, as operators spell them


@pytest.mark.parametrize(
    ("options", "there", "not_there"),
    [
        ({"SameSite": "None", "Secure": True}, ["SameSite=None", "Secure", "HttpOnly"], []),
        ({"HttpOnly": False, "Path": "/y"}, ["Path=/y"], ["HttpOnly", "Path=/"]),
        ({"max-age": 60, "expires_days": None}, ["Max-Age=60"], ["expires"]),
        ({"samesite": "Lax", "partitioned": True}, ["SameSite=Lax", "Partitioned"], []),
    ],
)
def test_cookie_options_in_any_spelling(options: dict[str, Any], there: list[str], not_there: list[str]) -> None:
    site, _ = guarded_site(provider=PasswordIdentityProvider(token="t", cookie_options=options))
    answer = site.request("GET", "/login?token=t")
    line = next(line for line in answer.headers["set-cookie"] if line.startswith("username-"))
    parts = line.split("; ")[1:]
    assert set(there) <= set(parts)
    assert not set(not_there) & {part.partition("=")[0] if part.startswith("expires") else part for part in parts}
    assert answer.status == 302


def test_cookie_options_of_the_xsrf_cookie_in_any_spelling() -> None:
    site, _ = guarded_site(xsrf_cookie_options={"SameSite": "None", "Secure": True, "Expires_Days": 1})
    line = next(line for line in site.request("GET", "/login").headers["set-cookie"] if line.startswith("_xsrf="))
    assert {"SameSite=None", "Secure"} <= set(line.split("; "))
    assert "expires=" in line


def test_an_attribute_that_is_none_is_told_at_the_start() -> None:
    with pytest.raises(TraitError, match="foo is no attribute of a cookie"):
        PasswordIdentityProvider(cookie_options={"foo": 1})
