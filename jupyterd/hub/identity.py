"""Identity provider of a server below a Hub: the Hub says who a token belongs to, and what they may."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from traitlets import Instance, Unicode, default
from twisted.internet.defer import Deferred

from jupyterd.auth.handler import Handler
from jupyterd.auth.identity import IdentityProvider
from jupyterd.auth.user import User
from jupyterd.errors import JupyterdError
from jupyterd.hub.request_memo import SESSION_COOKIE, visit_of
from jupyterd.hub.scopes import allowed_by
from jupyterd.hub.settings import HubOAuth, JupyterHubSingleUser
from jupyterd.web.errors import describe
from jupyterd.web.refusal import Refusal

if TYPE_CHECKING:
    from jupyterd.hub.cache import TokenCache
    from jupyterd.hub.client import Hub

MAX_TOKEN = 1024
NOT_ALLOWED = "{kind} {name} is not allowed."


class JupyterHubUser(User):
    """A user of the Hub.

    :ivar hub_user: all that the Hub says of it: ``name``, ``kind``, ``admin``, ``groups``, ``scopes`` ...
    """

    def __init__(self, hub_user: dict[str, Any]) -> None:
        self.hub_user = hub_user
        told = hub_user.get("user_info")  # since Hub 6
        info: Mapping[str, Any] = told if isinstance(told, dict) else {}
        names = ("name", "display_name", "initials", "avatar_url", "color")
        super().__init__(hub_user["name"], **{name: info[name] for name in names if isinstance(info.get(name), str)})

    @property
    def refusal(self) -> str:
        """What it is told where it may not come in."""
        return NOT_ALLOWED.format(kind=self.hub_user.get("kind", "user"), name=self.username)


class Login(Protocol):
    """How browsers are sent to the Hub; see :class:`jupyterd.hub.login_state.Logins`."""

    def begin(self, handler: Handler, next_url: str) -> Deferred[Refusal]:
        """The way to the Hub, for one browser."""

    def keep(self, handler: Handler, token: str) -> None:
        """Keep a token in the login cookie."""

    def forget(self, handler: Handler) -> None:
        """Clear the login cookie."""


class JupyterHubIdentityProvider(IdentityProvider):
    """Lets in whom the Hub lets in.

    Built from the settings alone; :meth:`serve` gives it what it needs to ask the Hub.
    """

    hub_auth = Instance(HubOAuth)
    singleuser = Instance(JupyterHubSingleUser)
    token = Unicode(help="This server's own token at the Hub. It belongs to the server, and never gets into a page.")

    @default("hub_auth")
    def _hub_auth_default(self) -> HubOAuth:
        return HubOAuth(parent=self)

    @default("singleuser")
    def _singleuser_default(self) -> JupyterHubSingleUser:
        return JupyterHubSingleUser(parent=self)

    @default("token")
    def _token_default(self) -> str:
        self.token_generated = False
        return str(self.hub_auth.api_token)

    def serve(self, hub: Hub, users: TokenCache[JupyterHubUser], login: Login) -> None:
        """Begin to answer.

        :param users: remembers whose a token is.
        """
        self._hub = hub
        self._users = users
        self._login = login

    _held: list[Deferred[None]] | None = None

    def hold(self, clock: Any, seconds: float) -> None:
        """Let requests wait until :meth:`settle` is called, for some seconds at most."""
        self._held = []
        clock.callLater(seconds, self.settle)

    def settle(self) -> None:
        """Let those that wait go on."""
        held, self._held = self._held or [], None
        for each in held:
            each.callback(None)

    # -- who

    def get_user(self, handler: Handler) -> Any:
        """The user of a request, or a Deferred of it; None where it is not known or may not come in.

        A token that a program shows counts before the login cookie.
        """
        if self._held is None:
            return self._user_now(handler)
        held: Deferred[None] = Deferred()
        self._held.append(held)
        return held.addCallback(lambda _: self._user_now(handler))

    def _user_now(self, handler: Handler) -> Any:
        shown = self.get_token(handler)
        if not shown:
            return self._by_cookie(handler)
        found = self.look_up(handler, shown)
        if isinstance(found, Deferred):
            found.addCallback(lambda user: self._shown(handler, shown, user))
            return found.addErrback(self._failed, handler)
        return self._shown(handler, shown, found)

    def _shown(self, handler: Handler, token: str, user: JupyterHubUser | None) -> Any:
        if user is None:
            return self._by_cookie(handler)
        handler._token_authenticated = True
        if handler.has_argument("token") and fetch_mode(handler) in ("", "navigate"):
            self._login.keep(handler, token)  # the next request of this browser has the cookie alone
        return self._let_in(handler, user)

    def _by_cookie(self, handler: Handler) -> Any:
        token = self.cookie_token(handler)
        if not token:
            return None
        found = self.look_up(handler, token)
        if isinstance(found, Deferred):
            found.addCallback(lambda user: self._cookie_told(handler, user))
            return found.addErrback(self._failed, handler)
        return self._cookie_told(handler, found)

    def _cookie_told(self, handler: Handler, user: JupyterHubUser | None) -> User | None:
        if user is not None:
            return self._let_in(handler, user)
        self.log.warning("The login cookie's token is not known to the Hub any more")
        self._login.forget(handler)
        return None

    def look_up(self, handler: Handler, token: str) -> JupyterHubUser | Deferred[JupyterHubUser | None] | None:
        """Whose a token is, or a Deferred of that; the Hub is asked where it is not known.

        The Deferred fails with :class:`~jupyterd.hub.errors.HubAway` or ``HubRefuses``.
        """

        async def ask() -> JupyterHubUser | None:
            model = await self._hub.user_of(token)
            return None if model is None else JupyterHubUser(model)

        return self._users.get(self.session_id(handler), token, ask)

    def _let_in(self, handler: Handler, user: JupyterHubUser) -> User | None:
        if self.may_enter(user):
            return user
        self.log.warning("Not allowing %s", user.username)
        visit_of(handler).refused = user.refusal
        return None

    def may_enter(self, user: JupyterHubUser) -> bool:
        """Whether the Hub's scopes let a user into this server."""
        return bool(allowed_by(self.hub_auth.access_scopes, user.hub_user["scopes"]))

    def _failed(self, failure: Any, handler: Handler) -> None:
        failure.trap(JupyterdError)
        visit_of(handler).failure = failure.value

    # -- what a request shows

    def get_token(self, handler: Handler) -> str | None:
        """The token in the Authorization header or, of websockets and where it is allowed, in the query."""
        if handler.has_argument("token") and (
            self.hub_auth.allow_token_in_url or fetch_mode(handler) == "websocket" or _upgrades(handler)
        ):
            return _short(handler.get_argument("token"))
        match = self.auth_header_pat.match(handler.request.headers.get("Authorization", ""))
        return _short(match.group(2).strip()) if match else ""

    def cookie_token(self, handler: Handler) -> str:
        """The token in the login cookie; empty where there is none, or it does not count."""
        visit = visit_of(handler)
        if visit.cookie_token is None:
            visit.cookie_token = self._read_cookie(handler)
        return visit.cookie_token

    def _read_cookie(self, handler: Handler) -> str:
        websocket = fetch_mode(handler) == "websocket" or _upgrades(handler)
        if websocket and not self.hub_auth.allow_websocket_cookie_auth:
            return ""
        return (handler.get_secure_cookie(self.hub_auth.cookie_name) or b"").decode("ascii", "replace")

    def session_id(self, handler: Handler) -> str:
        """The login at the Hub that a browser has; empty for programs."""
        return (handler.get_cookie(SESSION_COOKIE) or "")[:256]

    def log_out(self, handler: Handler) -> None:
        """Forget the browser that asks."""
        token = self.cookie_token(handler)
        if token:
            self._users.forget(self.session_id(handler), token)
        self._login.forget(handler)

    # -- who is not let in

    def refusal(self, handler: Handler, page: bool) -> Any:
        """What to answer a request whose user is not known or may not come in.

        :param page: it is for people.
        :returns: a Refusal, or a Deferred of one; None for what any server answers.
        """
        visit = visit_of(handler)
        if visit.refused:
            return Refusal(403, visit.refused, headers=NO_STORE, check="login")
        if visit.failure is not None:
            status, message, reason = describe(visit.failure) or (503, str(visit.failure), None)
            headers = (*NO_STORE, ("Retry-After", "5")) if status == 503 else NO_STORE
            return Refusal(status, message, reason, headers=headers)
        if not page or handler.request.method not in ("GET", "HEAD"):
            return None
        if fetch_mode(handler) not in ("", "navigate"):
            return Refusal(
                403, "Forbidden", headers=NO_STORE, check="login"
            )  # no login comes of a picture, and no cookie either
        return self._login.begin(handler, handler.request.uri)

    def page_config(self, handler: Handler) -> dict[str, Any]:
        """What pages are told: where the Hub is, who asks, and the token they came with."""
        user = handler.current_user
        hub = self.hub_auth
        return {
            "hubHost": hub.hub_host,
            "hubPrefix": hub.hub_prefix,
            "hubUser": user.name if user else "",
            "hubServerUser": self.singleuser.user,
            "hubServerName": self.singleuser.server_name,
            "shareUrl": hub.page("user-redirect") if hub.hub_host else f"{hub.hub_prefix}user-redirect",
            "token": (self.get_token(handler) or self.cookie_token(handler)) if self.token_in_pages else "",
        }

    # -- what the stock provider does by itself

    def validate_security(self, app: Any, ssl_options: dict[str, Any] | None = None) -> None:
        """Nothing to warn of: the Hub guards the door."""

    def cookie_secret_hook(self, h: Any) -> Any:
        """Cookies are void with the next token of this server: after each start by the Hub."""
        h.update(self.hub_auth.api_token.encode())
        return h


NO_STORE = (("Cache-Control", "no-store"),)


def fetch_mode(handler: Handler) -> str:
    """Why a browser asks: ``navigate``, ``cors``, ``websocket`` ...; empty where it does not tell."""
    return str(handler.request.headers.get("Sec-Fetch-Mode", ""))


def _upgrades(handler: Handler) -> bool:
    return handler.request.headers.get("Upgrade", "").lower() == "websocket"


def _short(token: str) -> str:
    """A token that can be one; what can not stand in a header is not sent on."""
    return token if len(token) <= MAX_TOKEN and token.isascii() and token.isprintable() else ""
