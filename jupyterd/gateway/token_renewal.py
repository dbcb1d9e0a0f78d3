"""Token renewal: where the token for the gateway comes from, each time that one is needed."""

from __future__ import annotations

from typing import Any

from traitlets.config import LoggingConfigurable


class GatewayTokenRenewerBase(LoggingConfigurable):
    """The base of operators' own renewers; the Jupyter Server's is called the same."""

    def get_token(self, auth_header_key: str, auth_scheme: str | None, auth_token: str, **kwargs: Any) -> str:
        """The token to use from now on; called in a thread before each request.

        :param auth_token: the one that was used last.
        """
        raise NotImplementedError


class NoOpTokenRenewer(GatewayTokenRenewerBase):
    """The token of the configuration, for ever."""

    def get_token(self, auth_header_key: str, auth_scheme: str | None, auth_token: str, **kwargs: Any) -> str:
        """See the base."""
        return auth_token
