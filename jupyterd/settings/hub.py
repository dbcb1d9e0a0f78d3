"""What a JupyterHub that has started the server wants of its settings."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from traitlets import TraitError
from traitlets.config import Config

from jupyterd.hub.environment import defaults_of, is_set, missing, settings_of
from jupyterd.settings.config_files import load_named

if TYPE_CHECKING:
    from jupyterd.settings.server_traits import ServerTraits

FILE = "jupyter_jupyterhub_singleuser_config"
"""The configuration file of the Hub's own server."""


def of_hub(server: ServerTraits) -> None:
    """Put what the Hub says over the files that were read; nothing, where no Hub has started the server.

    :raises TraitError: the Hub leaves out what can not be done without.
    """
    if not is_set(os.environ):
        return
    lacking = missing(os.environ)
    if lacking:
        raise TraitError(f"a JupyterHub starts its servers with {', '.join(lacking)} in the environment")
    config = Config(defaults_of(os.environ))
    config.merge(load_named(server, FILE))
    config.merge(server.config)
    try:
        config.merge(Config(settings_of(os.environ)))
    except ValueError as error:
        raise TraitError(str(error)) from None
    server.update_config(config)
