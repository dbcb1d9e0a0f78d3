"""Names of classes: what is configured by the reference's name is ours of that role; imported when it is used."""

from __future__ import annotations

from typing import Any

from jupyterd.compat.module_shims import standins

_CONTENTS = "jupyterd.contents.managers"
_KERNELS = "jupyterd.kernels.manager"
_AUTH = "jupyterd.auth"
_GATEWAY = "jupyterd.gateway.managers"

_MANAGERS = ("ContentsManager", "AsyncContentsManager")
_FILE_MANAGERS = ("FileContentsManager", "AsyncFileContentsManager")
_LARGE = ("LargeFileManager", "AsyncLargeFileManager")
_CHECKPOINTS = ("Checkpoints", "AsyncCheckpoints", "GenericCheckpointsMixin")
_FILE_CHECKPOINTS = ("FileCheckpoints", "AsyncFileCheckpoints", "GenericFileCheckpoints", "AsyncGenericFileCheckpoints")

# Every spelling under which a stock class of the Jupyter Server has been configured → ours.
STOCK: dict[str, str] = {
    f"jupyter_server.{name}": ours
    for ours, names in {
        f"{_AUTH}.authorizer.AllowAllAuthorizer": ("auth.AllowAllAuthorizer", "auth.authorizer.AllowAllAuthorizer"),
        f"{_AUTH}.authorizer.Authorizer": ("auth.Authorizer", "auth.authorizer.Authorizer"),
        f"{_AUTH}.identity.IdentityProvider": ("auth.IdentityProvider", "auth.identity.IdentityProvider"),
        f"{_AUTH}.password_identity.PasswordIdentityProvider": (
            "auth.PasswordIdentityProvider",
            "auth.identity.PasswordIdentityProvider",
        ),
        "jupyterd.config.manager.ConfigManager": (
            "services.config.ConfigManager",
            "services.config.manager.ConfigManager",
        ),
        **{f"{_CONTENTS}.filemanager.{name}": (f"services.contents.filemanager.{name}",) for name in _FILE_MANAGERS},
        **{f"{_CONTENTS}.largefilemanager.{name}": (f"services.contents.largefilemanager.{name}",) for name in _LARGE},
        **{f"{_CONTENTS}.manager.{name}": (f"services.contents.manager.{name}",) for name in _MANAGERS},
        **{
            f"{_CONTENTS}.checkpoints.{name}": (f"services.contents.filecheckpoints.{name}",)
            for name in _FILE_CHECKPOINTS
        },
        **{f"{_CONTENTS}.checkpoints.{name}": (f"services.contents.checkpoints.{name}",) for name in _CHECKPOINTS},
        f"{_KERNELS}.MappingKernelManager": ("services.kernels.kernelmanager.MappingKernelManager",),
        f"{_KERNELS}.AsyncMappingKernelManager": ("services.kernels.kernelmanager.AsyncMappingKernelManager",),
        "jupyterd.kernels.channels.settings.ZMQChannelsWebsocketConnection": (
            "services.kernels.connection.channels.ZMQChannelsWebsocketConnection",
        ),
        "jupyterd.sessions.manager.SessionManager": ("services.sessions.sessionmanager.SessionManager",),
        f"{_GATEWAY}.GatewayMappingKernelManager": ("gateway.managers.GatewayMappingKernelManager",),
        f"{_GATEWAY}.GatewaySessionManager": ("gateway.managers.GatewaySessionManager",),
        f"{_GATEWAY}.GatewayWebSocketConnection": ("gateway.connections.GatewayWebSocketConnection",),
        "jupyter_client.kernelspec.KernelSpecManager": ("gateway.managers.GatewayKernelSpecManager",),
        "jupyterd.kernels.process.kernel_manager.ServerKernelManager": ("gateway.managers.GatewayKernelManager",),
        "jupyterd.gateway.token_renewal.NoOpTokenRenewer": ("gateway.gateway_client.NoOpTokenRenewer",),
        "jupyterd.gateway.token_renewal.GatewayTokenRenewerBase": ("gateway.gateway_client.GatewayTokenRenewerBase",),
    }.items()
    for name in names
}
# Notebook 6 called them so.
STOCK |= {name.replace("jupyter_server.", "notebook.", 1): ours for name, ours in STOCK.items() if ".services." in name}

