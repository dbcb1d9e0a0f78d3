"""What the authorizer is asked, and that its answer holds."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pytest_twisted import ensureDeferred

from jupyterd.auth.authorizer import Authorizer
from jupyterd.auth.user import User
from tests.auth.guarded_requests import UPGRADE, ask, received, upgrade
from tests.auth.serving import bearer, guarded_site


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


@ensureDeferred  # type: ignore[untyped-decorator]
async def test_asynchronous_authorizer() -> None:
    site, _ = guarded_site(authorizer=Slow())
    assert b" 200 " in await received(ask(site, "GET", "/api/things", **bearer()))
    assert b" 403 " in await received(ask(site, "PUT", "/api/things", **bearer()))
