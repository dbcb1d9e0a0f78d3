"""Handler: a request as identity providers and authorizers see it, with what they use of a Tornado handler.

Nothing is parsed before it is asked for; a request with a token in its header costs one small object.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from jupyterd.auth.handler_request import HandlerRequest, parse_cookies
from jupyterd.auth.http import cookies
from jupyterd.auth.http import signed_values as signing
from jupyterd.errors import Invalid
from jupyterd.web.server.plain_head import kept_name

if TYPE_CHECKING:
    from jupyterd.auth.guard_interface import ServerFacts
    from jupyterd.web.server.request import Request

_log = logging.getLogger("jupyterd.auth")
_MISSING: Any = object()
AUTHORIZATION, COOKIE = kept_name(b"Authorization"), kept_name(b"Cookie")


class Handler:
    """One request as providers, authorizers and login classes see it.

    :ivar current_user: who asks, once that is known.
    :ivar form: the fields of a posted form, on the login page.
    :ivar xsrf_shown: the XSRF token in the form that this request's page has, once it was asked for.
    """

    __slots__ = (
        "__dict__",
        "_cookies",
        "_guard",
        "_request",
        "_token_authenticated",
        "_web",
        "current_user",
        "form",
        "xsrf_shown",
    )

    def __init__(self, guard: ServerFacts, request: Request) -> None:
        self._guard = guard
        self._web = request
        self._token_authenticated = False
        self._cookies: dict[str, str] | None = None
        self.xsrf_shown: str | None = None
        self.current_user: Any = None
        self.form: Mapping[str, list[str]] | None = None
        self._request: HandlerRequest | None = None

    @property
    def request(self) -> HandlerRequest:
        """Method, URI, headers, and where the request came from."""
        if self._request is None:
            self._request = HandlerRequest(self._guard, self._web)
        return self._request

    @property
    def has_cookies(self) -> bool:
        """The request has a Cookie header."""
        return COOKIE in self._web.requestHeaders._rawHeaders

    @property
    def authorization(self) -> str:
        """The Authorization header; empty where there is none."""
        sent = self._web.requestHeaders._rawHeaders.get(AUTHORIZATION)
        return b",".join(sent).decode("latin-1") if sent else ""

    # -- what is around the request

    @property
    def base_url(self) -> str:
        """What all paths of this server begin with, slash at both ends."""
        return self._guard.base_url

    @property
    def settings(self) -> dict[str, Any]:
        """Settings by the names that Tornado's application has them under."""
        return self._guard.settings

    @property
    def identity_provider(self) -> Any:
        """The server's identity provider."""
        return self._guard.provider

    @property
    def authorizer(self) -> Any:
        """The server's authorizer."""
        return self._guard.authorizer

    @property
    def token(self) -> str:
        """The server's token."""
        return self._guard.provider.token or ""

    @property
    def token_authenticated(self) -> bool:
        """The request showed the token."""
        return bool(self._guard.provider.is_token_authenticated(self))

    @property
    def logged_in(self) -> bool:
        """Somebody is known."""
        return self.current_user is not None

    @property
    def login_available(self) -> bool:
        """Logging in is possible."""
        return bool(self._guard.provider.login_available)

    @property
    def log(self) -> logging.Logger:
        """A standard logger."""
        return _log

    # -- reading

    def get_argument(self, name: str, default: Any = _MISSING, strip: bool = True) -> Any:
        """The last value of a query argument or form field.

        :raises Invalid: there is none, and no default.
        """
        return _last(self.get_arguments(name, strip), name, default)

    def get_arguments(self, name: str, strip: bool = True) -> list[str]:
        """All values of a query argument and form field, the form's last."""
        return self.get_query_arguments(name, strip) + self.get_body_arguments(name, strip)

    def get_query_argument(self, name: str, default: Any = _MISSING, strip: bool = True) -> Any:
        """The last value of a query argument. Raises ``Invalid``, as :meth:`get_argument`."""
        return _last(self.get_query_arguments(name, strip), name, default)

    def get_query_arguments(self, name: str, strip: bool = True) -> list[str]:
        """All values of a query argument."""
        values = [value.decode("utf-8", "replace") for value in self._web.args.get(name.encode(), ())]
        return [value.strip() for value in values] if strip else values

    def get_body_argument(self, name: str, default: Any = _MISSING, strip: bool = True) -> Any:
        """The last value of a form field. Raises ``Invalid``, as :meth:`get_argument`."""
        return _last(self.get_body_arguments(name, strip), name, default)

    def get_body_arguments(self, name: str, strip: bool = True) -> list[str]:
        """All values of a form field."""
        values = list((self.form or {}).get(name, ()))
        return [value.strip() for value in values] if strip else values

    def has_argument(self, name: str) -> bool:
        """Whether there is a query argument that is not empty."""
        return bool(self._web.args) and any(self._web.args.get(name.encode(), ()))

    @property
    def cookies(self) -> dict[str, str]:
        """The request's cookies."""
        if self._cookies is None:
            self._cookies = parse_cookies(self._web)
        return self._cookies

    def get_cookie(self, name: str, default: str | None = None) -> str | None:
        """A cookie of the request."""
        return self.cookies.get(name, default)

    def get_secure_cookie(
        self, name: str, value: str | None = None, max_age_days: float = 31, min_version: int | None = None
    ) -> bytes | None:
        """A cookie that this server signed; None where it did not, or too long ago."""
        signed = self.get_cookie(name) if value is None else value
        if not signed:
            return None
        secret = self._guard.cookie_key.key(self._guard.provider)
        text = signing.unsign(secret, name, signed, time.time(), max_age_days)
        return None if text is None else text.encode()

    get_signed_cookie = get_secure_cookie

    # -- answering

    def set_cookie(self, name: str, value: str | bytes, expires_days: float | None = None, **options: Any) -> None:
        """Set a cookie in the answer; one of the same name and path that was set before is replaced."""
        text = value.decode() if isinstance(value, bytes) else value
        if expires_days is not None and options.get("expires") is None:
            options["expires"] = time.time() + expires_days * cookies.DAY
        options = {key: setting for key, setting in cookies.attributes(options).items() if setting is not None}
        send_cookie(self._web, cookies.set_cookie(name, text, **options))

    def set_secure_cookie(
        self, name: str, value: str | bytes, expires_days: float | None = 30, version: int | None = None, **options: Any
    ) -> None:
        """Set a cookie that :meth:`get_secure_cookie` reads again."""
        text = value.decode() if isinstance(value, bytes) else value
        secret = self._guard.cookie_key.key(self._guard.provider)
        self.set_cookie(name, signing.sign(secret, name, text, time.time()), expires_days, **options)

    set_signed_cookie = set_secure_cookie

    def clear_cookie(self, name: str, path: str = "/", domain: str | None = None, **_options: Any) -> None:
        """Make the client forget a cookie."""
        send_cookie(self._web, cookies.clear_cookie(name, path, domain))

    def set_header(self, name: str, value: Any) -> None:
        """Set a header of the answer."""
        self._web.setHeader(name.encode("ascii"), str(value).encode("latin-1", "replace"))

    def add_header(self, name: str, value: Any) -> None:
        """Add a header to the answer."""
        line = str(value).encode("latin-1", "replace")
        if name.lower() == "set-cookie":
            self._web.cookies.append(line)
        else:
            self._web.responseHeaders.addRawHeader(name.encode("ascii"), line)

    @property
    def xsrf_token(self) -> bytes:
        """The token that this request's forms must carry; sets its cookie where there is none."""
        return self._guard.cross_site.token(self._web).encode()

    def static_url(self, path: str) -> str:
        """The URL of a static asset."""
        return f"{self.base_url}static/{quote(path)}"


def _last(values: list[str], name: str, default: Any) -> Any:
    if values:
        return values[-1]
    if default is _MISSING:
        raise Invalid(f"Missing argument {name}")
    return default


def send_cookie(request: Request, cookie: str) -> None:
    """Set a cookie in the answer; one of the same name that waits to be sent is replaced."""
    name = cookie.partition("=")[0].encode() + b"="
    request.cookies = [sent for sent in request.cookies if not sent.startswith(name)]
    request.cookies.append(cookie.encode("latin-1", "replace"))
