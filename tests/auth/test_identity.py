"""Identity providers of operators: custom, asynchronous, failing."""

from __future__ import annotations

import asyncio
from typing import Any

from pytest_twisted import ensureDeferred
from traitlets import Unicode

from jupyterd.auth.identity import IdentityProvider
from jupyterd.auth.password_identity import PasswordIdentityProvider
from jupyterd.auth.user import User
from tests.auth.guarded_requests import ask, received
from tests.auth.serving import TOKEN, bearer, guarded_site


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
