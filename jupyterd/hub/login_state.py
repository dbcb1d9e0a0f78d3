"""Logging in by the Hub with OAuth: the way there, the way back, and the cookies in between.

What a login needs to be finished (where it leads, the secret of PKCE) is kept by the browser, in a cookie that this
server has signed: strangers who begin logins cost no memory here, and a login outlives a restart.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from jupyterd.auth.handler import Handler
from jupyterd.auth.http import cookies
from jupyterd.hub.errors import HubAway
from jupyterd.hub.request_memo import SESSION_COOKIE, visit_of
from jupyterd.web.refusal import Refusal

if TYPE_CHECKING:
    from jupyterd.hub.client import Hub
    from jupyterd.hub.settings import HubOAuth

MAX_NEXT = 2000
"""Characters of the URL that a login leads to, as a browser keeps 4096 bytes of a cookie; a longer one is forgotten."""
MAX_STATES = 8
"""Logins of one browser that are under way; with more of them all are forgotten but the newest."""
PASSING = ("redirects", "token")
"""Arguments that are gone when a browser comes back: the Hub's count of redirects, a token that has not let it in."""
DAY = 86400.0

LOOPS = 5
LOOP_SECONDS = 30.0
MAX_BROWSERS = 256
LOOP = (
    "You have been sent to log in {count} times within {seconds:.0f} seconds: either your browser does not keep this"
    " server's cookie, or the Hub does not know the login that it gives. Clear the cookies of this site and try again;"
    " if that does not help, tell the administrator of the Hub."
)
AWAY = "The Hub, which logs people in, can not be reached. What runs here goes on running. Try again in a moment."


@dataclass(frozen=True)
class State:
    """A login that is under way.

    :param number: what the Hub hands back; nobody can guess it.
    :param verifier: the secret of PKCE; empty for none.
    :param next_url: where it leads.
    :param cookie: the name of the cookie it is in.
    """

    number: str
    verifier: str
    next_url: str
    cookie: str = ""


