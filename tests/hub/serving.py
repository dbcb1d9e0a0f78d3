"""A server below a Hub, both in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from twisted.internet.testing import MemoryReactorClock

from jupyterd.app.auth import make_guard, mount
from jupyterd.app.hub import HubSide
from jupyterd.settings.load import load
from jupyterd.testing.http import Answer, MemorySite
from jupyterd.web.api import Routes, json_api
from jupyterd.web.call import Call
from jupyterd.web.root import Root
from tests.auth.serving import Echo
from tests.hub.fake_hub import SECRET, FakeHub, model

BASE = "/user/ada/"
ENVIRONMENT = {
    "JUPYTERHUB_API_TOKEN": SECRET,
    "JUPYTERHUB_API_URL": "http://127.0.0.1:8081/hub/api",
    "JUPYTERHUB_ACTIVITY_URL": "http://127.0.0.1:8081/hub/api/users/ada/activity",
    "JUPYTERHUB_BASE_URL": "/",
    "JUPYTERHUB_CLIENT_ID": "jupyterhub-user-ada",
    "JUPYTERHUB_HOST": "",
    "JUPYTERHUB_OAUTH_CALLBACK_URL": "/user/ada/oauth_callback",
    "JUPYTERHUB_OAUTH_ACCESS_SCOPES": json.dumps(["access:servers!server=ada/", "access:servers!user=ada"]),
    "JUPYTERHUB_SERVER_NAME": "",
    "JUPYTERHUB_SERVICE_PREFIX": BASE,
    "JUPYTERHUB_SERVICE_URL": "http://127.0.0.1:41234/user/ada/",
    "JUPYTERHUB_USER": "ada",
}
NAVIGATE = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "none"}
SCRIPT = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}


@dataclass
class Browser:
    """Keeps the cookies of one server."""

    site: MemorySite
    cookies: dict[str, str] = field(default_factory=dict)
    set_cookies: list[str] = field(default_factory=list)

    def get(self, path: str, headers: Mapping[str, str] = NAVIGATE, method: str = "GET") -> Answer:
        line = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = {"User-Agent": "B", **headers, **({"Cookie": line} if line else {})}
        answer = self.site.request(method, path, headers=sent)
        self.set_cookies = answer.headers.get("set-cookie", [])
        for cookie in self.set_cookies:
            name, _, value = cookie.partition(";")[0].partition("=")
            if value in ("", '""'):
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return answer


@dataclass
class Below:
    """A server below a Hub."""

    site: MemorySite
    hub: FakeHub
    side: HubSide
    reactor: MemoryReactorClock

    def browser(self) -> Browser:
        return Browser(self.site)

    def asked(self, method: str, path: str) -> int:
        return self.hub.asked.count((method, path))

    def begin(self, browser: Browser, path: str = f"{BASE}page") -> dict[str, str]:
        """Go to a page; what the Hub is asked by the redirect."""
        answer = browser.get(path)
        assert answer.status == 302, answer
        location = urlsplit(answer.header("location") or "")
        assert location.path == "/hub/api/oauth2/authorize"
        return {name: values[-1] for name, values in parse_qs(location.query).items()}

    def log_in(self, browser: Browser, path: str = f"{BASE}page", name: str = "ada", **scopes: Any) -> Answer:
        """Go there, and back with a code."""
        number = f"{name}{len(self.hub.codes)}{len(self.hub.tokens)}"
        token, code = f"token-{number}", f"code-{number}"
        self.hub.tokens[token] = model(name, *scopes.get("scopes", [f"access:servers!user={name}"]))
        self.hub.codes[code] = token
        asked = self.begin(browser, path)
        browser.cookies.setdefault("jupyterhub-session-id", f"session-{name}")
        return browser.get(f"{BASE}oauth_callback?code={code}&state={asked['state']}")


class Told:
    """What a front end's page would be told."""

    app = Routes()
    api = json_api(app)

    @api("GET", "/told")
    async def told(self, call: Call) -> Any:
        return call.request.handler.identity_provider.page_config(call.request.handler)


class Making:
    """Makes such servers; options are those of the command line, variables those of the environment."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def __call__(self, *options: str, **environment: str) -> Below:
        for name, value in {**ENVIRONMENT, **environment}.items():
            self._monkeypatch.setenv(name, value)
        settings = load(["--allow-root", *options])
        reactor, hub = MemoryReactorClock(), FakeHub()
        side = HubSide(reactor, settings.server, hub.http)
        guard = side.post(make_guard(settings.server, settings.make, reactor))
        root = Root(settings.server.base_url)
        echo = Echo().app.resource()
        root.mount("/api/things", lambda: echo, auth="things")
        root.mount("/api/things/channels", lambda: echo, auth="things", websocket=True)
        root.mount("/api", lambda: echo, auth="", public=True, exact=True)
        root.mount("/page", lambda: echo, auth="pages", page=True)
        root.mount("/told", lambda: Told().app.resource(), auth="pages", page=True)
        root.mount("/files", lambda: echo, auth="files", page=True, untrusted=True)
        mount(root, lambda: guard)
        side.mount(root, lambda: guard)
        return Below(MemorySite(root, guard, reactor), hub, side, reactor)
