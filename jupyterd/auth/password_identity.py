"""Stock identity provider: one password or token for the server, names made by chance."""

from __future__ import annotations

import hmac
import os
import sys
from typing import Any, cast

from traitlets import Bool, Unicode, default

from jupyterd.auth.handler import Handler
from jupyterd.auth.identity import UPDATABLE, IdentityProvider
from jupyterd.auth.passwords import passwd_check, set_password
from jupyterd.auth.user import User


class PasswordIdentityProvider(IdentityProvider):
    """Lets in who knows the password, or the token."""

    hashed_password = Unicode(
        "",
        config=True,
        help="The password's hash, as `jupyterd password` makes it: argon2:... or <digest>:<salt>:<hex>.",
    )
    password_required = Bool(
        False, config=True, help="Do not start without a password: for machines that several people log in to."
    )
    allow_password_change = Bool(
        True,
        config=True,
        help="Let who logs in with the token set a password on the login page; it then takes the token's place.",
    )

    @default("need_token")
    def _need_token_default(self) -> bool:
        return not self.hashed_password

    @default("updatable_fields")
    def _updatable_fields_default(self) -> list[str]:
        return list(UPDATABLE)

    @property
    def auth_enabled(self) -> bool:
        """Whether there is a password or a token."""
        return bool(self.hashed_password or self.token)

    def update_user_model(self, current_user: User, user_data: dict[str, str]) -> User:
        """Put the new fields into the user."""
        for field in cast("list[str]", self.updatable_fields):
            if field in user_data:
                setattr(current_user, field, user_data[field])
        current_user.fill_defaults()
        return current_user

    def persist_user_model(self, handler: Handler) -> None:
        """Keep the changed user in the login cookie."""
        self.set_login_cookie(handler, handler.current_user)

    def passwd_check(self, password: str) -> bool:
        """Whether this is the password. Slow on purpose."""
        return passwd_check(self.hashed_password, password)

    def process_login_form(self, handler: Handler) -> User | None:
        """The user of a posted login form; a token together with a new password sets that."""
        if not self.auth_enabled:
            return super().process_login_form(handler)
        typed = handler.get_argument("password", default="", strip=False)
        new_password = handler.get_argument("new_password", default="", strip=False)
        if not new_password and self.hashed_password and self.passwd_check(typed):
            return self.generate_anonymous_user(handler)
        user = super().process_login_form(handler)
        if user is not None and new_password and self.allow_password_change:
            self._change_password(new_password, handler.settings.get("config_dir", ""))
        return user

    def _change_password(self, new_password: str, config_dir: str) -> None:
        config_file = os.path.join(config_dir, "jupyter_server_config.json")
        self.hashed_password = set_password(new_password, config_file)
        self.log.info("Wrote hashed password to %s", config_file)

    def validate_security(self, app: Any, ssl_options: dict[str, Any] | None = None) -> None:
        """Warn of open doors; end the start without a password where one is required."""
        super().validate_security(app, ssl_options)
        if self.password_required and not self.hashed_password:
            self.log.critical("Jupyter servers are configured to only be run with a password.")
            self.log.critical("Hint: run the following command to set a password")
            self.log.critical("\t$ jupyterd password")
            sys.exit(1)

    def cookie_secret_hook(self, h: hmac.HMAC) -> hmac.HMAC:
        """Cookies are void after the password, or a token that somebody chose, has changed.

        A token made by chance at each start stays out of it: else no login would outlive a restart.
        """
        h.update(self.hashed_password.encode())
        if not self.token_generated:
            h.update(b"\0" + self.token.encode())
        return h
