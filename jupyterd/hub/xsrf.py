"""Forged requests where users' servers share a host: each login has one XSRF token, and reading needs it too.

A page of another user's server has the same origin as ours, so that neither Origin nor SameSite tells them apart, and
it can set cookies for our path. The token therefore is not a value that cookie and header only have to share: it is
made of this server's secret and the browser's login, and the cookie is nothing but the way in which our pages learn it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from typing import TYPE_CHECKING, Any

from jupyterd.auth.cross_site_checks import SAFE_METHODS, CrossSiteChecks
from jupyterd.auth.handler import Handler, send_cookie
from jupyterd.auth.http import cookies
from jupyterd.auth.http import xsrf_tokens as xsrf
from jupyterd.hub.identity import fetch_mode
from jupyterd.web.refusal import Refusal

if TYPE_CHECKING:
    from jupyterd.auth.guard import Guard
    from jupyterd.hub.identity import JupyterHubIdentityProvider
    from jupyterd.web.root import Mount
    from jupyterd.web.server.request import Request

XSRF_COOKIE_DAYS = 30


class HubCrossSiteChecks(CrossSiteChecks):
    """The checks of a server below a Hub.

    :param guard: whose settings count.
    :param provider: knows a browser's login.
    """

    def __init__(self, guard: Guard, provider: JupyterHubIdentityProvider) -> None:
        super().__init__(guard)
        self._provider = provider

    def judge(self, request: Request, mount: Mount, by_token: bool) -> Refusal | None:
        """What any server asks for; and, where a script of a page reads by our cookie, the token."""
        refusal = super().judge(request, mount, by_token)
        if refusal is not None or by_token or request.user is None or self._guard.disable_check_xsrf:
            return refusal
        if request.method not in SAFE_METHODS or mount.public or not self._reads_by_script(request):
            return None
        handler: Handler = request.handler
        complaint = self.complaint(handler, self._xsrf_given(request), handler.request.method)
        if complaint is None:
            return None
        self.log.warn("{why} ({path})", why=complaint, path=handler.request.path)
        return Refusal(403, complaint, check="xsrf")

    def _reads_by_script(self, request: Request) -> bool:
        """Whether the answer could get into the hands of a page that is not ours.

        Not where a person looks at it, where it is a websocket, or where a page of ours embeds it.
        """
        mode = fetch_mode(request.handler)
        if mode in ("", "navigate", "websocket"):
            return False
        site = request.getHeader("sec-fetch-site")
        return not (mode == "no-cors" and site == "same-origin" and self._embedded_here(request))

    def _embedded_here(self, request: Request) -> bool:
        """Whether a page below our own path embeds it; its Referer says so, and a page can only hide that."""
        origin, slashes, rest = (request.getHeader("referer") or "").partition("://")
        path = rest.partition("/")[2]
        return bool(slashes) and origin in ("http", "https") and f"/{path}".startswith(self._guard.base_url)

    def complaint(self, handler: Handler, given: str | None, method: str) -> str | None:
        """What is wrong with the token that a request shows; None when it is right."""
        if not given:
            return xsrf.MISSING.format(method=method)
        expected = self._expected(handler)
        if not expected or not hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode()):
            return xsrf.MISMATCH.format(method=method)
        return None

    def token(self, request: Request) -> str:
        """The token of the browser's login; its cookie is set where it holds another."""
        handler: Handler = request.handler
        expected = self._expected(handler)
        if expected and handler.xsrf_shown is None and handler.cookies.get(xsrf.COOKIE) != expected:
            options: dict[str, Any] = {
                "path": self._guard.base_url,
                **cookies.attributes(self._guard.xsrf_cookie_options),
            }
            days = options.pop("expires_days", XSRF_COOKIE_DAYS)
            if days is not None:
                options.setdefault("expires", time.time() + days * cookies.DAY)
            send_cookie(request, cookies.set_cookie(xsrf.COOKIE, expected, **options))
        handler.xsrf_shown = expected
        return expected

    def ensure_cookie(self, request: Request) -> None:
        """Give a page that is looked at the cookie that its own requests will need."""
        if request.method == b"GET" and fetch_mode(request.handler) in ("", "navigate"):
            self.token(request)

    def _expected(self, handler: Handler) -> str:
        """The token; empty for who has no login, and so nothing that could be forged."""
        login = self._provider.cookie_token(handler)
        if not login:
            return ""
        secret = self._guard.cookie_key.key(self._guard.provider)
        session = self._provider.session_id(handler)
        digest = hmac.digest(secret, f"xsrf\0{session}\0{login}".encode("utf-8", "replace"), hashlib.sha256)
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")
