"""Settings of a server below a Hub, by the names that operators know: ``HubOAuth`` and ``JupyterHubSingleUser``."""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.parse import urlencode

from traitlets import Bool, Dict, Integer, Set, TraitError, Unicode, default, observe, validate
from traitlets.config import LoggingConfigurable

from jupyterd.hub.environment import flag
from jupyterd.utils import url_path_join


def _env(name: str) -> str:
    return os.environ.get(name, "")


class HubAuth(LoggingConfigurable):
    """Where the Hub is and what is asked there; values come from the environment that the Hub gives its servers."""

    hub_host = Unicode(
        config=True, help="The Hub's public host, where servers have hosts of their own. (env: JUPYTERHUB_HOST)"
    )
    hub_prefix = Unicode(config=True, help="The Hub's path: /hub/. (env: JUPYTERHUB_BASE_URL, which is what is above)")
    base_url = Unicode(config=True, help="This server's path: /user/name/. (env: JUPYTERHUB_SERVICE_PREFIX)")
    api_url = Unicode(config=True, help="The Hub's API, as seen from here. (env: JUPYTERHUB_API_URL)")
    api_token = Unicode(config=True, help="This server's own token at the Hub. (env: JUPYTERHUB_API_TOKEN)")
    login_url = Unicode(config=True, help="Where browsers are sent to log in; by default what the Hub needs is in it.")
    keyfile = Unicode(config=True, help="Key of the certificate below. (env: JUPYTERHUB_SSL_KEYFILE)")
    certfile = Unicode(config=True, help="Certificate to show to the Hub. (env: JUPYTERHUB_SSL_CERTFILE)")
    client_ca = Unicode(config=True, help="Authorities of the Hub's certificate. (env: JUPYTERHUB_SSL_CLIENT_CA)")
    allow_token_in_url = Bool(
        config=True,
        help="""Take ?token=... in the URLs of pages too; websockets may always have it.
        (env: JUPYTERHUB_ALLOW_TOKEN_IN_URL)""",
    )
    allow_websocket_cookie_auth = Bool(
        config=True,
        help="""Let websockets in by cookie. Where all users share one host, a page of one user's server can open
        websockets of another's in this way; JupyterLab needs it. (env: JUPYTERHUB_ALLOW_WEBSOCKET_COOKIE_AUTH)""",
    )
    cookie_options = Dict(config=True, help="More attributes of cookies. (env: JUPYTERHUB_COOKIE_OPTIONS, as JSON)")
    cookie_host_prefix_enabled = Bool(
        config=True,
        help="""Cookies with the prefix __Host-, which are for / and HTTPS alone: where users have hosts of their own.
        (env: JUPYTERHUB_COOKIE_HOST_PREFIX_ENABLED)""",
    )
    cookie_cache_max_age = Integer(help="Deprecated, use cache_max_age.", config=True)
    cache_max_age = Integer(
        300,
        config=True,
        help="""Seconds that the Hub's word on a token counts; 0: for ever. What is revoked there is refused here after
        this time at the latest; when the Hub is away, who is in stays in for as long.""",
    )
    cache_size = Integer(1024, min=1, config=True, help="Tokens that are remembered; the ones used last.")
    access_scopes = Set(
        Unicode(),
        config=True,
        help="Scopes of which one lets in. (env: JUPYTERHUB_OAUTH_ACCESS_SCOPES, before 3.0 JUPYTERHUB_OAUTH_SCOPES)",
    )

    @default("hub_host")
    def _hub_host_default(self) -> str:
        return _env("JUPYTERHUB_HOST")

    @default("hub_prefix")
    def _hub_prefix_default(self) -> str:
        return url_path_join(_env("JUPYTERHUB_BASE_URL") or "/", "hub") + "/"

    @default("base_url")
    def _base_url_default(self) -> str:
        return _slashed(_env("JUPYTERHUB_SERVICE_PREFIX"))

    @default("api_url")
    def _api_url_default(self) -> str:
        return _env("JUPYTERHUB_API_URL") or "http://127.0.0.1:8081" + url_path_join(self.hub_prefix, "api")

    @default("api_token")
    def _api_token_default(self) -> str:
        return _env("JUPYTERHUB_API_TOKEN")

    @default("keyfile")
    def _keyfile_default(self) -> str:
        return _env("JUPYTERHUB_SSL_KEYFILE")

    @default("certfile")
    def _certfile_default(self) -> str:
        return _env("JUPYTERHUB_SSL_CERTFILE")

    @default("client_ca")
    def _client_ca_default(self) -> str:
        return _env("JUPYTERHUB_SSL_CLIENT_CA")

    @default("allow_token_in_url")
    def _allow_token_in_url_default(self) -> bool:
        return flag(os.environ, "JUPYTERHUB_ALLOW_TOKEN_IN_URL")

    @default("allow_websocket_cookie_auth")
    def _allow_websocket_cookie_auth_default(self) -> bool:
        return flag(os.environ, "JUPYTERHUB_ALLOW_WEBSOCKET_COOKIE_AUTH", default=True)

    @default("cookie_options")
    def _cookie_options_default(self) -> dict[str, Any]:
        return dict(_json("JUPYTERHUB_COOKIE_OPTIONS", dict) or {})

    @default("cookie_host_prefix_enabled")
    def _cookie_host_prefix_enabled_default(self) -> bool:
        return flag(os.environ, "JUPYTERHUB_COOKIE_HOST_PREFIX_ENABLED")

    @default("access_scopes")
    def _access_scopes_default(self) -> set[str]:
        for name in ("JUPYTERHUB_OAUTH_ACCESS_SCOPES", "JUPYTERHUB_OAUTH_SCOPES"):
            if _env(name):
                return {str(scope) for scope in _json(name, list)}
        service = _env("JUPYTERHUB_SERVICE_NAME")
        return {f"access:services!service={service}"} if service else set()

    @validate("base_url")
    def _valid_base_url(self, proposal: Any) -> str:
        return _slashed(proposal.value)

    @observe("cookie_cache_max_age")
    def _cookie_cache_max_age_given(self, change: Any) -> None:
        self.log.warning("cookie_cache_max_age is deprecated, use cache_max_age")
        self.cache_max_age = change.new

    # -- what follows from them

    @property
    def cookie_path(self) -> str:
        """Where the login cookies count: below this server alone, but for those that have to count everywhere."""
        return "/" if self.cookie_host_prefix_enabled else self.base_url

    def page(self, name: str) -> str:
        """The URL of one of the Hub's pages (``home``, ``logout``), as browsers see it."""
        return self.hub_host + url_path_join(self.hub_prefix, name)


