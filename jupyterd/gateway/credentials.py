"""Credentials: what each request to the gateway shows, token, basic authentication, the operator's headers, cookies."""

from __future__ import annotations

from base64 import b64encode
from http.cookiejar import CookieJar
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit
from urllib.request import Request

from twisted.logger import Logger

from jupyterd.gateway.settings import GatewayClient
from jupyterd.gateway.token_renewal import NoOpTokenRenewer
from jupyterd.system.threads import InThread


class Renewer(Protocol):
    """Gives the token; see :mod:`jupyterd.gateway.token_renewal`."""

    def get_token(self, auth_header_key: str, auth_scheme: str | None, auth_token: str) -> str:
        """The token to use from now on; may block."""


class Credentials:
    """The headers of requests and websockets.

    :ivar jar: the gateway's cookies; None where none are kept.
    """

    log = Logger()

    def __init__(self, settings: GatewayClient, renewer: Renewer, in_thread: InThread) -> None:
        self._settings = settings
        self._renewer = renewer
        self._in_thread = in_thread
        self._token = str(settings.auth_token or "")
        self.jar: CookieJar | None = CookieJar() if settings.accept_cookies else None

    async def headers(self) -> dict[str, str]:
        """All but cookies."""
        settings = self._settings
        found = {name: _one_line(value) for name, value in settings.extra_headers.items()}
        token = await self._current_token()
        if token:
            _put(found, settings.auth_header_key, f"{settings.auth_scheme or ''} {token}".strip())
        user, password = self._user()
        if user:
            pair = b64encode(f"{user}:{password}".encode()).decode("ascii")
            _put(found, "Authorization", f"Basic {pair}")
        return found

    def cookies(self, url: str) -> dict[str, str]:
        """The header of the cookies for a websocket's URL."""
        if self.jar is None:
            return {}
        asking = Request("http" + url[len("ws") :])  # noqa: S310 - it is asked which cookies belong to it, no more
        self.jar.add_cookie_header(asking)
        cookie = asking.get_header("Cookie")
        return {} if cookie is None else {"Cookie": cookie}

    async def _current_token(self) -> str:
        if isinstance(self._renewer, NoOpTokenRenewer):
            return _one_line(self._token)
        settings = self._settings
        try:
            renewed = await self._in_thread(
                self._renewer.get_token, settings.auth_header_key, settings.auth_scheme, self._token
            )
        except Exception:  # noqa: BLE001 - an operator's class; the token that was good may still be
            self.log.failure("the token for the gateway can not be renewed, the last one is used")
        else:
            self._token = str(renewed or "")
        return _one_line(self._token)

    def _user(self) -> tuple[str, str]:
        settings = self._settings
        if settings.http_user:
            return settings.http_user, settings.http_pwd or ""
        parts = urlsplit(str(settings.url))
        return unquote(parts.username or ""), unquote(parts.password or "")


def _put(headers: dict[str, str], name: str, value: str) -> None:
    for other in [other for other in headers if other.lower() == name.lower()]:
        del headers[other]
    headers[name] = _one_line(value)


def _one_line(value: Any) -> str:
    """A header's value: a token from a file ends with a newline, which must not begin another header."""
    return " ".join(str(value).split())
