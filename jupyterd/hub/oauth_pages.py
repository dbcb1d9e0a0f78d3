"""``/oauth_callback``, ``/login`` and ``/logout`` of a server below a Hub."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from jupyterd.auth.handler import Handler
from jupyterd.auth.http.next_url import safe_next
from jupyterd.errors import Forbidden, Invalid, Upstream
from jupyterd.hub.client import Hub
from jupyterd.hub.errors import HubRefuses
from jupyterd.hub.identity import JupyterHubIdentityProvider
from jupyterd.hub.login_state import Logins
from jupyterd.web.api import Routes, json_api
from jupyterd.web.call import Call, Reply

if TYPE_CHECKING:
    from jupyterd.auth.guard import Guard

HTML = "text/html; charset=UTF-8"
MAX_STATE = 128


class HubPages:
    """The way to the Hub, back from it, and out.

    :param guard: knows which URLs a login may lead to.
    """

    app = Routes()
    api = json_api(app)
    log = Logger()

    def __init__(self, guard: Guard, provider: JupyterHubIdentityProvider, hub: Hub, logins: Logins) -> None:
        self._guard = guard
        self._provider = provider
        self._hub = hub
        self._logins = logins

    @api(("GET", "HEAD"), "/oauth_callback")
    async def callback(self, call: Call) -> Reply:
        """A browser comes back from the Hub, with a code that only this server can make a token of.

        :raises Invalid: the Hub says what went wrong, or what is needed is missing.
        :raises Forbidden: this browser has begun no such login; or its user may not come in.
        """
        handler: Handler = call.request.handler
        error = call.arg("error")
        if error:
            raise Invalid(f"Error in oauth: {(call.arg('error_description') or error)[:500]}")
        code, number = call.arg("code"), call.arg("state")
        if not code:
            raise Invalid("OAuth callback made without a token")
        if not number:
            raise Invalid("OAuth state is missing. Try logging in again.")
        state = self._logins.state(handler, number[:MAX_STATE])
        if state is None:
            if call.user is not None:  # the page was loaded again, or another tab was faster
                return _redirect(self._guard.base_url)
            raise Forbidden("oauth state does not match. Try logging in again.")
        try:
            token = await self._hub.token_for_code(code, state.verifier)
        except HubRefuses as refusal:
            raise (Invalid(refusal.message) if refusal.upstream < 500 else refusal) from refusal
        found = self._provider.look_up(handler, token)
        user = await found if isinstance(found, Deferred) else found
        if user is None:
            raise HubRefuses(500, "oauth callback failed to identify a user")
        if not self._provider.may_enter(user):
            raise Forbidden(user.refusal)
        self.log.info("Logged-in user {name}", name=user.username)
        next_url = self._logins.complete(handler, state, token)
        return _redirect(safe_next(next_url, self._guard.base_url, self._guard.origin_rules) or self._guard.base_url)

    @api(("GET", "HEAD"), "/login")
    async def log_in(self, call: Call) -> Reply:
        """To the Hub, and then to ``?next=``; who is logged in goes there at once.

        :raises Upstream: the login would not come to an end.
        """
        wanted = call.arg("next") or self._guard.base_url
        target = safe_next(wanted, self._guard.base_url, self._guard.origin_rules) or self._guard.base_url
        if call.user is not None:
            return _redirect(target)
        refusal = self._provider.refusal(call.request.handler, page=False)
        if refusal is None:
            refusal = await self._logins.begin(call.request.handler, target)
        if refusal.location is None:
            for name, value in refusal.headers:
                call.set_header(name, value)
            raise Upstream(refusal.status, refusal.message, refusal.reason)
        return _redirect(refusal.location, dict(refusal.headers))

    @api(("GET", "HEAD", "POST"), "/logout")
    async def log_out(self, call: Call) -> Reply:
        """Forget this browser, and have the Hub forget it: there all its logins end."""
        self._provider.log_out(call.request.handler)
        return _redirect(self._provider.hub_auth.page("logout"))


def _redirect(location: str, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(b"", HTML, 302, {"Location": location, "Cache-Control": "no-store", **(headers or {})})
