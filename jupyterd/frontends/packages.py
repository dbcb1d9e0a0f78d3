"""Packages of front ends: where they and their data lie, without importing them."""

from __future__ import annotations

import os
import site
import sys
from importlib.util import find_spec

from jupyter_core.paths import jupyter_config_dir


def package_dir(name: str) -> str | None:
    """The directory of an installed top-level package; None where there is none."""
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return None
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    return os.path.abspath(places[0]) if places else None


def lab_app_dir(package: str) -> str:
    """The JupyterLab application directory: static files, schemas, themes, settings.

    :param package: the directory of the package ``jupyterlab``.
    Source: JupyterLab's documentation, "JupyterLab application directory".
    """
    told = os.environ.get("JUPYTERLAB_DIR")
    return os.path.realpath(told or _installed_app_dir(package))


def _installed_app_dir(package: str) -> str:
    below_prefix = os.path.join(sys.prefix, "share", "jupyter", "lab")
    user_base = site.getuserbase()
    if user_base and package.startswith(user_base) and not below_prefix.startswith(user_base):
        return os.path.join(user_base, "share", "jupyter", "lab")
    if os.path.exists(below_prefix):
        return below_prefix
    others = [os.path.join(package, *[os.pardir] * 4, "share", "jupyter", "lab")]
    if sys.prefix.startswith("/usr"):
        others.insert(0, "/usr/local/share/jupyter/lab")
    return next((place for place in others if os.path.exists(place)), below_prefix)


def user_settings_dir() -> str:
    """Where users' settings of JupyterLab lie."""
    told = os.environ.get("JUPYTERLAB_SETTINGS_DIR")
    return os.path.abspath(told or os.path.join(jupyter_config_dir(), "lab", "user-settings"))


def workspaces_dir() -> str:
    """Where users' workspaces of JupyterLab lie."""
    told = os.environ.get("JUPYTERLAB_WORKSPACES_DIR")
    return os.path.abspath(told or os.path.join(jupyter_config_dir(), "lab", "workspaces"))
