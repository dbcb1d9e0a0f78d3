"""A JupyterHub's part of the server: who asks is found out at the Hub, and the Hub hears of activity.

For JupyterHub 4.1 to 6; nothing of the package ``jupyterhub`` is needed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyterd.hub.identity import JupyterHubIdentityProvider
    from jupyterd.hub.settings import HubOAuth

__all__ = ["HubOAuth", "JupyterHubIdentityProvider"]

_HOMES = {"HubOAuth": "settings", "JupyterHubIdentityProvider": "identity"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
