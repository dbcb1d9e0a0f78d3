"""Authorizers: who may do what. The interface, and the stock one that trusts everybody who is logged in."""

from __future__ import annotations

from collections.abc import Awaitable

from traitlets import Any as AnyTrait
from traitlets.config import LoggingConfigurable

from jupyterd.auth.handler import Handler
from jupyterd.auth.user import User

READING = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that are judged as ``read``; the mount says what others are, and a websocket is ``execute``."""


class Authorizer(LoggingConfigurable):
    """Decides on each request of a known user. Set by ``ServerApp.authorizer_class``."""

    identity_provider = AnyTrait(help="The identity provider that users come from.")

    def is_authorized(self, handler: Handler, user: User, action: str, resource: str) -> Awaitable[bool] | bool:
        """Whether ``user`` may do ``action`` to ``resource``. May be an ``async`` (asyncio) function.

        :param action: ``read``, ``write`` or ``execute``.
        :param resource: ``api``, ``contents``, ``kernels``, ``kernelspecs``, ``sessions``, ``terminals``,
            ``events``, ``config``, ``nbconvert``, ``server``, ``csp``, ``view`` ...
        """
        raise NotImplementedError


class AllowAllAuthorizer(Authorizer):
    """Who is logged in may do everything."""

    def is_authorized(self, handler: Handler, user: User, action: str, resource: str) -> bool:
        """Yes."""
        return True
