"""Guard and logins of a daemon, from its settings: where they are mounted, and the warnings that operators get."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from traitlets import TraitError
from twisted.internet.interfaces import IReactorTime

from jupyterd.auth.cookie_secret import CookieKey
from jupyterd.auth.guard import Guard
from jupyterd.auth.http.origin_rules import OriginRules
from jupyterd.auth.http.response_headers import ResponseHeaders

if TYPE_CHECKING:
    from jupyterd.settings.server_app import ServerApp
    from jupyterd.system.threads import InThread
    from jupyterd.web.pages import Pages
    from jupyterd.web.root import Root

SMALL_BODY = 64 * 1024
"""Bytes of a login form, which strangers send, and of a report."""

NO_HANDLERS = "%s: its handler for %s is one of Tornado's and is not served here"
NO_LOGIN_CLASS = "%s.%s: login classes of Tornado are not used here; write an identity provider"


def make_guard(server: ServerApp, make: Callable[..., Any], clock: IReactorTime) -> Guard:
    """The guard of one daemon.

    :param make: builds the class that a setting of ``server`` names.
    """
    provider = server.identity_provider
    configured = dict(server.tornado_settings)
    return Guard(
        provider,
        _authorizer(make, provider),
        _doors(server),
        CookieKey(server.cookie_secret_file, server.cookie_secret),
        clock,
        _headers(server),
        server.base_url,
        trust_xheaders=server.trust_xheaders,
        disable_check_xsrf=server.disable_check_xsrf,
        xsrf_cookie_options=configured.get("xsrf_cookie_kwargs", {}),
        tell_unknown_paths=server.allow_unauthenticated_access,
        trust_peers=getattr(provider, "trust_unix_peers", False),
        trusted_peers=tuple(getattr(provider, "unix_peers", ())),
        settings=_settings(server, configured),
    )


def mount(root: Root, guard: Callable[[], Guard]) -> None:
    """``/api/me`` and what browsers report."""

    def identity() -> Any:
        from jupyterd.auth.resource import IdentityResource

        return IdentityResource(guard()).app.resource()

    def reports() -> Any:
        from jupyterd.auth.resource import ReportResource

        return ReportResource().app.resource()

    root.mount("/api/me", identity, auth="", writes="api", exact=True)
    root.mount("/api/security/csp-report", reports, auth="csp", exact=True, reports=True, max_body=SMALL_BODY)


def mount_login(root: Root, guard: Callable[[], Guard], pages: Callable[[], Pages], in_thread: InThread) -> None:
    """The login pages.

    :param in_thread: where passwords are hashed.
    """

    def login() -> Any:
        from jupyterd.auth.login import LoginPages

        return LoginPages(guard(), pages(), in_thread).app.resource()

    root.mount(
        ["/login", "/logout"], login, auth="", public=True, page=True, form=True, exact=True, max_body=SMALL_BODY
    )


def refresh(guard: Guard, server: ServerApp) -> None:
    """Use what ``server``, the settings read again, says of passwords, tokens, origins and headers.

    Logins end where the password, or a token that somebody chose, is another one.
    """
    old: Any = guard.provider
    new = server.identity_provider
    token = new.token
    old.hashed_password = getattr(new, "hashed_password", "")
    if not new.token_generated:
        old.token, old.token_generated = token, False
    guard.origin_rules = _doors(server)
    guard.trust_xheaders = server.trust_xheaders
    guard.disable_check_xsrf = server.disable_check_xsrf
    guard.tell_unknown_paths = server.allow_unauthenticated_access
    guard.response_headers = _headers(server)


def warn(server: ServerApp, tls: bool) -> None:
    """Say at the start which doors stand open.

    :param tls: connections are encrypted.
    :raises SystemExit: a password is required and there is none.
    """
    for owner in (server, server.identity_provider):
        for name in ("login_handler_class", "logout_handler_class"):
            if not _is_stock(getattr(owner, name, None)):
                server.log.warning(NO_LOGIN_CLASS, type(owner).__name__, name)
    for pattern, _handler, *_ in server.identity_provider.get_handlers():
        if pattern not in ("/login", "/logout"):
            server.log.warning(NO_HANDLERS, type(server.identity_provider).__name__, pattern)
    server.identity_provider.validate_security(server, ssl_options={} if tls else None)


def _is_stock(kind: Any) -> bool:
    """Whether a login class is none, or one of the reference's own, whose work is done here."""
    return not kind or f"{getattr(kind, '__module__', '')}.{kind}".lstrip(".").startswith("jupyter_server.auth.")


def _authorizer(make: Callable[..., Any], provider: Any) -> Any:
    try:
        return make("authorizer_class", identity_provider=provider)
    except TraitError:
        # A class of another server's family only takes a provider of that family; most never look at it.
        return make("authorizer_class")


def _headers(server: ServerApp) -> ResponseHeaders:
    configured = server.tornado_settings
    return ResponseHeaders(server.base_url, configured.get("headers"), configured.get("csp_report_uri"))


def _doors(server: ServerApp) -> OriginRules:
    return OriginRules(
        server.allow_remote_access,
        tuple(name.lower() for name in server.local_hostnames),
        server.allow_origin,
        re.compile(server.allow_origin_pat) if server.allow_origin_pat else None,
        server.allow_credentials,
    )


def _settings(server: ServerApp, configured: dict[str, Any]) -> dict[str, Any]:
    return {
        "base_url": server.base_url,
        "config": server.config,
        "config_dir": server.config_dir,
        "cookie_options": getattr(server.identity_provider, "cookie_options", {}),
        "identity_provider": server.identity_provider,
        "login_url": f"{server.base_url}login",
        "serverapp": server,
        "token": server.identity_provider.token,
        **configured,
    }
