"""Identity in the extension host: found out by the daemon; the configured authorizer is asked here too."""

from __future__ import annotations

import inspect
from typing import Any

from jupyter_server.auth import Authorizer, IdentityProvider, User
from tornado.web import RequestHandler

from jupyterd.extension_host.server import claim_of


class DaemonIdentity(IdentityProvider):
    """Believes what the daemon has signed. Logging in and out is the daemon's."""

    def get_user(self, handler: RequestHandler) -> User | None:
        """The user that the daemon has told of; None where it knew nobody."""
        fields = claim_of(handler.request).user
        return User(**fields) if fields.get("username") else None

    def is_token_authenticated(self, handler: RequestHandler) -> bool:
        """The request showed the token."""
        return claim_of(handler.request).by_token

    def should_check_origin(self, handler: RequestHandler) -> bool:
        """The daemon has checked it."""
        return False

    def get_handlers(self) -> list[tuple[str, object]]:
        """None: ``/login`` and its like are the daemon's."""
        return []

    def validate_security(self, app: Any, ssl_options: Any = None) -> None:
        """The daemon has warned of what there is to warn of."""

    @property
    def login_available(self) -> bool:
        """Not here."""
        return False

    @property
    def auth_enabled(self) -> bool:
        """The daemon asks who comes."""
        return True


class ForeignAuthorizer(Authorizer):
    """Asks an authorizer that is written for the daemon.

    :param asked: it.
    """

    def __init__(self, asked: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._asked = asked

    async def is_authorized(self, handler: Any, user: User, action: str, resource: str) -> bool:
        """Whether it says yes."""
        verdict = self._asked.is_authorized(handler, user, action, resource)
        return bool(await verdict if inspect.isawaitable(verdict) else verdict)