STOCK |= {
    "jupyterhub.singleuser.extension.JupyterHubAuthorizer": f"{_AUTH}.authorizer.AllowAllAuthorizer",
    "jupyterhub.singleuser.extension.JupyterHubIdentityProvider": "jupyterd.hub.identity.JupyterHubIdentityProvider",
}

# What --help-all, --generate-config and the search for misspelt names know, besides ServerApp.
CLASSES: list[str] = [
    "jupyter_client.manager.KernelManager",
    "jupyter_client.provisioning.factory.KernelProvisionerFactory",
    "jupyter_client.session.Session",
    "jupyter_client.kernelspec.KernelSpecManager",
    "nbformat.sign.NotebookNotary",
    "jupyter_events.logger.EventLogger",
    f"{_AUTH}.authorizer.Authorizer",
    f"{_AUTH}.authorizer.AllowAllAuthorizer",
    f"{_AUTH}.identity.IdentityProvider",
    f"{_AUTH}.password_identity.PasswordIdentityProvider",
    "jupyterd.hub.identity.JupyterHubIdentityProvider",
    "jupyterd.hub.settings.HubAuth",
    "jupyterd.hub.settings.HubOAuth",
    "jupyterd.hub.settings.JupyterHubSingleUser",
    "jupyterd.config.manager.ConfigManager",
    f"{_CONTENTS}.manager.ContentsManager",
    f"{_CONTENTS}.filemanager.FileContentsManager",
    f"{_CONTENTS}.filemanager.AsyncFileContentsManager",
    f"{_CONTENTS}.largefilemanager.LargeFileManager",
    f"{_CONTENTS}.largefilemanager.AsyncLargeFileManager",
    f"{_CONTENTS}.checkpoints.FileCheckpoints",
    "jupyterd.kernels.settings.MultiKernelManager",
    "jupyterd.kernels.settings.AsyncMultiKernelManager",
    "jupyterd.kernels.settings.KernelRestarter",
    f"{_KERNELS}.MappingKernelManager",
    f"{_KERNELS}.AsyncMappingKernelManager",
    "jupyterd.kernels.channels.settings.ZMQChannelsWebsocketConnection",
    "jupyterd.sessions.manager.SessionManager",
    "jupyterd.gateway.settings.GatewayClient",
    f"{_GATEWAY}.GatewayMappingKernelManager",
    f"{_GATEWAY}.GatewaySessionManager",
    f"{_GATEWAY}.GatewayWebSocketConnection",
    "jupyterd.terminals.settings.TerminalManager",
    "jupyterd.web.server.settings.HTTPLimits",
    "jupyterd.frontends.settings.LabServerApp",
    "jupyterd.frontends.settings.LabApp",
    "jupyterd.frontends.settings.JupyterNotebookApp",
]


def ours(value: Any) -> Any:
    """The class or name that a setting stands for: a stock class of the reference becomes ours."""
    name = f"{value.__module__}.{value.__qualname__}" if isinstance(value, type) else value
    return STOCK.get(name, value) if isinstance(name, str) else value


def resolve(value: Any) -> Any:
    """The class that a setting names (a dotted name or a class).

    :raises ImportError: there is no such class.
    """
    from jupyterd.utils import import_item

    value = ours(value)
    if not isinstance(value, str):
        return value
    with standins():
        return import_item(value)


def known_classes() -> list[type]:
    """All of :data:`CLASSES` that can be imported here."""
    found = []
    for name in CLASSES:
        try:
            found.append(resolve(name))
        except ImportError:
            continue  # an engine that is not installed has no settings
    return found
