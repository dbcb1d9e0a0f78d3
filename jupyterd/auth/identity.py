"""Identity providers: who a request comes from, with the names and settings that operators and subclasses know."""

from __future__ import annotations

import binascii
import copy
import hmac
import os
import re
from collections.abc import Awaitable
from typing import Any, cast

from traitlets import Any as AnyTrait
from traitlets import Bool, Dict, Enum, List, TraitError, Unicode, default, validate
from traitlets.config import LoggingConfigurable
from twisted.internet.defer import Deferred

from jupyterd.auth.handler import Handler
from jupyterd.auth.http import cookies
from jupyterd.auth.user import User, anonymous_user, from_json, to_json
from jupyterd.web.refusal import Refusal

UPDATABLE = ("name", "display_name", "initials", "avatar_url", "color")
MAX_FIELD = 1024  # characters of one field of a user; the whole has to fit into a cookie

ANYBODY = User("anybody")
"""Stands for whoever shows the token, which says nothing of who that is."""

_NOT_ALPHANUMERIC = re.compile(r"[^A-Za-z0-9]")


class IdentityProvider(LoggingConfigurable):
    """Finds out who a request comes from.

    Subclasses override :meth:`get_user`, or one of the methods that it asks. Each is given a
    :class:`~jupyterd.auth.handler.Handler` and may be an ``async`` (asyncio) function.
    """

    cookie_name = Unicode(
        "", config=True, help="Name of the cookie that keeps a login. Default: username-<host>-<port>."
    )
    cookie_options = Dict(
        config=True, help="More attributes of the login cookie: domain, path, samesite, expires_days ..."
    )
    secure_cookie = Bool(
        None,
        allow_none=True,
        config=True,
        help="Whether the login cookie is for HTTPS only. By default it is when the request came by HTTPS.",
    )
    get_secure_cookie_kwargs = Dict(
        config=True, help="How the login cookie is read: max_age_days says how long a login lasts (31)."
    )
    token = Unicode(
        "<generated>",
        help="""The secret that opens this server: in the query (?token=), in the header "Authorization: token ...",
        or typed into the login page. Taken from JUPYTER_TOKEN or the file that JUPYTER_TOKEN_FILE names; made by
        chance where there is no password. An empty string switches authentication off, which lets everybody who can
        connect run code.""",
    ).tag(config=True)
    login_handler_class = AnyTrait(
        None, allow_none=True, config=True, help="A login class of Tornado's kind; not used."
    )
    logout_handler_class = AnyTrait(
        None, allow_none=True, config=True, help="A logout class of Tornado's kind; not used."
    )
    updatable_fields = List(
        trait=Enum(UPDATABLE),
        default_value=["color"],
        config=True,
        help="Fields of their own identity that users may change.",
    )
    token_in_pages = Bool(
        True,
        config=True,
        help="""Put the token into the pages of JupyterLab and Notebook, for their requests. Off: only into the page of
        who has just shown it; who comes by the cookie goes on with that, and a script that gets into a page finds no
        token. A proxy in front must then pass the Host header on.""",
    )
    trust_unix_peers = Bool(
        False,
        config=True,
        help="""On a UNIX socket (--sock), let in processes of the server's own user without a token, under that user's
        name. The system vouches for them. Not for a socket that a proxy connects to.""",
    )
    unix_peers = List(Unicode(), config=True, help="Other users, by name or uid, whom trust_unix_peers lets in.")
    need_token = Bool(True)
    token_generated = False

    auth_header_pat = re.compile(r"(token|bearer)\s+(.+)", re.IGNORECASE)

    @validate("cookie_options")
    def _known_attributes(self, proposal: Any) -> Any:
        unknown = set(cookies.attributes(proposal.value)) - cookies.ATTRIBUTES
        if unknown:
            raise TraitError(f"cookie_options: {', '.join(sorted(unknown))} is no attribute of a cookie")
        return proposal.value

    @default("token")
    def _token_default(self) -> str:
        self.token_generated = False
        if os.environ.get("JUPYTER_TOKEN"):
            return os.environ["JUPYTER_TOKEN"]
        if os.environ.get("JUPYTER_TOKEN_FILE"):
            return _read_token(os.environ["JUPYTER_TOKEN_FILE"])
        if not self.need_token:
            return ""
        self.token_generated = True
        return binascii.hexlify(os.urandom(24)).decode("ascii")

    # -- who

    def get_user(self, handler: Handler) -> User | Awaitable[User | None] | None:
        """The user of a request; None where it is not known."""
        return self._get_user(handler)

    async def _get_user(self, handler: Handler) -> User | None:
        token_user: User | None = await _settled(self.get_user_token(handler))
        cookie_user: User | None = await _settled(self.get_user_cookie(handler))
        return self._decide(handler, token_user, cookie_user)

    def user_of(self, handler: Handler) -> User | None:
        """What :meth:`get_user` comes to where no subclass has changed anything that it asks."""
        cookie_user = cast("User | None", self.get_user_cookie(handler)) if handler.has_cookies else None
        return self._decide(handler, self._token_user(handler), cookie_user)

    def _decide(self, handler: Handler, token_user: User | None, cookie_user: User | None) -> User | None:
        if token_user is None:
            return cookie_user or self._stranger(handler)
        handler._token_authenticated = True
        if cookie_user is not None:
            return cookie_user if token_user is ANYBODY else token_user
        if not handler.has_argument("token"):
            # A program, which sends its token each time and keeps no cookie: one name for all of them.
            return self._program(handler) if token_user is ANYBODY else token_user
        # A browser that followed a link with a token in it: its next request has the cookie alone.
        user = self.generate_anonymous_user(handler) if token_user is ANYBODY else token_user
        self.set_login_cookie(handler, user)
        return user

    def _stranger(self, handler: Handler) -> User | None:
        cookie_name = self.get_cookie_name(handler)
        if handler.get_cookie(cookie_name) is not None:
            self.log.warning("Clearing invalid/expired login cookie %s", cookie_name)
            self.clear_login_cookie(handler)
        if self.auth_enabled:
            return None
        user = self.generate_anonymous_user(handler)
        self.set_login_cookie(handler, user)  # the same name for the whole of a browser's session
        return user

    def get_token(self, handler: Handler) -> str | None:
        """The token that a request shows: in its query or its Authorization header."""
        if handler.has_argument("token"):
            return cast(str, handler.get_argument("token"))
        match = self.auth_header_pat.match(handler.authorization)
        return match.group(2).strip() if match else ""

    async def get_user_token(self, handler: Handler) -> User | None:
        """The user that a token stands for: the one in the request's cookie, else an anonymous one."""
        found = self._token_user(handler)
        if found is not ANYBODY:
            return found
        known: User | None = await _settled(self.get_user_cookie(handler))
        if known is not None:
            return known
        return self.generate_anonymous_user(handler) if handler.has_argument("token") else self._program(handler)

    def _token_user(self, handler: Handler) -> User | None:
        token = self.token
        given = self.get_token(handler) if token else ""
        if given and hmac.compare_digest(given.encode("utf-8", "replace"), token.encode()):
            return ANYBODY
        return None

    _program_user: User | None = None

    def _program(self, handler: Handler) -> User:
        if type(self).generate_anonymous_user is not IdentityProvider.generate_anonymous_user:
            return self.generate_anonymous_user(handler)
        if self._program_user is None:
            self._program_user = anonymous_user()
        return self._program_user

    def generate_anonymous_user(self, handler: Handler) -> User:
        """A user with a random name: the token is shared and says nothing of who holds it."""
        return anonymous_user()

    # -- the login cookie

    def get_user_cookie(self, handler: Handler) -> User | Awaitable[User | None] | None:
        """The user in the login cookie."""
        text = handler.get_secure_cookie(self.get_cookie_name(handler), **self.get_secure_cookie_kwargs)
        if not text:
            return None
        try:
            return self.user_from_cookie(text.decode())
        except Exception as error:  # noqa: BLE001 - subclasses read their cookies as they like
            self.log.error("Error unpacking user from cookie: %s", type(error).__name__)
            return None

    def user_to_cookie(self, user: User) -> str:
        """The user as text, for the login cookie."""
        return to_json(user)

    def user_from_cookie(self, cookie_value: str) -> User | None:
        """Inverse of :meth:`user_to_cookie`."""
        return from_json(cookie_value)

    def get_cookie_name(self, handler: Handler) -> str:
        """The login cookie's name; several servers on one host do not share it."""
        if self.cookie_name:
            return self.cookie_name
        return _NOT_ALPHANUMERIC.sub("-", f"username-{handler.request.host}")

    def set_login_cookie(self, handler: Handler, user: User) -> None:
        """Keep ``user`` logged in."""
        options = cookies.attributes(self.cookie_options)
        options.setdefault("httponly", True)
        secure = handler.request.protocol == "https" if self.secure_cookie is None else self.secure_cookie
        if secure:
            options.setdefault("secure", True)
        options.setdefault("path", handler.base_url)
        handler.set_secure_cookie(self.get_cookie_name(handler), self.user_to_cookie(user), **options)

    def clear_login_cookie(self, handler: Handler) -> None:
        """Log out the browser that asks."""
        options = cookies.attributes(self.cookie_options)
        path = options.get("path", handler.base_url)
        name = self.get_cookie_name(handler)
        handler.clear_cookie(name, path=path, domain=options.get("domain"))
        if path != "/":
            handler.add_header("Set-Cookie", cookies.clear_cookie(name))

    # -- the identity model

    def identity_model(self, user: User) -> dict[str, Any]:
        """The user as JSON."""
        from dataclasses import asdict, is_dataclass

        return asdict(user) if is_dataclass(user) else dict(vars(user))

    def update_user(self, handler: Handler, user_data: dict[str, str]) -> User:
        """Change the fields of the user who asks, and keep them.

        :raises ValueError: a field is not updatable, or its value is not text.
        """
        self.check_update(user_data)
        handler.current_user = copy.copy(handler.current_user)  # all programs share one
        updated = self.update_user_model(handler.current_user, user_data)
        self.persist_user_model(handler)
        return updated

    def check_update(self, user_data: dict[str, str]) -> None:
        """Refuse fields that are not updatable.

        :raises ValueError: which field.
        """
        for field, value in user_data.items():
            if field not in self.updatable_fields:
                raise ValueError(f"Field {field} is not updatable")
            if value is not None and (not isinstance(value, str) or len(value) > MAX_FIELD):
                raise ValueError(f"Field {field} must be text of at most {MAX_FIELD} characters")

    def update_user_model(self, current_user: User, user_data: dict[str, str]) -> User:
        """Put the new fields into the user."""
        raise NotImplementedError

    def persist_user_model(self, handler: Handler) -> None:
        """Keep the changed user."""
        raise NotImplementedError

    # -- what follows from it

    def refusal(self, handler: Handler, page: bool) -> Refusal | Deferred[Refusal | None] | None:
        """What to answer a request whose user is not known; None for the login page, or 403 to programs.

        :param page: it is for people.
        """
        return None

    def page_config(self, handler: Handler) -> dict[str, Any]:
        """What pages of front ends are told, besides what all are told.

        ``token`` is what they send in place of a cookie. Where it is not for all, who came by a cookie goes on with
        it: a script that gets into the page finds nothing that it could take away.
        """
        return {"token": self.token if self.token_in_pages or self.is_token_authenticated(handler) else ""}

    def should_check_origin(self, handler: Handler) -> bool:
        """Whether foreign pages must be kept out: not where a token was shown, which they can not know."""
        return not self.is_token_authenticated(handler)

    def is_token_authenticated(self, handler: Handler) -> bool:
        """Whether the request showed the token."""
        return bool(getattr(handler, "_token_authenticated", False))

    def get_handlers(self) -> list[tuple[str, Any]]:
        """More routes, as (pattern, Tornado handler class); none here."""
        return []

    def process_login_form(self, handler: Handler) -> User | None:
        """The user of a posted login form; None where the secret in it is wrong. May block: called in a thread."""
        typed = handler.get_argument("password", default="", strip=False)
        if not self.auth_enabled:
            self.log.warning("Accepting anonymous login because auth fully disabled!")
            return self.generate_anonymous_user(handler)
        if self.token and hmac.compare_digest(typed.strip().encode("utf-8", "replace"), self.token.encode()):
            return self.generate_anonymous_user(handler)
        return None

    def validate_security(self, app: Any, ssl_options: dict[str, Any] | None = None) -> None:
        """Warn at start-up of doors that stand open.

        :param app: the settings: ``ip`` is what is listened on, empty for all.
        """
        if not app.ip:
            warning = "WARNING: The Jupyter server is listening on all IP addresses"
            if ssl_options is None:
                app.log.warning("%s and not using encryption. This is not recommended.", warning)
            if not self.auth_enabled:
                app.log.warning(
                    "%s and not using authentication. This is highly insecure and not recommended.", warning
                )
        elif not self.auth_enabled:
            app.log.warning(
                "All authentication is disabled.  Anyone who can connect to this server will be able to run code."
            )

    @property
    def auth_enabled(self) -> bool:
        """Whether anything is asked for at all."""
        return True

    @property
    def login_available(self) -> bool:
        """Whether there is a login page."""
        return self.auth_enabled

    @property
    def logout_available(self) -> bool:
        """Whether there is a logout page."""
        return True

    def cookie_secret_hook(self, h: hmac.HMAC) -> hmac.HMAC:
        """Mix into the cookies' key what makes them void when it changes."""
        return h


async def _settled(value: Any) -> Any:
    """``value``, or what it comes to."""
    return await value if isinstance(value, Awaitable) else value


def _read_token(path: str) -> str:
    """The token in a file that the operator names.

    :raises TraitError: it can not be read.
    """
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise TraitError(f"JUPYTER_TOKEN_FILE can not be read: {error}") from error
