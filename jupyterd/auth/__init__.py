"""Who asks, and what they may: identity, cookies, XSRF, origins, authorization, the guard in front of all.

What operators' own classes and configuration files use can be imported from here; it is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyterd.auth.authorizer import AllowAllAuthorizer, Authorizer
    from jupyterd.auth.identity import IdentityProvider
    from jupyterd.auth.password_identity import PasswordIdentityProvider
    from jupyterd.auth.passwords import passwd, passwd_check, set_password
    from jupyterd.auth.user import User

__all__ = [
    "AllowAllAuthorizer",
    "Authorizer",
    "IdentityProvider",
    "PasswordIdentityProvider",
    "User",
    "passwd",
    "passwd_check",
    "set_password",
]

_HOMES = {
    "AllowAllAuthorizer": "authorizer",
    "Authorizer": "authorizer",
    "IdentityProvider": "identity",
    "PasswordIdentityProvider": "password_identity",
    "User": "user",
    "passwd": "passwords",
    "passwd_check": "passwords",
    "set_password": "passwords",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
