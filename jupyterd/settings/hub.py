"""Hub's settings: what a JupyterHub that has started the server wants of them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from jupyter_core.paths import ENV_CONFIG_PATH, jupyter_path
from traitlets import TraitError
from traitlets.config import Config

from jupyterd.hub import runtime_dir
from jupyterd.hub.environment import defaults_of, flag, is_set, missing, settings_of
from jupyterd.settings.config_files import load_named

if TYPE_CHECKING:
    from jupyterd.settings.server_traits import ServerTraits

FILE = "jupyter_jupyterhub_singleuser_config"
"""The configuration file of the Hub's own server."""
SEARCHED = {"LabServerApp": ("labextensions_path", "labextensions"), "KernelSpecManager": ("kernel_dirs", "kernels")}
"""Settings, by class, that are directories of the data path."""


def of_hub(server: ServerTraits) -> None:
    """Put what the Hub says over the files that were read; nothing, where no Hub has started the server.

    :raises TraitError: the Hub leaves out what can not be done without.
    """
    if not is_set(os.environ):
        return
    lacking = missing(os.environ)
    if lacking:
        raise TraitError(f"a JupyterHub starts its servers with {', '.join(lacking)} in the environment")
    instead = runtime_dir.ensure(os.environ)
    if instead is not None:
        server.log.warning("The home can not be written: what runs keeps its files in %s", instead)
    config = Config(defaults_of(os.environ))
    config.merge(load_named(server, FILE))
    config.merge(server.config)
    if without_user_config(config):
        for section, (name, directory) in SEARCHED.items():
            config[section].setdefault(name, outside_home(jupyter_path(directory)))
    try:
        config.merge(Config(settings_of(os.environ)))
    except ValueError as error:
        raise TraitError(str(error)) from None
    server.update_config(config)


def without_user_config(config: Config) -> bool:
    """Whether the Hub does not want settings from the user's home; by its word, or on the command line."""
    if not is_set(os.environ):
        return False
    told = config.get("JupyterHubSingleUser", {}).get("disable_user_config", False)
    return bool(told) or flag(os.environ, "JUPYTERHUB_DISABLE_USER_CONFIG")


def outside_home(paths: Iterable[str]) -> list[str]:
    """Those that are not in the user's home, wherever links lead."""
    home = os.path.realpath(os.path.expanduser("~"))
    if home == os.path.sep:  # there is no home
        return list(paths)
    return [path for path in paths if os.path.commonpath([os.path.realpath(path), home]) != home]


def config_dir_outside_home(given: str) -> str:
    """A configuration directory that is the administrator's: ``given``, or else the environment's."""
    return given if outside_home([given]) else ENV_CONFIG_PATH[0]