class Loops:
    """Notices browsers that log in again and again.

    :param clock: tells the time.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._logins: OrderedDict[str, deque[float]] = OrderedDict()

    def logged_in(self, browser: str) -> None:
        """A login of this browser is complete."""
        times = self._logins.setdefault(browser, deque(maxlen=LOOPS))
        times.append(self._clock.seconds())
        self._logins.move_to_end(browser)
        while len(self._logins) > MAX_BROWSERS:
            self._logins.popitem(last=False)

    def looping(self, browser: str) -> bool:
        """Whether it has logged in so often, just now, that another login will not help."""
        times = self._logins.get(browser)
        return times is not None and len(times) == LOOPS and self._clock.seconds() - times[0] < LOOP_SECONDS


class Logins:
    """The logins of one server.

    :param hub: is asked whether it is there before a browser is sent to it.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime, settings: HubOAuth, hub: Hub) -> None:
        self._settings = settings
        self._hub = hub
        self._loops = Loops(clock)

    # -- the way there

    def begin(self, handler: Handler, next_url: str) -> Deferred[Refusal]:
        """Send a browser to the Hub.

        :param next_url: where it is to go when it comes back: a path of this server.
        :returns: the redirect; or what is wrong, where it would not come back.
        """
        return Deferred.fromCoroutine(self._begin(handler, _without(next_url, PASSING)))

    async def _begin(self, handler: Handler, next_url: str) -> Refusal:
        no_store = ("Cache-Control", "no-store")
        if self._loops.looping(browser_of(handler)):
            message = LOOP.format(count=LOOPS, seconds=LOOP_SECONDS)
            self.log.warn("{message}", message=message)
            return Refusal(508, message, headers=(no_store,))
        try:
            await self._hub.alive()
        except HubAway:
            return Refusal(503, AWAY, headers=(no_store, ("Retry-After", "5")))
        return Refusal(302, location=self._way(handler, next_url), headers=(no_store,))

    def _way(self, handler: Handler, next_url: str) -> str:
        settings = self._settings
        verifier = secrets.token_urlsafe(32) if settings.pkce_enabled else ""
        state = State(secrets.token_urlsafe(16), verifier, next_url if len(next_url) <= MAX_NEXT else "")
        asked = {"state": state.number}
        if verifier:
            digest = hashlib.sha256(verifier.encode()).digest()
            asked |= {
                "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
                "code_challenge_method": "S256",
            }
        self._keep_state(handler, state)
        return f"{settings.login_url}{'&' if '?' in settings.login_url else '?'}{urlencode(asked)}"

    def _keep_state(self, handler: Handler, state: State) -> None:
        others = self._state_cookies(handler)
        if len(others) >= MAX_STATES:
            for name in others:
                self._clear(handler, name)
        settings = self._settings
        fixed = {"path": settings.cookie_path, "httponly": True, "max_age": settings.oauth_state_max_age}
        if self._secure(handler):
            fixed["secure"] = True
        options = {
            name: value
            for name, value in cookies.attributes(settings.cookie_options).items()
            if name not in {*fixed, "secure", "expires", "expires_days"}
        }
        handler.set_secure_cookie(
            f"{settings.state_cookie_name}-{state.number[:8]}",
            json.dumps([state.number, state.verifier, state.next_url]),
            expires_days=None,
            **{**options, **fixed},
        )

    # -- the way back

    def state(self, handler: Handler, number: str) -> State | None:
        """The login that a browser has begun under this number, and not yet ended; None where it is another one's."""
        days = self._settings.oauth_state_max_age / DAY
        for name in self._state_cookies(handler):
            kept = handler.get_secure_cookie(name, max_age_days=days)
            state = _state(kept, name)
            if state is not None and secrets.compare_digest(state.number.encode(), number.encode("utf-8", "replace")):
                return state
        return None

    def complete(self, handler: Handler, state: State, token: str) -> str:
        """Keep the token that a login has led to.

        :returns: where the browser goes now.
        """
        self._loops.logged_in(browser_of(handler))
        self._clear(handler, state.cookie)
        self.keep(handler, token)
        return state.next_url or self._settings.base_url

    def _state_cookies(self, handler: Handler) -> list[str]:
        return [name for name in handler.cookies if name.startswith(self._settings.state_cookie_name)]

    # -- the login cookie

    def keep(self, handler: Handler, token: str) -> None:
        """Keep a token in the login cookie: signed, and out of reach of scripts."""
        settings = self._settings
        options: dict[str, Any] = {"path": settings.cookie_path, "httponly": True}
        if self._secure(handler) or settings.cookie_host_prefix_enabled:
            options["secure"] = True
        options |= cookies.attributes(settings.cookie_options)
        days = options.pop("expires_days", 30)
        handler.set_secure_cookie(settings.cookie_name, token, expires_days=days, **options)
        visit_of(handler).cookie_token = token

    def forget(self, handler: Handler) -> None:
        """Clear the login cookie."""
        self._clear(handler, self._settings.cookie_name)
        visit_of(handler).cookie_token = ""

    def _clear(self, handler: Handler, name: str) -> None:
        # Browsers take nothing for __Host- that is not secure, not even its end.
        secure = name.startswith("__Host-")
        given = cookies.attributes(self._settings.cookie_options)
        domain = None if secure else given.get("domain")
        path = "/" if secure else self._settings.cookie_path
        handler.set_cookie(name, "", expires=0.0, path=path, domain=domain, secure=secure)

    def _secure(self, handler: Handler) -> bool:
        return browser_scheme(handler, os.environ.get("JUPYTERHUB_PUBLIC_URL", "")) == "https"


def _without(url: str, names: tuple[str, ...]) -> str:
    """``url`` without some arguments of its query."""
    path, mark, query = url.partition("?")
    kept = [pair for pair in query.split("&") if pair.partition("=")[0] not in names]
    return f"{path}{mark}{'&'.join(kept)}" if kept != [""] and kept else path


def _state(kept: bytes | None, cookie: str) -> State | None:
    """A login from its cookie, whose signature was right."""
    if not kept:
        return None
    try:
        number, verifier, next_url = json.loads(kept)
    except (ValueError, TypeError):
        return None
    return State(str(number), str(verifier), str(next_url), cookie)


def browser_of(handler: Handler) -> str:
    """What tells one browser from another for as long as a login takes: the Hub's session, or else its looks."""
    session = handler.get_cookie(SESSION_COOKIE)
    shown = session or f"{handler.request.remote_ip}\0{handler.request.headers.get('User-Agent', '')}"
    return hashlib.sha256(shown.encode("utf-8", "replace")).hexdigest()


def browser_scheme(handler: Handler, public_url: str = "") -> str:
    """``http`` or ``https``, as the browser sees it.

    Of several proxies the outermost counts, which the browser talks to. That it could be a lie does no harm: it is
    told of the liar's own cookies.

    :param public_url: this server's URL for browsers, where the Hub tells it.
    """
    if public_url:
        return public_url.partition(":")[0].lower()
    headers = handler.request.headers
    first = headers.get("Forwarded", "").partition(",")[0]
    fields = dict(pair.strip().lower().partition("=")[::2] for pair in first.split(";"))
    told = fields.get("proto", "").strip('"')
    told = told or (headers.get("X-Scheme") or headers.get("X-Forwarded-Proto", "")).partition(",")[0].strip().lower()
    return told if told in ("http", "https") else handler.request.protocol
