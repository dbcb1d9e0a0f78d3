"""Kernels: started, stopped, restarted, culled; their messages on their way from ZeroMQ to websockets and back.

What operators' own classes and configuration files use can be imported from here; it is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyterd.system.imports.lazy_names import lazy_names

if TYPE_CHECKING:
    from jupyterd.kernels.channels.settings import ZMQChannelsWebsocketConnection
    from jupyterd.kernels.manager import AsyncMappingKernelManager, MappingKernelManager
    from jupyterd.kernels.process.kernel_manager import ServerKernelManager

__all__ = [
    "AsyncMappingKernelManager",
    "MappingKernelManager",
    "ServerKernelManager",
    "ZMQChannelsWebsocketConnection",
]

HOMES = {
    "MappingKernelManager": "manager",
    "AsyncMappingKernelManager": "manager",
    "ServerKernelManager": "process.kernel_manager",
    "ZMQChannelsWebsocketConnection": "channels.settings",
}
"""The module of each name below this package."""

__getattr__ = lazy_names(__name__, HOMES)
