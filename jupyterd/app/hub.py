"""Hub of a daemon: where a JupyterHub has started the server, it says who comes in."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twisted.application.service import MultiService, Service

from jupyterd.auth.cookie_secret import CookieKey
from jupyterd.auth.http.response_headers import ResponseHeaders
from jupyterd.hub.cache import TokenCache
from jupyterd.hub.client import VERSION_HEADER, Hub
from jupyterd.hub.environment import MARK
from jupyterd.hub.greeting import SPOKEN, Greeting
from jupyterd.hub.identity import JupyterHubIdentityProvider
from jupyterd.hub.login_state import Logins
from jupyterd.hub.xsrf import HubCrossSiteChecks

if TYPE_CHECKING:
    from treq.client import HTTPClient

    from jupyterd.auth.guard import Guard
    from jupyterd.hub.settings import HubOAuth
    from jupyterd.kernels.kernel import Kernel
    from jupyterd.settings.server_app import ServerApp
    from jupyterd.status.activity import Activity
    from jupyterd.web.root import Root

CONNECT = 10.0
IDLE = 20
"""Seconds that an unused connection is kept."""
HOLD = 1.0
"""Seconds, at most, that the first requests wait for the Hub's version, which their answers repeat."""


class HubSide:
    """What a server below a Hub has and others have not.

    :param server: the settings; its identity provider is the Hub's.
    :param http: makes the HTTP client, with the first request to the Hub.
    """

    def __init__(self, reactor: Any, server: ServerApp, http: Callable[[], HTTPClient] | None = None) -> None:
        self._reactor = reactor
        self._server = server
        self._version = SPOKEN
        self.provider: JupyterHubIdentityProvider = server.identity_provider
        settings = self.provider.hub_auth
        self.hub = Hub(reactor, settings, http or (lambda: _http(reactor, settings)))
        self.logins = Logins(reactor, settings, self.hub)
        users: TokenCache[Any] = TokenCache(reactor, settings.cache_max_age, settings.cache_size)
        self.provider.serve(self.hub, users, self.logins)

    @property
    def page_variables(self) -> dict[str, str]:
        """What our own pages know of the Hub."""
        settings = self.provider.hub_auth
        return {
            "hub_control_panel_url": settings.page("home"),
            "hub_server_name": self.provider.singleuser.server_name,
            "hub_server_user": self.provider.singleuser.user,
            "logo_url": settings.page("logo"),
        }

    def post(self, guard: Guard) -> Guard:
        """Give a guard the Hub's rules."""
        guard.cross_site = HubCrossSiteChecks(guard, self.provider)
        if not {"cookie_secret", "cookie_secret_file"} & set(self._server.config.get("ServerApp", {})):
            # No file, which a home may not take: as good as the server's token, and void with it.
            secret = hashlib.sha256(b"jupyterd cookies\0" + self.provider.hub_auth.api_token.encode()).digest()
            guard.cookie_key = CookieKey("", secret)
        self.dress(guard, self._server)
        return guard

    def dress(self, guard: Guard, server: ServerApp) -> None:
        """Give answers the headers that a Hub looks for; pages of other servers may not frame ours."""
        configured = server.tornado_settings
        guard.response_headers = ResponseHeaders(
            server.base_url,
            {VERSION_HEADER: self._version, **(configured.get("headers") or {})},
            configured.get("csp_report_uri"),
            frames="'none'",
        )

    def mount(self, root: Root, guard: Callable[[], Guard]) -> None:
        """The way to the Hub, back from it, and out."""

        def pages() -> Any:
            from jupyterd.hub.oauth_pages import HubPages

            return HubPages(guard(), self.provider, self.hub, self.logins).app.resource()

        paths = ["/login", "/logout", "/oauth_callback"]
        root.mount(paths, pages, auth="", public=True, page=True, exact=True, max_body=0)

    def service(
        self, guard: Callable[[], Guard], activity: Activity, kernels: Callable[[], Iterable[Kernel]]
    ) -> MultiService:
        """What talks to the Hub while the server runs."""
        services = MultiService()
        _Mark().setServiceParent(services)
        self.provider.hold(self._reactor, HOLD)

        def known(version: str) -> None:
            self._version = version
            self.dress(guard(), self._server)
            self.provider.settle()

        Greeting(self._reactor, self.hub, known, self.provider.settle).setServiceParent(services)
        place = self.provider.singleuser
        if place.hub_activity_url and place.hub_activity_interval:
            from jupyterd.hub.activity import ActivityReports

            def last_use() -> float:
                if any(kernel.execution_state == "busy" for kernel in kernels()):
                    return float(self._reactor.seconds())  # a cell that says nothing works all the same
                return activity.last_work()

            url = place.hub_activity_url
            ActivityReports(
                self._reactor,
                lambda body: self.hub.post(url, body),
                last_use,
                activity.text,
                float(place.hub_activity_interval),
                place.server_name,
            ).setServiceParent(services)
        return services


class _Mark(Service):
    """Lets what runs below this server know that the Hub's variables are not meant for it."""

    def startService(self) -> None:
        super().startService()
        os.environ[MARK] = str(os.getpid())  # now, as twistd forks before


@dataclass
class _Files:
    """The files of internal TLS."""

    client_cert: str | None
    client_key: str | None
    ca_certs: str | None
    validate_cert: bool = True


def _http(reactor: Any, settings: HubOAuth) -> HTTPClient:
    from treq.client import HTTPClient
    from twisted.web.client import Agent, BrowserLikePolicyForHTTPS, HTTPConnectionPool

    policy: Any = BrowserLikePolicyForHTTPS()
    if settings.client_ca or settings.certfile:
        from jupyterd.gateway.tls import GatewayPolicy

        files = _Files(settings.certfile or None, settings.keyfile or None, settings.client_ca or None)
        policy = GatewayPolicy(files)
    pool = HTTPConnectionPool(reactor)
    pool.cachedConnectionTimeout = IDLE
    return HTTPClient(Agent(reactor, policy, connectTimeout=CONNECT, pool=pool))
