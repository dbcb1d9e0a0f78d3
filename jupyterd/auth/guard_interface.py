"""Server facts: what a request's handler and the cross-site checks know of the server, as a part of the guard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from jupyterd.auth.cookie_secret import CookieKey
    from jupyterd.auth.http.origin_rules import OriginRules
    from jupyterd.web.server.request import Request


class XsrfTokens(Protocol):
    """Gives the tokens that forms have to carry."""

    def token(self, request: Request) -> str:
        """The XSRF token for this request's pages."""


class ServerFacts(Protocol):
    """Settings as they are at each request; see :class:`jupyterd.auth.guard.Guard`, which is one."""

    provider: Any
    authorizer: Any
    base_url: str
    settings: dict[str, Any]
    cookie_key: CookieKey
    origin_rules: OriginRules
    disable_check_xsrf: bool
    xsrf_cookie_options: Mapping[str, Any]

    @property
    def cross_site(self) -> XsrfTokens:
        """The cross-site checks."""

    def remote_ip(self, request: Request) -> str:
        """The client's address; ``unix`` on a UNIX socket."""

    def protocol(self, request: Request) -> str:
        """``https`` or ``http``."""
