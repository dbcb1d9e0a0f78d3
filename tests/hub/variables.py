"""The ``JUPYTERHUB_*`` variables that a Hub hands its servers, and what each changes.

A change is the value of a variable, and how what it changes is looked at: two values, without it and with it. Real
Hubs are asked in tests/real/hub whether they hand over any other.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from jupyterd.hub.environment import settings_of
from jupyterd.hub.settings import HubOAuth
from jupyterd.settings.load import load
from jupyterd.settings.server_app import ServerApp
from tests.hub.fake_hub import model
from tests.hub.serving import BASE, ENVIRONMENT, NAVIGATE, Below, Making

Seen = Callable[[Making], Any]
SCOPES = json.dumps(["access:servers!user=eve"])
SOCKET = {
    "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-Fetch-Mode": "websocket",
}  # fmt: skip


def of_server(look: Callable[[ServerApp], Any]) -> Seen:
    """Look at the settings."""
    return lambda making: look(load(["--allow-root"]).server)


def of_side(look: Callable[[Below], Any]) -> Seen:
    """Look at a server that serves."""
    return lambda making: look(making())


def _login(server: Below) -> dict[str, str]:
    """What the Hub is asked when a browser logs in."""
    location = urlsplit(server.browser().get(f"{BASE}page").header("location") or "")
    asked = {name: values[-1] for name, values in parse_qs(location.query).items()}
    return {"at": f"{location.scheme}:{location.netloc}{location.path}", **asked}


def cookie(server: Below) -> str:
    """The login cookie as it is set, without its value."""
    browser = server.browser()
    server.log_in(browser)
    name, _, rest = browser.set_cookies[-1].partition("=")
    return ";".join([name, *(each for each in rest.split(";")[1:] if "expires" not in each)])


def _enters(server: Below, name: str = "eve") -> int:
    server.hub.tokens["t"] = model(name, f"access:servers!user={name}")
    return server.site.request("GET", f"{BASE}api/things", headers={"Authorization": "token t"}).status


def _by_url(server: Below) -> int:
    server.hub.tokens["t"] = model("ada", "access:servers")
    return server.site.request("GET", f"{BASE}page?token=t", headers=NAVIGATE).status


def websocket(server: Below) -> int:
    browser = server.browser()
    server.log_in(browser)
    return browser.get(f"{BASE}api/things/channels", SOCKET).status


def _asked(server: Below) -> list[str]:
    """Where the Hub is asked of a token."""
    _enters(server)
    return [path for _, path in server.hub.asked]


def _place(name: str) -> Seen:
    return of_side(lambda server: getattr(server.side.provider.singleuser, name))


def _told(name: str) -> Seen:
    return of_side(lambda server: server.side.page_variables[name])


def _tls(name: str) -> tuple[Callable[[Path], str], Seen, Any, Any]:
    def both(making: Making) -> Any:
        return settings_of(os.environ)["ServerApp"][name], getattr(HubOAuth(), name)

    return _fixed("/certs/file"), both, ("", ""), ("/certs/file", "/certs/file")


def _fixed(value: str) -> Callable[[Path], str]:
    return lambda home: value


def _directory(home: Path) -> str:
    return str(home)


ACTING: dict[str, tuple[Callable[[Path], str], Seen, Any, Any]] = {
    "JUPYTERHUB_API_TOKEN": (
        _fixed("t2"),
        of_side(lambda s: s.side.provider.token),
        ENVIRONMENT["JUPYTERHUB_API_TOKEN"],
        "t2",
    ),
    "JUPYTERHUB_API_URL": (_fixed("http://h/x/hub/api"), of_side(_asked), ["/hub/api/user"], ["/x/hub/api/user"]),
    "JUPYTERHUB_CLIENT_ID": (_fixed("c2"), of_side(lambda s: _login(s)["client_id"]), "jupyterhub-user-ada", "c2"),
    "JUPYTERHUB_HOST": (
        _fixed("https://h"),
        of_side(lambda s: _login(s)["at"]),
        ":/hub/api/oauth2/authorize",
        "https:h/hub/api/oauth2/authorize",
    ),
    "JUPYTERHUB_BASE_URL": (_fixed("/j/"), _told("hub_control_panel_url"), "/hub/home", "/j/hub/home"),
    "JUPYTERHUB_SERVICE_URL": (
        _fixed("http://10.0.0.1:5/user/ada/"),
        of_server(lambda s: (s.ip, s.port)),
        ("127.0.0.1", 41234),
        ("10.0.0.1", 5),
    ),
    "JUPYTERHUB_SERVICE_PREFIX": (_fixed("/user/a/b/"), of_server(lambda s: s.base_url), BASE, "/user/a/b/"),
    "JUPYTERHUB_OAUTH_CALLBACK_URL": (
        _fixed("/user/ada/oauth_callback?x"),
        of_side(lambda s: _login(s)["redirect_uri"]),
        "/user/ada/oauth_callback",
        "/user/ada/oauth_callback?x",
    ),
    "JUPYTERHUB_OAUTH_ACCESS_SCOPES": (_fixed(SCOPES), of_side(_enters), 403, 200),
    "JUPYTERHUB_OAUTH_SCOPES": (_fixed(SCOPES), of_side(_enters), 403, 200),
    "JUPYTERHUB_USER": (_fixed("a b"), _told("hub_server_user"), "ada", "a b"),
    "JUPYTERHUB_SERVER_NAME": (_fixed("two"), _told("hub_server_name"), "", "two"),
    "JUPYTERHUB_ACTIVITY_URL": (
        _fixed("http://h/a"),
        _place("hub_activity_url"),
        ENVIRONMENT["JUPYTERHUB_ACTIVITY_URL"],
        "http://h/a",
    ),
    "JUPYTERHUB_ACTIVITY_INTERVAL": (_fixed("7"), _place("hub_activity_interval"), 300, 7),
    "JUPYTERHUB_ROOT_DIR": (_directory, of_server(lambda s: Path(s.root_dir).name), None, "home"),
    "JUPYTERHUB_NOTEBOOK_DIR": (_directory, of_server(lambda s: Path(s.root_dir).name), None, "home"),
    "JUPYTERHUB_DEFAULT_URL": (_fixed("/tree"), of_server(lambda s: s.default_url), "/", "/tree"),
    "JUPYTERHUB_DISABLE_USER_CONFIG": (_fixed("1"), _place("disable_user_config"), False, True),
    "JUPYTERHUB_PUBLIC_URL": (_fixed("https://h/user/ada/"), of_side(lambda s: "Secure" in cookie(s)), False, True),
    "JUPYTERHUB_SSL_KEYFILE": _tls("keyfile"),
    "JUPYTERHUB_SSL_CERTFILE": _tls("certfile"),
    "JUPYTERHUB_SSL_CLIENT_CA": _tls("client_ca"),
    "JUPYTERHUB_DEBUG": (_fixed("1"), of_server(lambda s: s.log_level), logging.INFO, logging.DEBUG),
    "JUPYTERHUB_COOKIE_OPTIONS": (
        _fixed('{"samesite": "Strict"}'),
        of_side(lambda s: "SameSite=Strict" in cookie(s)),
        False,
        True,
    ),
    "JUPYTERHUB_COOKIE_HOST_PREFIX_ENABLED": (
        _fixed("1"),
        of_side(lambda s: cookie(s).partition(";")[0]),
        "jupyterhub-user-ada",
        "__Host-jupyterhub-user-ada",
    ),
    "JUPYTERHUB_ALLOW_TOKEN_IN_URL": (_fixed("1"), of_side(_by_url), 302, 200),
    "JUPYTERHUB_ALLOW_WEBSOCKET_COOKIE_AUTH": (_fixed("0"), of_side(websocket), 101, 403),
}
"""By name: the value, given a directory; how to look; what is seen without it (None: whatever), and with it."""

ACCEPTED = {
    "JUPYTERHUB_ADMIN_ACCESS": "1",
    "JUPYTERHUB_OAUTH_CLIENT_ALLOWED_SCOPES": '["access:servers"]',
    "JUPYTERHUB_PUBLIC_HUB_URL": "https://h/hub/",
    "JUPYTERHUB_SINGLEUSER_APP": "notebook.notebookapp.NotebookApp",
    "JUPYTERHUB_GROUP": "g",
}
"""What changes nothing here, with a value: programs that users run inherit them, as they do all others."""
