"""Gateway of a daemon: its client, its launcher and its network, from the settings."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.web.client import Agent, CookieAgent, HTTPConnectionPool

from jupyterd.gateway import ENVIRONMENT
from jupyterd.gateway.channel_sockets import LinkNetwork
from jupyterd.gateway.client import Gateway, UnixEndpoints
from jupyterd.gateway.credentials import Credentials
from jupyterd.gateway.interfaces import Backoff, LinkEnd, Wire
from jupyterd.gateway.kernelspecs import GatewaySpecs
from jupyterd.gateway.launcher import GatewayLauncher
from jupyterd.gateway.managers import GatewayWebSocketConnection
from jupyterd.gateway.polling import GatewayPolling
from jupyterd.gateway.settings import GatewayClient
from jupyterd.gateway.tls import GatewayPolicy
from jupyterd.system.threads import InThread

if TYPE_CHECKING:
    from jupyterd.settings.load import Settings

IDLE = 20
"""Seconds that an unused connection is kept: less than servers and proxies keep it, so that it is not used too late."""

MAX_REPEATS = 10


@dataclass(frozen=True)
class Engine:
    """What stands in the places of local kernelspecs, processes and sockets."""

    connection: GatewayWebSocketConnection
    specs: GatewaySpecs
    launcher: GatewayLauncher
    network: LinkNetwork
    service: Service


def engine(
    reactor: Any,
    settings: Settings,
    in_thread: InThread,
    emit: Callable[[str, dict[str, Any]], None],
    default_is: Callable[[str], None],
) -> Engine:
    """The gateway that the settings name.

    :param default_is: told which kernelspec is the gateway's default.
    """
    client = GatewayClient(parent=settings.server)
    connection = GatewayWebSocketConnection(parent=settings.server)
    Logger().info("Kernels run on the gateway at {url}", url=client.shown_url)
    policy = GatewayPolicy(client)
    pool = HTTPConnectionPool(reactor)
    pool.cachedConnectionTimeout = IDLE
    if str(client.url).lower().startswith("http+unix:"):
        endpoints = UnixEndpoints(reactor, client.connect_timeout)
        agent: Any = Agent.usingEndpointFactory(reactor, endpoints, pool=pool)
    else:
        agent = Agent(reactor, policy, connectTimeout=client.connect_timeout, pool=pool)
    credentials = Credentials(client, _renewer(client), in_thread)
    if credentials.jar is not None:
        agent = CookieAgent(agent, credentials.jar)
    gateway = Gateway(reactor, client, credentials, agent, emit, _repeats())
    specs = GatewaySpecs(gateway, settings.server.base_url, default_is)
    launcher = GatewayLauncher(gateway, specs)

    def dial(kernel_id: str, session: str, end: LinkEnd) -> Deferred[Wire]:
        from jupyterd.gateway.channels_websocket import Dialer

        dialer = Dialer(reactor, client, credentials, policy, connection.ping)
        return Deferred.fromCoroutine(dialer.dial(kernel_id, session, end))

    backoff = Backoff(client.gateway_retry_interval, client.gateway_retry_interval_max, client.gateway_retry_max)
    watch = GatewayPolling(reactor, gateway, launcher, pool.closeCachedConnections)
    network = LinkNetwork(reactor, dial, backoff, lambda: _zeromq(reactor))
    return Engine(connection, specs, launcher, network, watch)


def _renewer(client: GatewayClient) -> Any:
    from jupyterd.compat.class_names import resolve

    return resolve(client.gateway_token_renewer_class)(parent=client, log=client.log)


def _repeats() -> int:
    text = os.environ.get(f"{ENVIRONMENT}MAX_REQUEST_RETRIES", "2")
    return max(0, min(int(text), MAX_REPEATS)) if text.isdecimal() else 2


def _zeromq(reactor: Any) -> Any:
    from jupyterd.kernels.zeromq.sockets import network_of

    return network_of(reactor)