class HubOAuth(HubAuth):
    """How browsers log in. Settings written for ``HubAuth`` count too."""

    oauth_client_id = Unicode(config=True, help="This server's name as an OAuth client. (env: JUPYTERHUB_CLIENT_ID)")
    oauth_redirect_uri = Unicode(
        config=True, help="Where the Hub sends browsers back to. (env: JUPYTERHUB_OAUTH_CALLBACK_URL)"
    )
    oauth_authorization_url = Unicode(config=True, help="Where browsers ask the Hub; by default below hub_prefix.")
    oauth_token_url = Unicode(config=True, help="Where a code becomes a token; default: below api_url.")
    oauth_state_max_age = Integer(600, min=1, config=True, help="Seconds that a login may take.")
    pkce_enabled = Bool(True, config=True, help="Prove with PKCE that who began a login ends it.")

    @default("oauth_client_id")
    def _oauth_client_id_default(self) -> str:
        return _env("JUPYTERHUB_CLIENT_ID")

    @default("oauth_redirect_uri")
    def _oauth_redirect_uri_default(self) -> str:
        return _env("JUPYTERHUB_OAUTH_CALLBACK_URL") or url_path_join(self.base_url, "oauth_callback")

    @default("oauth_authorization_url")
    def _oauth_authorization_url_default(self) -> str:
        return self.page("api/oauth2/authorize")

    @default("oauth_token_url")
    def _oauth_token_url_default(self) -> str:
        return url_path_join(self.api_url, "oauth2/token")

    @default("login_url")
    def _login_url_default(self) -> str:
        asked = {
            "client_id": self.oauth_client_id,
            "redirect_uri": self.oauth_redirect_uri,
            "response_type": "code",
        }
        return f"{self.oauth_authorization_url}?{urlencode(asked)}"

    @property
    def cookie_name(self) -> str:
        """The name of the login cookie: another one for each server."""
        return f"__Host-{self.oauth_client_id}" if self.cookie_host_prefix_enabled else self.oauth_client_id

    @property
    def state_cookie_name(self) -> str:
        """What the names of cookies begin with that live while a login is under way."""
        return f"{self.cookie_name}-oauth-state"


class JupyterHubSingleUser(LoggingConfigurable):
    """This server's place at the Hub."""

    hub_activity_url = Unicode(config=True, help="Where activity is told. (env: JUPYTERHUB_ACTIVITY_URL)")
    hub_activity_interval = Integer(
        config=True,
        min=0,
        help="Seconds between that, give or take a tenth; 0: never. (env: JUPYTERHUB_ACTIVITY_INTERVAL)",
    )
    server_name = Unicode(help="The name of this server among its user's; empty for the one without a name.")
    user = Unicode(config=True, help="The user whose server this is. (env: JUPYTERHUB_USER)")
    group = Unicode(config=True, help="No effect here; accepted so that command lines can stay as they are.")
    disable_user_config = Bool(
        config=True, help="Read no settings from the user's home. (env: JUPYTERHUB_DISABLE_USER_CONFIG)"
    )

    @default("hub_activity_url")
    def _hub_activity_url_default(self) -> str:
        return _env("JUPYTERHUB_ACTIVITY_URL")

    @default("hub_activity_interval")
    def _hub_activity_interval_default(self) -> int:
        text = _env("JUPYTERHUB_ACTIVITY_INTERVAL") or "300"
        if not text.isdecimal():
            raise TraitError(f"JUPYTERHUB_ACTIVITY_INTERVAL is {text!r}, which is no number of seconds")
        return int(text)

    @default("server_name")
    def _server_name_default(self) -> str:
        return _env("JUPYTERHUB_SERVER_NAME")

    @default("user")
    def _user_default(self) -> str:
        return _env("JUPYTERHUB_USER")

    @default("disable_user_config")
    def _disable_user_config_default(self) -> bool:
        return flag(os.environ, "JUPYTERHUB_DISABLE_USER_CONFIG")


def _slashed(path: str) -> str:
    inner = path.strip("/")
    return f"/{inner}/" if inner else "/"


def _json(name: str, kind: type) -> Any:
    """A variable that holds JSON.

    :raises TraitError: it does not, or of another kind.
    """
    text = _env(name)
    if not text:
        return None
    try:
        value = json.loads(text)
    except ValueError:
        raise TraitError(f"{name} is no JSON") from None
    if not isinstance(value, kind):
        raise TraitError(f"{name} must be a JSON {'object' if kind is dict else 'list'}")
    return value
