"""The guard: decides on every request before any resource, and before a byte of its body is kept.

In this order: is the Host ours, who asks, is the request forged by a foreign page, is who asks known, does a
foreign origin ask, may they. A route can not forget any of it.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from jupyterd.aio import from_asyncio
from jupyterd.auth import cookies, xsrf
from jupyterd.auth.authorizer import ACTION, AllowAllAuthorizer, Authorizer
from jupyterd.auth.cookie_secret import CookieKey
from jupyterd.auth.delay import LONGEST_DELAY, MOST_WAITING, GuessingDelay
from jupyterd.auth.handler import Handler
from jupyterd.auth.headers import ResponseHeaders
from jupyterd.auth.identity import IdentityProvider
from jupyterd.auth.origin import Doors
from jupyterd.auth.peer import peer_uid, peer_user
from jupyterd.auth.proxies import FORWARDED, client_address, client_scheme
from jupyterd.auth.user import User, as_user
from jupyterd.web.refusal import Refusal
from jupyterd.web.root import Mount
from jupyterd.web.site import Request

SAFE_METHODS = (b"GET", b"HEAD", b"OPTIONS")
STRONG_TOKEN = 32  # characters; a shorter token was chosen by a person and could be guessed
XSRF_COOKIE_DAYS = 30

Verdict = Refusal | None


@dataclass(eq=False)
class Guard:
    """Judges requests.

    :param provider: finds out who asks.
    :param authorizer: knows what they may.
    :param doors: which hosts and origins are let in.
    :param cookie_key: signs login cookies.
    :param clock: times delays.
    :param response_headers: what every response carries.
    :param base_url: what all our paths begin with, slash at both ends.
    :param trust_xheaders: believe what a reverse proxy says of the client.
    :param disable_check_xsrf: no XSRF checks at all.
    :param xsrf_cookie_options: attributes of the ``_xsrf`` cookie.
    :param trust_peers: let in, by UNIX socket, processes of this server's own user.
    :param trusted_peers: other users let in by UNIX socket: names or uids.
    :param settings: what providers see as ``handler.settings``.
    """

    provider: IdentityProvider
    authorizer: Authorizer
    doors: Doors
    cookie_key: CookieKey
    clock: IReactorTime
    response_headers: ResponseHeaders = field(default_factory=ResponseHeaders)
    base_url: str = "/"
    trust_xheaders: bool = False
    disable_check_xsrf: bool = False
    xsrf_cookie_options: Mapping[str, Any] = field(default_factory=dict)
    trust_peers: bool = False
    trusted_peers: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    log = Logger()

    def __post_init__(self) -> None:
        self.delay = GuessingDelay(self.clock)
        self._waiting = 0
        hooks = ("get_user", "_get_user", "get_user_token", "get_user_cookie")
        self._stock = all(getattr(type(self.provider), name) is getattr(IdentityProvider, name) for name in hooks)
        self._everybody_may = type(self.authorizer) is AllowAllAuthorizer

    # -- the verdict

    def admit(self, request: Request, mount: Mount | None) -> Verdict | Deferred[Verdict]:
        """None to let the request through, else the answer. Sets ``request.user`` and ``request.handler``."""
        host = request.host_header or "127.0.0.1"
        if not self.doors.host_allowed(host):
            self.log.warn(
                "Blocking request with non-local 'Host' {host!r}. If the server should be accessible at that name,"
                " set ServerApp.allow_remote_access to disable the check.",
                host=host[:256],
            )
            return Refusal(403, "Host is not local to this server")
        handler = request.handler = Handler(self, request)
        if self._guessing(request, handler):
            return self._too_many(LONGEST_DELAY)
        found = self._who(request, handler)
        if isinstance(found, Deferred):
            return found.addCallback(lambda user: self._judge(request, handler, mount, user))
        return self._judge(request, handler, mount, found)

    def _who(self, request: Request, handler: Handler) -> Any:
        if self.trust_peers:
            peer = self._trusted_peer(request, handler)
            if peer is not None:
                return peer
        if self._stock:
            return self.provider.user_of(handler)
        found = self.provider.get_user(handler)
        if isinstance(found, Awaitable):
            return from_asyncio(found)
        return found

    def _trusted_peer(self, request: Request, handler: Handler) -> User | None:
        uid = peer_uid(request.channel.transport)
        if uid is None or any(map(request.requestHeaders.hasHeader, FORWARDED)):
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
        if request.method == b"OPTIONS" and (mount is None or not mount.page):
            return self._preflight()
        if mount is None:
            return Refusal(404)
        refusal = self._forged(request, handler, mount, by_token)
        if refusal is not None:
            return refusal
        if user is None and not mount.public:
            return self._unknown(request, handler, mount)
        if not mount.page and not mount.reports and not self._origin_allowed(request, handler):
            return self._foreign(request, mount)
        if mount.page and (mount.exact or not mount.public):  # pages, not trees of static files
            self._ensure_xsrf_cookie(request)
        return self._may(request, handler, mount)

    # -- known, and allowed

    def _unknown(self, request: Request, handler: Handler, mount: Mount) -> Verdict | Deferred[Verdict]:
        refusal = self._login_first(request) if mount.page and not mount.websocket else Refusal(403, "Forbidden")
        given = self.provider.get_token(handler) if self.provider.token else ""
        if not given:
            return refusal
        address = self.remote_ip(request)
        self.delay.failed(address, given)
        return self.hold(address, refusal)

    def _login_first(self, request: Request) -> Refusal:
        if request.method not in (b"GET", b"HEAD") or not self.provider.login_available:
            return Refusal(403, "Forbidden")
        uri = request.uri.decode("latin-1")
        return Refusal(302, location=f"{self.base_url}login?{urlencode({'next': _without_token(uri)})}")

    def _may(self, request: Request, handler: Handler, mount: Mount) -> Verdict | Deferred[Verdict]:
        if self._everybody_may or not mount.auth or mount.public:
            return None
        action = "execute" if mount.websocket else ACTION.get(handler.request.method, "write")
        allowed = self.authorizer.is_authorized(handler, request.user, action, mount.auth)
        refusal = Refusal(403, f"User is not authorized to {action} on resource: {mount.auth}.")
        if isinstance(allowed, Awaitable):
            return from_asyncio(allowed).addCallback(lambda yes: None if yes else refusal)
        return None if allowed else refusal

    def allowed(self, handler: Handler, action: str, resource: str) -> Deferred[bool]:
        """Whether who asks may do ``action`` to ``resource``; for ``/api/me``."""
        verdict = self.authorizer.is_authorized(handler, handler.current_user, action, resource)
        return from_asyncio(verdict) if isinstance(verdict, Awaitable) else succeed(bool(verdict))

    # -- forged by a foreign page

    def _forged(self, request: Request, handler: Handler, mount: Mount, by_token: bool) -> Verdict:
        reading = request.method in SAFE_METHODS
        if by_token or self.disable_check_xsrf or mount.reports or (reading and not mount.untrusted):
            return None
        if reading and request.user is None:
            return None  # not let in anyway; the login page comes first
        if not self._origin_allowed(request, handler):
            complaint = f"Blocking Cross Origin request from {_shown(request.getHeader('origin'))}."
            status = 404
        else:
            given = self._xsrf_given(request)
            if given is None and not reading and _may_come(request, mount):
                request.xsrf_pending = True  # the token is in the body: Request asks again, before the resource
                return None
            complaint = xsrf.complaint(request.handler.cookies.get(xsrf.COOKIE), given, handler.request.method) or ""
            status = 403
        if not complaint or (reading and self._referer_allowed(request, handler)):
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
        return Refusal(status, complaint)

    def check_form(self, request: Request) -> Verdict:
        """The XSRF check of a request that carries its token in the body, which has come now."""
        body = request.content.getvalue() if request.content is not None else b""
        fields = form_fields(body)
        request.handler.form = fields
        complaint = xsrf.complaint(
            request.handler.cookies.get(xsrf.COOKIE), (fields.get("_xsrf") or [""])[-1], request.handler.request.method
        )
        if complaint is None:
            return None
        self.log.warn("{why} ({path})", why=complaint, path=request.handler.request.path)
        return Refusal(403, complaint)

    def _xsrf_given(self, request: Request) -> str | None:
        values = request.args.get(b"_xsrf")
        if values:
            return str(values[-1].decode("latin-1"))
        header: str | None = request.getHeader("x-xsrftoken") or request.getHeader("x-csrftoken")
        return header

    def _origin_allowed(self, request: Request, handler: Handler) -> bool:
        if not self.provider.should_check_origin(handler):
            return True
        origin = request.getHeader("origin")
        if origin is None:
            origin = request.getHeader("sec-websocket-origin")
        return self.doors.origin_allowed(origin, request.host_header)

    def _referer_allowed(self, request: Request, handler: Handler) -> bool:
        return not self.provider.should_check_origin(handler) or self.doors.referer_allowed(
            request.getHeader("referer"), request.host_header
        )

    def _foreign(self, request: Request, mount: Mount) -> Refusal:
        kind = "WebSocket" if mount.websocket else "API request"
        origin, host = _shown(request.getHeader("origin")), _shown(request.host_header)
        complaint = f"Blocking Cross Origin {kind}. Origin: {origin}, Host: {host}"
        self.log.warn("{why} ({path})", why=complaint, path=request.path.decode("latin-1"))
        return Refusal(403 if mount.websocket else 404, complaint)

    def xsrf_token(self, request: Request) -> str:
        """The XSRF token for this request's pages; its cookie is set where there is none."""
        handler: Handler = request.handler
        if handler.xsrf_shown is None:
            token = xsrf.read(handler.cookies.get(xsrf.COOKIE) or "")
            shown = handler.xsrf_shown = xsrf.show(token or xsrf.new(), time.time())
            if token is None:
                options: dict[str, Any] = {"path": self.base_url, **self.xsrf_cookie_options}
                days = options.pop("expires_days", XSRF_COOKIE_DAYS if request.user is not None else None)
                if days is not None:
                    options["expires"] = time.time() + days * cookies.DAY
                self.send_cookie(request, cookies.set_cookie(xsrf.COOKIE, shown, **options))
        return handler.xsrf_shown

    def _ensure_xsrf_cookie(self, request: Request) -> None:
        if request.method == b"GET" and not request.handler.cookies.get(xsrf.COOKIE):
            self.xsrf_token(request)

    # -- guessing

    def _guessing(self, request: Request, handler: Handler) -> bool:
        """Whether a token is shown that is not even looked at, since its sender guesses faster than it is told."""
        if not len(self.delay) or not 0 < len(self.provider.token or "") < STRONG_TOKEN:
            return False
        return bool(self.provider.get_token(handler)) and self.delay.backlog(self.remote_ip(request)) > LONGEST_DELAY

    def hold(self, address: str, refusal: Refusal) -> Verdict | Deferred[Verdict]:
        """``refusal``, after the time that ``address`` has to wait; 429 where that is too long."""
        seconds = self.delay.wait(address)
        if not seconds:
            return refusal
        if seconds > LONGEST_DELAY or not self.take_place():
            return self._too_many(seconds)
        held: Deferred[Verdict] = Deferred()
        self.clock.callLater(seconds, self._release, held, refusal)
        return held

    def take_place(self) -> bool:
        """Whether one more login may wait for its answer; :meth:`leave_place` when it has it."""
        if self._waiting >= MOST_WAITING:
            return False
        self._waiting += 1
        return True

    def leave_place(self) -> None:
        """A login has its answer."""
        self._waiting -= 1

    def _release(self, held: Deferred[Verdict], refusal: Refusal) -> None:
        self.leave_place()
        held.callback(refusal)

    def _too_many(self, seconds: float) -> Refusal:
        return Refusal(
            429,
            "Too many wrong passwords or tokens; try again later",
            headers=(("Retry-After", str(int(seconds) + 1)),),
        )

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

    def send_cookie(self, request: Request, cookie: str) -> None:
        """Set a cookie in the answer; one of the same name and attributes that waits to be sent is replaced."""
        name = cookie.partition("=")[0].encode() + b"="
        request.cookies = [sent for sent in request.cookies if not sent.startswith(name)]
        request.cookies.append(cookie.encode("latin-1", "replace"))

    # -- headers

    def headers(self, request: Request) -> Iterable[tuple[bytes, bytes]]:
        """Headers of every response."""
        return self.response_headers.of(request)

    def _cors(self, request: Request, by_token: bool) -> tuple[tuple[bytes, bytes], ...]:
        origin = request.getHeader("origin")
        if origin is None and not self.doors.allow_origin and not self.doors.allow_credentials:
            return ()
        return self.response_headers.cors(self.doors, origin, by_token)

    def _preflight(self) -> Refusal:
        return Refusal(200, empty=True, headers=self.response_headers.preflight)


def _may_come(request: Request, mount: Mount) -> bool:
    """Whether a token may be in the body: a form, from somebody known or for the login, that is held in memory."""
    if mount.body is not None or not (mount.form or request.user is not None):
        return False
    content_type = (request.getHeader("content-type") or "").partition(";")[0].strip().lower()
    return content_type == "application/x-www-form-urlencoded"


def form_fields(body: bytes) -> dict[str, list[str]]:
    """The fields of a URL-encoded form; empty where it is not one. At most 100 fields are looked at."""
    try:
        return parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=100)
    except ValueError:
        return {}


def _shown(header: str | None) -> str:
    """What a client sent, fit for a message."""
    return (header or "").partition("?")[0][:256]


def _without_token(uri: str) -> str:
    path, mark, query = uri.partition("?")
    kept = [part for part in query.split("&") if part.partition("=")[0] != "token"]
    return path + (mark + "&".join(kept) if mark and kept and kept != [""] else "")
