"""Login and logout pages."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from markupsafe import Markup
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from jupyterd.auth.guard import Guard
from jupyterd.auth.guessing_delay import MAX_DELAY
from jupyterd.auth.handler import Handler
from jupyterd.auth.http.forms import fields_of
from jupyterd.auth.http.next_url import safe_next
from jupyterd.errors import Forbidden
from jupyterd.system.asyncio_bridge import from_asyncio
from jupyterd.system.threads import InThread
from jupyterd.web.api import Routes, json_api
from jupyterd.web.call import Call, Reply
from jupyterd.web.pages import Pages

HTML = "text/html; charset=UTF-8"
INVALID = "Invalid credentials"
TOO_MANY = "Too many wrong passwords or tokens. Wait a little and try again."


class LoginPages:
    """``/login`` and ``/logout``.

    :param guard: signs cookies, checks forms, slows guessing.
    :param in_thread: where passwords are hashed, which takes its time.
    """

    app = Routes()
    api = json_api(app)
    log = Logger()

    def __init__(self, guard: Guard, pages: Pages, in_thread: InThread) -> None:
        self._guard = guard
        self._pages = pages
        self._in_thread = in_thread

    @api(("GET", "HEAD"), "/login")
    async def show(self, call: Call) -> Reply:
        """The form; who is logged in already is sent on."""
        return self._send_on(call) if call.user is not None else self._form(call)

    @api("POST", "/login")
    async def log_in(self, call: Call) -> Reply:
        """Check the secret in the form: the password, or the token with perhaps a new password."""
        handler: Handler = call.request.handler
        if handler.form is None:
            handler.form = fields_of(call.body(), call.header("content-type") or "")
        address = self._guard.remote_ip(call.request)
        delay = self._guard.delay
        seconds = delay.wait(address)
        if seconds > MAX_DELAY or not delay.take_place():
            return self._form(call, 429, {"error": TOO_MANY}, {"Retry-After": str(int(seconds) + 1)})
        # Counted before it is known to be wrong: attempts sent side by side must not all be the first.
        delay.failed(address, handler.get_argument("password", "", strip=False))
        try:
            if seconds:
                await deferLater(self._guard.clock, seconds)
            user = await self._check(handler)
        finally:
            delay.leave_place()
        if user is None:
            self.log.warn("a login from {address} failed", address=address)
            return self._form(call, 401, {"error": INVALID})
        delay.succeeded(address)
        self.log.info("user {username} logged in from {address}", username=user.username, address=address)
        handler.current_user = call.request.user = user
        self._guard.provider.set_login_cookie(handler, user)
        return self._send_on(call)

    def _check(self, handler: Handler) -> Deferred[Any]:
        def settled(found: Any) -> Any:
            return from_asyncio(found) if isinstance(found, Awaitable) else found

        return self._in_thread(self._guard.provider.process_login_form, handler).addCallback(settled)

    @api(("GET", "HEAD"), "/logout")
    async def log_out(self, call: Call) -> Reply:
        """Forget the login of the browser that asks."""
        self._guard.provider.clear_login_cookie(call.request.handler)
        return self._logged_out(call, "Successfully logged out.")

    @api("POST", "/logout")
    async def log_out_everywhere(self, call: Call) -> Reply:
        """Make every login cookie void, on all of this user's machines.

        :raises Forbidden: nobody is logged in.
        """
        if call.user is None:
            raise Forbidden
        await self._in_thread(self._guard.cookie_key.rotate)
        self.log.info("user {username} logged out everywhere", username=call.user.username)
        self._guard.provider.clear_login_cookie(call.request.handler)
        return self._logged_out(call, "Logged out in all browsers.")

    def _logged_out(self, call: Call, text: str) -> Reply:
        if self._guard.provider.login_available:
            message = {"info": text}
        else:
            message = {"warning": "Cannot log out. Jupyter Server authentication is disabled."}
        return self._page(call, "logout.html", 200, message=message, logged_in=False)

    def _form(
        self,
        call: Call,
        status: int = 200,
        message: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        return self._page(
            call, "login.html", status, headers, message=message, next=quote_plus(self._next(call)), logged_in=False
        )

    def _page(
        self, call: Call, template: str, status: int, headers: Mapping[str, str] | None = None, **values: Any
    ) -> Reply:
        guard, request = self._guard, call.request
        provider = guard.provider
        xsrf_token = guard.cross_site.token(request)
        body = self._pages.render(
            template,
            login_available=provider.login_available,
            auth_enabled=provider.auth_enabled,
            token_available=bool(provider.token),
            allow_password_change=getattr(provider, "allow_password_change", False),
            static_url=lambda path: f"{guard.base_url}static/{quote(path)}",
            xsrf_token=xsrf_token,
            xsrf_form_html=lambda: Markup('<input type="hidden" name="_xsrf" value="{}">').format(xsrf_token),
            **values,
        )
        return Reply(body, HTML, status, {"Cache-Control": "no-store", **(headers or {})})

    def _next(self, call: Call) -> str:
        return call.arg("next") or self._guard.base_url

    def _send_on(self, call: Call) -> Reply:
        wanted = self._next(call)
        target = safe_next(wanted, self._guard.base_url, self._guard.origin_rules)
        if target is None:
            self.log.warn("not allowing login redirect to {url!r}", url=wanted[:256])
        headers = {"Location": target or self._guard.base_url, "Cache-Control": "no-store"}
        return Reply(b"", HTML, 302, headers)
