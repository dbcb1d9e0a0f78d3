"""Cross-site requests: XSRF tokens, the Origin of API calls and websockets, the Referer of files."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from twisted.logger import Logger

from jupyterd.auth.handler import Handler, send_cookie
from jupyterd.auth.http import cookies, forms
from jupyterd.auth.http import xsrf_tokens as xsrf
from jupyterd.web.refusal import Refusal
from jupyterd.web.root import Mount
from jupyterd.web.server.request import Request

if TYPE_CHECKING:
    from jupyterd.auth.guard_interface import ServerFacts

SAFE_METHODS = (b"GET", b"HEAD", b"OPTIONS")
XSRF_COOKIE_DAYS = 30


class CrossSiteChecks:
    """Checks against cross-site requests, of one server. Each names, in its answer, what it misses.

    :param guard: whose settings count, as they are at each request.
    """

    log = Logger()

    def __init__(self, guard: ServerFacts) -> None:
        self._guard = guard

    def judge(self, request: Request, mount: Mount, by_token: bool) -> Refusal | None:
        """Whether a foreign page may have made a request, by what is in its head: None, or what to answer."""
        handler: Handler = request.handler
        reading = request.method in SAFE_METHODS
        if by_token or self._guard.disable_check_xsrf or mount.reports or (reading and not mount.untrusted):
            return None
        if reading and request.user is None:
            return None  # not let in anyway; the login page comes first
        if mount.own_xsrf and self._origin_allowed(request):
            return None
        if not self._origin_allowed(request):
            complaint = f"Blocking Cross Origin request from {_shown(request.getHeader('origin'))}."
            status = 404
        else:
            given = self._xsrf_given(request)
            if given is None and not reading and _may_come(request, mount):
                request.xsrf_pending = True  # the token is in the body: Request asks again, before the resource
                return None
            complaint = self.complaint(handler, given, handler.request.method) or ""
            status = 403
        if not complaint or (reading and self._referer_allowed(request)):
            return None
        if reading:
            status = 403
            referer = request.getHeader("referer")
            complaint = (
                f"Blocking Cross Origin request from {_shown(referer)}."
                if referer
                else "Blocking request from unknown origin"
            )
        self.log.warn(
            "{why} ({method} {path})", why=complaint, method=handler.request.method, path=handler.request.path
        )
        return Refusal(status, complaint, check="origin" if reading else "xsrf")

    def check_form(self, request: Request) -> Refusal | None:
        """The XSRF check of a request that carries its token in the body, which has come now."""
        body = request.content.getvalue() if request.content is not None else b""
        handler: Handler = request.handler
        handler.form = fields = forms.fields_of(body, request.getHeader("content-type") or "")
        complaint = self.complaint(handler, (fields.get("_xsrf") or [""])[-1], handler.request.method)
        if complaint is None:
            return None
        self.log.warn("{why} ({path})", why=complaint, path=handler.request.path)
        return Refusal(403, complaint, check="xsrf")

    def complaint(self, handler: Handler, given: str | None, method: str) -> str | None:
        """What is wrong with the token that a request shows, in words for its sender; None when it is right."""
        return xsrf.complaint(handler.cookies.get(xsrf.COOKIE), given, method)

    def _xsrf_given(self, request: Request) -> str | None:
        values = request.args.get(b"_xsrf")
        if values and values[-1]:
            return str(values[-1].decode("latin-1"))
        header: str | None = request.getHeader("x-xsrftoken") or request.getHeader("x-csrftoken")
        return header

    def _origin_allowed(self, request: Request) -> bool:
        if not self._guard.provider.should_check_origin(request.handler):
            return True
        origin = request.getHeader("origin")
        if origin is None:
            origin = request.getHeader("sec-websocket-origin")
        return self._guard.origin_rules.origin_allowed(origin, request.host_header)

    def _referer_allowed(self, request: Request) -> bool:
        if not self._guard.provider.should_check_origin(request.handler):
            return True
        return self._guard.origin_rules.referer_allowed(request.getHeader("referer"), request.host_header)

    def foreign(self, request: Request, mount: Mount) -> Refusal | None:
        """What to answer a page of another origin that asks the API or opens a websocket; None for all others."""
        if self._origin_allowed(request):
            return None
        kind = "WebSocket" if mount.websocket else "API request"
        origin, host = _shown(request.getHeader("origin")), _shown(request.host_header)
        complaint = f"Blocking Cross Origin {kind}. Origin: {origin}, Host: {host}"
        self.log.warn("{why} ({path})", why=complaint, path=request.path.decode("latin-1"))
        return Refusal(403 if mount.websocket else 404, complaint, check="origin")

    def token(self, request: Request) -> str:
        """The XSRF token for this request's pages; its cookie is set where there is none."""
        handler: Handler = request.handler
        if handler.xsrf_shown is None:
            token = xsrf.read(handler.cookies.get(xsrf.COOKIE) or "")
            shown = handler.xsrf_shown = xsrf.show(token or xsrf.new(), time.time())
            if token is None:
                options = {"path": self._guard.base_url, **cookies.attributes(self._guard.xsrf_cookie_options)}
                days = options.pop("expires_days", XSRF_COOKIE_DAYS if request.user is not None else None)
                if days is not None:
                    options["expires"] = time.time() + days * cookies.DAY
                send_cookie(request, cookies.set_cookie(xsrf.COOKIE, shown, **options))
        return handler.xsrf_shown

    def ensure_cookie(self, request: Request) -> None:
        """Give a page that is looked at the cookie that its own requests will need."""
        if request.method == b"GET" and not request.handler.cookies.get(xsrf.COOKIE):
            self.token(request)


def _may_come(request: Request, mount: Mount) -> bool:
    """Whether a token may be in the body: a form, from somebody known or for the login, that is held in memory."""
    if (mount.body is not None and not mount.form) or not (mount.form or request.user is not None):
        return False
    return forms.is_form(request.getHeader("content-type") or "")


def _shown(header: str | None) -> str:
    """What a client sent, fit for a message."""
    return (header or "").partition("?")[0][:256]
