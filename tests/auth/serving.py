"""A guarded server without sockets."""

from __future__ import annotations

from typing import Any

from twisted.internet.testing import MemoryReactorClock

from jupyterd.app.auth import mount, mount_login
from jupyterd.auth.authorizer import AllowAllAuthorizer
from jupyterd.auth.cookie_secret import CookieKey
from jupyterd.auth.guard import Guard
from jupyterd.auth.http.origin_rules import OriginRules
from jupyterd.auth.http.response_headers import ResponseHeaders
from jupyterd.auth.password_identity import PasswordIdentityProvider
from jupyterd.testing.deferreds import at_once
from jupyterd.testing.http import Answer, MemorySite
from jupyterd.web.api import Routes, json_api
from jupyterd.web.call import Call, Reply
from jupyterd.web.pages import Pages
from jupyterd.web.root import Root
from jupyterd.web.websocket.protocol import SocketProtocol

TOKEN = "a-token-of-more-than-thirty-two-characters"
HOST = "127.0.0.1:8888"
COOKIE_NAME = "username-127-0-0-1-8888"


class Echo:
    """A resource of each kind, to knock at."""

    app = Routes()
    api = json_api(app)

    @api(("GET", "HEAD", "POST", "PUT", "DELETE"), "/api/things")
    async def things(self, call: Call) -> dict[str, Any]:
        return {"user": None if call.user is None else call.user.username, "bytes": len(call.body())}

    @api(("GET", "HEAD", "POST", "PUT", "DELETE"), "/api/things/run")
    async def run(self, call: Call) -> dict[str, Any]:
        return {}

    @api("GET", "/api")
    async def version(self, call: Call) -> dict[str, Any]:
        return {"version": "0"}

    @api("GET", "/page")
    async def page(self, call: Call) -> Reply:
        return Reply(b"<p>hello</p>", "text/html")

    @api("GET", "/files/<path:path>")
    async def file(self, call: Call, path: str) -> Reply:
        return Reply(b"file", "text/plain")

    @api.websocket("/api/things/channels")
    async def channels(self, call: Call) -> SocketProtocol:
        return SocketProtocol()

    @api("GET", "/api/broken")
    async def broken(self, call: Call) -> None:
        raise RuntimeError("a defect")


def guarded_site(
    provider: Any = None,
    authorizer: Any = None,
    origin_rules: OriginRules | None = None,
    base_url: str = "/",
    headers: dict[str, str] | None = None,
    **options: Any,
) -> tuple[MemorySite, Guard]:
    """A server with one mount of each kind behind the real guard."""
    reactor = MemoryReactorClock()
    provider = PasswordIdentityProvider(token=TOKEN) if provider is None else provider
    guard = Guard(
        provider,
        authorizer or AllowAllAuthorizer(identity_provider=provider),
        origin_rules or OriginRules(),
        CookieKey(configured=b"a secret of more than sixteen bytes"),
        reactor,
        ResponseHeaders(base_url, headers),
        base_url,
        **options,
    )
    pages = Pages(base_url)
    root = Root(base_url)
    mount(root, lambda: guard)
    mount_login(root, lambda: guard, lambda: pages, at_once)
    echo_resource = Echo().app.resource
    root.mount("/api/things", echo_resource, auth="things")
    root.mount("/api/broken", echo_resource, auth="things")
    root.mount("/api/things/channels", echo_resource, auth="things", websocket=True)
    root.mount("/api/things/run", echo_resource, auth="things", action="execute")
    root.mount("/api", echo_resource, auth="api", public=True, exact=True)
    root.mount("/page", echo_resource, auth="page", page=True)
    root.mount("/files", echo_resource, auth="contents", page=True, untrusted=True)
    site = MemorySite(root, guard, reactor)
    site.site.error_page = pages.error
    return site, guard


def jar(answer: Answer) -> dict[str, str]:
    """The cookies that an answer sets."""
    pairs = (line.partition(";")[0].partition("=") for line in answer.headers.get("set-cookie", []))
    return {name: value for name, _, value in pairs}


def sent(cookies: dict[str, str]) -> str:
    """The Cookie header of a browser with these cookies."""
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


def logged_in(site: MemorySite, base_url: str = "/") -> dict[str, str]:
    """The cookies of a browser that followed the link with the token."""
    return jar(site.request("GET", f"{base_url}page?token={TOKEN}"))


def bearer(token: str = TOKEN) -> dict[str, str]:
    """The header of a program."""
    return {"Authorization": f"token {token}"}
