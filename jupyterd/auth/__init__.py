"""Authentication and authorization: identity, cookies, XSRF, origins, the guard in front of all.

What operators' own classes and configuration files use can be imported from here; it is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyterd.system.imports.lazy_names import lazy_names

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

HOMES = {
    "AllowAllAuthorizer": "authorizer",
    "Authorizer": "authorizer",
    "IdentityProvider": "identity",
    "PasswordIdentityProvider": "password_identity",
    "User": "user",
    "passwd": "passwords",
    "passwd_check": "passwords",
    "set_password": "passwords",
}
"""The module of each name below this package."""

__getattr__ = lazy_names(__name__, HOMES)
