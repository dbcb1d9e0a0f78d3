"""Guard: decides on every request before any resource, and before a byte of its body is kept.

In this order: is the Host ours, who asks, is the request forged by a foreign page, is who asks known, does a
foreign origin ask, may they. A route can not forget any of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from jupyterd.auth.authorizer import READING, AllowAllAuthorizer, Authorizer
from jupyterd.auth.cookie_secret import CookieKey
from jupyterd.auth.cross_site_checks import CrossSiteChecks
from jupyterd.auth.guessing_delay import MAX_DELAY, GuessingDelay, too_many
from jupyterd.auth.handler import Handler
from jupyterd.auth.http.origin_rules import OriginRules
from jupyterd.auth.http.proxies import PROXY_HEADERS, client_address, client_scheme
from jupyterd.auth.http.response_headers import ResponseHeaders
from jupyterd.auth.http.unix_peer import peer_uid, peer_user
from jupyterd.auth.identity import IdentityProvider
from jupyterd.auth.user import User, as_user
from jupyterd.system.asyncio_bridge import from_asyncio
from jupyterd.web.refusal import Refusal
from jupyterd.web.root import Mount
from jupyterd.web.server.plain_head import kept_name
from jupyterd.web.server.request import Request

STRONG_TOKEN = 32  # characters; a shorter token was chosen by a person and could be guessed

ORIGIN = kept_name(b"Origin")

Verdict = Refusal | None


@dataclass(eq=False)
class Guard:
    """Judges requests.

    :param provider: finds out who asks.
    :param authorizer: knows what they may.
    :param origin_rules: which hosts and origins are let in.
    :param cookie_key: signs login cookies.
    :param clock: times delays.
    :param response_headers: what every response carries.
    :param base_url: what all our paths begin with, slash at both ends.
    :param trust_xheaders: believe what a reverse proxy says of the client.
    :param disable_check_xsrf: no XSRF checks at all.
    :param xsrf_cookie_options: attributes of the ``_xsrf`` cookie.
    :param tell_unknown_paths: tell strangers too that there is nothing at a path; else they have to log in first.
    :param trust_peers: let in, by UNIX socket, processes of this server's own user.
    :param trusted_peers: other users let in by UNIX socket: names or uids.
    :param settings: what providers see as ``handler.settings``.
    """

    provider: IdentityProvider
    authorizer: Authorizer
    origin_rules: OriginRules
    cookie_key: CookieKey
    clock: IReactorTime
    response_headers: ResponseHeaders = field(default_factory=ResponseHeaders)
    base_url: str = "/"
    trust_xheaders: bool = False
    disable_check_xsrf: bool = False
    xsrf_cookie_options: Mapping[str, Any] = field(default_factory=dict)
    tell_unknown_paths: bool = True
    trust_peers: bool = False
    trusted_peers: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    log = Logger()

    def __post_init__(self) -> None:
        self.delay = GuessingDelay(self.clock)
        self.cross_site = CrossSiteChecks(self)
        hooks = ("get_user", "_get_user", "get_user_token", "get_user_cookie")
        self._stock = all(getattr(type(self.provider), name) is getattr(IdentityProvider, name) for name in hooks)
        self._everybody_may = type(self.authorizer) is AllowAllAuthorizer

    # -- the verdict

    def admit(self, request: Request, mount: Mount | None) -> Verdict | Deferred[Verdict]:
        """None to let the request through, else the answer. Sets ``request.user`` and ``request.handler``."""
        host = request.host_header or "127.0.0.1"
        if not self.origin_rules.host_allowed(host):
            self.log.warn(
                "Blocking request with non-local 'Host' {host!r}. If the server should be accessible at that name,"
                " set ServerApp.allow_remote_access to disable the check.",
                host=host[:256],
            )
            return Refusal(403, "Host is not local to this server", check="host")
        handler = request.handler = Handler(self, request)
        if self._guessing(request, handler):
            return too_many(MAX_DELAY)
        found = self._who(request, handler)
        if isinstance(found, User) or not isinstance(found, Deferred):
            return self._judge(request, handler, mount, found)
        return found.addCallback(lambda user: self._judge(request, handler, mount, user))

    def _who(self, request: Request, handler: Handler) -> Any:
        if self.trust_peers:
            peer = self._trusted_peer(request, handler)
            if peer is not None:
                return peer
        if self._stock:
            return self.provider.user_of(handler)
        found = self.provider.get_user(handler)
        if isinstance(found, Awaitable) and not isinstance(found, Deferred):
            return from_asyncio(found)
        return found

    def _trusted_peer(self, request: Request, handler: Handler) -> User | None:
        uid = peer_uid(request.channel.transport)
        if uid is None or any(map(request.requestHeaders.hasHeader, PROXY_HEADERS)):
            return None  # a proxy's process says nothing of who uses the proxy
        user = peer_user(uid, list(self.trusted_peers))
        if user is not None:
            by_browser = any(map(request.requestHeaders.hasHeader, (b"origin", b"referer", b"sec-fetch-site")))
            handler._token_authenticated = not by_browser
        return user

    def _judge(
        self, request: Request, handler: Handler, mount: Mount | None, found: Any
    ) -> Verdict | Deferred[Verdict]:
        user = None if found is None or found is False else as_user(found)
        request.user = handler.current_user = user
        by_token = request.token_authenticated = user is not None and self.provider.is_token_authenticated(handler)
        request.cors = self._cors(request, by_token)
        asked_elsewhere = mount is not None and (mount.page or (mount.forwarded and user is not None))
        if request.method == b"OPTIONS" and not asked_elsewhere:
            return self._preflight()
        if mount is None:
            return Refusal(404) if user is not None or self.tell_unknown_paths else self._login_first(request)
        refusal = self.cross_site.judge(request, mount, by_token)
        if refusal is not None:
            return refusal
        if user is None and not mount.public:
            return self._unknown(request, handler, mount)
        refusal = None if mount.page or mount.reports else self.cross_site.foreign(request, mount)
        if refusal is not None:
            return refusal
        if mount.page and (mount.exact or not mount.public):  # pages, not trees of static files
            self.cross_site.ensure_cookie(request)
        return self._may(request, handler, mount)

    # -- known, and allowed

    def _unknown(self, request: Request, handler: Handler, mount: Mount) -> Verdict | Deferred[Verdict]:
        page = mount.page and not mount.websocket
        told = self._refused(handler, page)
        if told is not None:
            return told
        refusal = self._login_first(request) if page else Refusal(403, "Forbidden", check="login")
        given = self.provider.get_token(handler) if self.provider.token else ""
        if not given:
            return refusal
        address = self.remote_ip(request)
        self.delay.failed(address, given)
        return self.delay.hold(address, refusal)

    def _refused(self, handler: Handler, page: bool) -> Verdict | Deferred[Verdict]:
        """The identity provider's own answer to somebody it does not let in, where it has one."""
        ask = getattr(self.provider, "refusal", None)
        return None if ask is None else ask(handler, page)

    def _login_first(self, request: Request) -> Refusal:
        if request.method not in (b"GET", b"HEAD") or not self.provider.login_available:
            return Refusal(403, "Forbidden", check="login")
        uri = request.uri.decode("latin-1")
        return Refusal(302, location=f"{self.base_url}login?{urlencode({'next': _without_token(uri)})}", check="login")

    def _may(self, request: Request, handler: Handler, mount: Mount) -> Verdict | Deferred[Verdict]:
        if self._everybody_may or mount.public:
            return None
        reading = handler.request.method in READING
        resource = mount.auth if reading else mount.writes or mount.auth
        if not resource:
            return None
        action = "read" if reading else mount.action
        if mount.websocket:
            action = "execute"
        allowed = self.authorizer.is_authorized(handler, request.user, action, resource)
        refusal = Refusal(403, f"User is not authorized to {action} on resource: {resource}.", check="authorizer")
        if isinstance(allowed, Awaitable):
            return from_asyncio(allowed).addCallback(lambda yes: None if yes else refusal)
        return None if allowed else refusal

    def allowed(self, handler: Handler, action: str, resource: str) -> Deferred[bool]:
        """Whether who asks may do ``action`` to ``resource``; for ``/api/me``."""
        verdict = self.authorizer.is_authorized(handler, handler.current_user, action, resource)
        return from_asyncio(verdict) if isinstance(verdict, Awaitable) else succeed(bool(verdict))

    # -- forged by a foreign page

    def check_form(self, request: Request) -> Verdict:
        """The XSRF check of a request that carries its token in the body, which has come now."""
        return self.cross_site.check_form(request)

    # -- guessing

    def _guessing(self, request: Request, handler: Handler) -> bool:
        """Whether to refuse unread: this address has more wrong guesses waiting than ``MAX_DELAY``."""
        if not len(self.delay) or not 0 < len(self.provider.token or "") < STRONG_TOKEN:
            return False
        return bool(self.provider.get_token(handler)) and self.delay.backlog(self.remote_ip(request)) > MAX_DELAY

    # -- what others ask of a request

    def remote_ip(self, request: Request) -> str:
        """The client's address; ``unix`` on a UNIX socket."""
        peer = getattr(request.client, "host", "unix") or "unix"
        if not self.trust_xheaders:
            return peer
        return client_address(peer, request.getHeader("x-forwarded-for"), request.getHeader("x-real-ip"))

    def protocol(self, request: Request) -> str:
        """``https`` or ``http``."""
        own = "https" if request.isSecure() else "http"
        if not self.trust_xheaders:
            return own
        return client_scheme(own, request.getHeader("x-scheme"), request.getHeader("x-forwarded-proto"))

    # -- headers

    def headers(self, request: Request) -> tuple[tuple[bytes, bytes], ...]:
        """Headers of every response."""
        return self.response_headers.of(request)

    def _cors(self, request: Request, by_token: bool) -> tuple[tuple[bytes, bytes], ...]:
        rules = self.origin_rules
        if ORIGIN not in request.requestHeaders._rawHeaders and not rules.allow_origin and not rules.allow_credentials:
            return ()
        return self.response_headers.cors(rules, request.getHeader("origin"), by_token)

    def _preflight(self) -> Refusal:
        return Refusal(200, empty=True, headers=self.response_headers.preflight)


def _without_token(uri: str) -> str:
    path, mark, query = uri.partition("?")
    kept = [part for part in query.split("&") if part.partition("=")[0] != "token"]
    return path + (mark + "&".join(kept) if mark and kept and kept != [""] else "")
