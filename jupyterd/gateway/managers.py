"""Class names that a gateway's clients have in their configuration: settings written for them count here."""

from __future__ import annotations

from jupyterd.kernels.channels.settings import ZMQChannelsWebsocketConnection
from jupyterd.kernels.manager import AsyncMappingKernelManager
from jupyterd.sessions.manager import SessionManager


class GatewayMappingKernelManager(AsyncMappingKernelManager):
    """The kernels of a gateway."""


class GatewaySessionManager(SessionManager):
    """The sessions on kernels of a gateway."""


class GatewayWebSocketConnection(ZMQChannelsWebsocketConnection):
    """How messages of a gateway's kernels reach websockets."""
