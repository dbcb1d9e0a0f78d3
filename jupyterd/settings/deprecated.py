"""Settings under the names that they once had, or that change nothing here: each is still taken, and told of."""

from __future__ import annotations

from typing import Any

from jupyter_core.application import JupyterApp
from traitlets import Bool, Dict, Float, TraitError, Unicode, observe

from jupyterd.traittypes import ClassName

# A setting that has moved: its name here, then the class and the name it has now.
MOVED: dict[str, tuple[str, str]] = {
    "allow_password_change": ("PasswordIdentityProvider", "allow_password_change"),
    "cookie_options": ("IdentityProvider", "cookie_options"),
    "get_secure_cookie_kwargs": ("IdentityProvider", "get_secure_cookie_kwargs"),
    "iopub_data_rate_limit": ("ZMQChannelsWebsocketConnection", "iopub_data_rate_limit"),
    "iopub_msg_rate_limit": ("ZMQChannelsWebsocketConnection", "iopub_msg_rate_limit"),
    "kernel_ws_protocol": ("ZMQChannelsWebsocketConnection", "kernel_ws_protocol"),
    "limit_rate": ("ZMQChannelsWebsocketConnection", "limit_rate"),
    "password": ("PasswordIdentityProvider", "hashed_password"),
    "password_required": ("PasswordIdentityProvider", "password_required"),
    "rate_limit_window": ("ZMQChannelsWebsocketConnection", "rate_limit_window"),
    "token": ("IdentityProvider", "token"),
}
# Bases of the reference's classes that operators configure, and where their settings are here.
BASES = {
    "FileManagerMixin": "FileContentsManager",
    "AsyncFileManagerMixin": "AsyncFileContentsManager",
    "BaseKernelWebsocketConnection": "ZMQChannelsWebsocketConnection",
}
# Settings of the server that are read and change nothing here, and why.
NO_EFFECT = {
    "kernel_websocket_connection_class": "websockets of kernels are Twisted's; the settings of the class are read",
    "reraise_server_extension_failures": "extensions are loaded in a process of their own, after the start",
}
# The same of other classes, whatever their section.
NO_EFFECT_ELSEWHERE = {
    "files_handler_class": "files are sent by Twisted",
    "files_handler_params": "files are sent by Twisted",
    "shared_context": "all kernels share one ZeroMQ context",
}


def _moved(name: str) -> dict[str, Any]:
    return {"config": True, "help": f"Deprecated, use {'.'.join(MOVED[name])}."}


class MovedTraits(JupyterApp):
    """Those of the server itself; :class:`jupyterd.settings.server_traits.ServerTraits` has all others."""

    allow_password_change = Bool(True, **_moved("allow_password_change"))
    cookie_options = Dict(**_moved("cookie_options"))
    get_secure_cookie_kwargs = Dict(**_moved("get_secure_cookie_kwargs"))
    iopub_data_rate_limit = Float(allow_none=True, **_moved("iopub_data_rate_limit"))
    iopub_msg_rate_limit = Float(allow_none=True, **_moved("iopub_msg_rate_limit"))
    kernel_ws_protocol = Unicode(allow_none=True, **_moved("kernel_ws_protocol"))
    limit_rate = Bool(allow_none=True, **_moved("limit_rate"))
    password = Unicode("", **_moved("password"))
    password_required = Bool(False, **_moved("password_required"))
    rate_limit_window = Float(allow_none=True, **_moved("rate_limit_window"))
    token = Unicode("<DEPRECATED>", **_moved("token"))

    login_handler_class = ClassName(None, allow_none=True, config=True, help="Deprecated: identity_provider_class.")
    logout_handler_class = ClassName(None, allow_none=True, config=True, help="Deprecated: identity_provider_class.")
    pylab = Unicode("disabled", config=True, help="Gone: use %pylab or %matplotlib in the notebook.")

    def hand_over_moved(self) -> None:
        """Give settings that have moved, or belong to a base, to where they are here; what is set there wins."""
        for old, (section, name) in MOVED.items():
            if old not in self.config.get("ServerApp", {}):
                continue
            value = getattr(self, old)
            if value is None:
                continue  # as good as not set
            if name not in self.config.get(section, {}):
                self.log.warning("ServerApp.%s config is deprecated in 2.0. Use %s.%s.", old, section, name)
                self.config[section][name] = value
            elif self.config[section][name] != value:
                self.log.warning("Ignoring deprecated ServerApp.%s config. Using %s.%s.", old, section, name)
        for base, section in BASES.items():
            for name, value in self.config.get(base, {}).items():
                self.config[section].setdefault(name, value)

    @observe("pylab")
    def _pylab_given(self, change: Any) -> None:
        backend = "" if change.new == "warn" else f" {change.new}"
        raise TraitError(
            "Support for specifying --pylab on the command line has been removed. "
            f"Please use `%pylab{backend}` or `%matplotlib{backend}` in the notebook itself."
        )
