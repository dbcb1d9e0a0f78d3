"""Names of classes: what is configured by the reference's name is ours of that role; imported when it is used."""

from __future__ import annotations

from typing import Any

from jupyterd.compat.module_shims import standins

_CONTENTS = "jupyterd.contents"
_KERNELS = "jupyterd.kernels"
_AUTH = "jupyterd.auth"
_GATEWAY = "jupyterd.gateway"

_MANAGERS = ("ContentsManager", "AsyncContentsManager")
_FILE_MANAGERS = ("FileContentsManager", "AsyncFileContentsManager")
_LARGE = ("LargeFileManager", "AsyncLargeFileManager")
_CHECKPOINTS = ("Checkpoints", "AsyncCheckpoints", "GenericCheckpointsMixin")
_FILE_CHECKPOINTS = ("FileCheckpoints", "AsyncFileCheckpoints", "GenericFileCheckpoints", "AsyncGenericFileCheckpoints")

# Every spelling under which a stock class of the Jupyter Server has been configured → ours.
STOCK: dict[str, str] = {
    f"jupyter_server.{name}": ours
    for ours, names in {
        f"{_AUTH}.AllowAllAuthorizer": ("auth.AllowAllAuthorizer", "auth.authorizer.AllowAllAuthorizer"),
        f"{_AUTH}.Authorizer": ("auth.Authorizer", "auth.authorizer.Authorizer"),
        f"{_AUTH}.IdentityProvider": ("auth.IdentityProvider", "auth.identity.IdentityProvider"),
        f"{_AUTH}.PasswordIdentityProvider": (
            "auth.PasswordIdentityProvider",
            "auth.identity.PasswordIdentityProvider",
        ),
        "jupyterd.config.ConfigManager": (
            "services.config.ConfigManager",
            "services.config.manager.ConfigManager",
        ),
        **{f"{_CONTENTS}.{name}": (f"services.contents.filemanager.{name}",) for name in _FILE_MANAGERS},
        **{f"{_CONTENTS}.{name}": (f"services.contents.largefilemanager.{name}",) for name in _LARGE},
        **{f"{_CONTENTS}.{name}": (f"services.contents.manager.{name}",) for name in _MANAGERS},
        **{f"{_CONTENTS}.{name}": (f"services.contents.filecheckpoints.{name}",) for name in _FILE_CHECKPOINTS},
        **{f"{_CONTENTS}.{name}": (f"services.contents.checkpoints.{name}",) for name in _CHECKPOINTS},
        f"{_KERNELS}.MappingKernelManager": ("services.kernels.kernelmanager.MappingKernelManager",),
        f"{_KERNELS}.AsyncMappingKernelManager": ("services.kernels.kernelmanager.AsyncMappingKernelManager",),
        f"{_KERNELS}.ZMQChannelsWebsocketConnection": (
            "services.kernels.connection.channels.ZMQChannelsWebsocketConnection",
        ),
        "jupyterd.sessions.SessionManager": ("services.sessions.sessionmanager.SessionManager",),
        f"{_GATEWAY}.GatewayMappingKernelManager": ("gateway.managers.GatewayMappingKernelManager",),
        f"{_GATEWAY}.GatewaySessionManager": ("gateway.managers.GatewaySessionManager",),
        f"{_GATEWAY}.GatewayWebSocketConnection": ("gateway.connections.GatewayWebSocketConnection",),
        "jupyter_client.kernelspec.KernelSpecManager": ("gateway.managers.GatewayKernelSpecManager",),
        f"{_KERNELS}.ServerKernelManager": ("gateway.managers.GatewayKernelManager",),
        f"{_GATEWAY}.NoOpTokenRenewer": ("gateway.gateway_client.NoOpTokenRenewer",),
        f"{_GATEWAY}.GatewayTokenRenewerBase": ("gateway.gateway_client.GatewayTokenRenewerBase",),
    }.items()
    for name in names
}
# Notebook 6 called them so.
STOCK |= {name.replace("jupyter_server.", "notebook.", 1): ours for name, ours in STOCK.items() if ".services." in name}

