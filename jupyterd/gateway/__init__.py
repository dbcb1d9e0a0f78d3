"""Gateway: kernels that run on a Jupyter Kernel Gateway, an Enterprise Gateway or another Jupyter Server.

What operators' own classes and configuration files use can be imported from here; it is loaded when it is first used.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jupyterd.system.imports.lazy_names import lazy_names

if TYPE_CHECKING:
    from jupyterd.gateway.managers import (
        GatewayMappingKernelManager,
        GatewaySessionManager,
        GatewayWebSocketConnection,
    )
    from jupyterd.gateway.token_renewal import GatewayTokenRenewerBase, NoOpTokenRenewer

__all__ = [
    "GatewayMappingKernelManager",
    "GatewaySessionManager",
    "GatewayTokenRenewerBase",
    "GatewayWebSocketConnection",
    "NoOpTokenRenewer",
]

HOMES = {
    "GatewayMappingKernelManager": "managers",
    "GatewaySessionManager": "managers",
    "GatewayWebSocketConnection": "managers",
    "GatewayTokenRenewerBase": "token_renewal",
    "NoOpTokenRenewer": "token_renewal",
}
"""The module of each name below this package."""

__getattr__ = lazy_names(__name__, HOMES)

ENVIRONMENT = "JUPYTER_GATEWAY_"
"""What the names of its settings in the environment begin with."""


def is_set(config: Mapping[str, Any]) -> bool:
    """Whether kernels run on a gateway; asked before anything of it is imported."""
    url = config.get("GatewayClient", {}).get("url")
    return bool(os.environ.get(f"{ENVIRONMENT}URL") if url is None else url)