STOCK |= {
    "jupyterhub.singleuser.extension.JupyterHubAuthorizer": f"{_AUTH}.AllowAllAuthorizer",
    "jupyterhub.singleuser.extension.JupyterHubIdentityProvider": "jupyterd.hub.identity.JupyterHubIdentityProvider",
}

FORMER = {
    "jupyterd.auth.authorizer.": "jupyterd.auth.",
    "jupyterd.auth.identity.": "jupyterd.auth.",
    "jupyterd.auth.password_identity.": "jupyterd.auth.",
    "jupyterd.contents.manager.": "jupyterd.contents.",
    "jupyterd.contents.filemanager.": "jupyterd.contents.",
    "jupyterd.contents.largefile.": "jupyterd.contents.",
    "jupyterd.contents.checkpoints.": "jupyterd.contents.",
    "jupyterd.kernels.manager.": "jupyterd.kernels.",
    "jupyterd.kernels.provision.": "jupyterd.kernels.",
    "jupyterd.kernels.connection.": "jupyterd.kernels.",
    "jupyterd.sessions.manager.": "jupyterd.sessions.",
    "jupyterd.config.manager.": "jupyterd.config.",
    "jupyterd.gateway.managers.": "jupyterd.gateway.",
    "jupyterd.gateway.renewal.": "jupyterd.gateway.",
}
"""Modules by which settings have named our classes → the packages that name them for good."""

# What --help-all, --generate-config and the search for misspelt names know, besides ServerApp.
CLASSES: list[str] = [
    "jupyter_client.manager.KernelManager",
    "jupyter_client.provisioning.factory.KernelProvisionerFactory",
    "jupyter_client.session.Session",
    "jupyter_client.kernelspec.KernelSpecManager",
    "nbformat.sign.NotebookNotary",
    "jupyter_events.logger.EventLogger",
    f"{_AUTH}.Authorizer",
    f"{_AUTH}.AllowAllAuthorizer",
    f"{_AUTH}.IdentityProvider",
    f"{_AUTH}.PasswordIdentityProvider",
    "jupyterd.hub.identity.JupyterHubIdentityProvider",
    "jupyterd.hub.settings.HubAuth",
    "jupyterd.hub.settings.HubOAuth",
    "jupyterd.hub.settings.JupyterHubSingleUser",
    "jupyterd.config.ConfigManager",
    f"{_CONTENTS}.ContentsManager",
    f"{_CONTENTS}.FileContentsManager",
    f"{_CONTENTS}.AsyncFileContentsManager",
    f"{_CONTENTS}.LargeFileManager",
    f"{_CONTENTS}.AsyncLargeFileManager",
    f"{_CONTENTS}.FileCheckpoints",
    "jupyterd.kernels.settings.MultiKernelManager",
    "jupyterd.kernels.settings.AsyncMultiKernelManager",
    "jupyterd.kernels.settings.KernelRestarter",
    f"{_KERNELS}.MappingKernelManager",
    f"{_KERNELS}.AsyncMappingKernelManager",
    f"{_KERNELS}.ZMQChannelsWebsocketConnection",
    "jupyterd.outputs.settings.OutputRecorder",
    "jupyterd.sessions.SessionManager",
    "jupyterd.gateway.settings.GatewayClient",
    f"{_GATEWAY}.GatewayMappingKernelManager",
    f"{_GATEWAY}.GatewaySessionManager",
    f"{_GATEWAY}.GatewayWebSocketConnection",
    "jupyterd.terminals.settings.TerminalManager",
    "jupyterd.frontends.settings.LabServerApp",
    "jupyterd.frontends.settings.LabApp",
    "jupyterd.frontends.settings.JupyterNotebookApp",
]


def ours(value: Any) -> Any:
    """The class or name that a setting stands for: a stock class of the reference becomes ours."""
    name = f"{value.__module__}.{value.__qualname__}" if isinstance(value, type) else value
    return STOCK.get(name) or public_name(name) or value if isinstance(name, str) else value


def public_name(name: str) -> str | None:
    """The name for good of a class of ours that is named by its module; None for all else."""
    module, dot, kind = name.rpartition(".")
    package = FORMER.get(module + dot)
    return None if package is None else package + kind


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
