"""Configuration files: which are read, in which order, and how names that have moved are understood."""

from __future__ import annotations

import glob
import json
import logging
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from traitlets.config import Config
from traitlets.config.loader import ConfigFileNotFound, JSONFileConfigLoader, PyFileConfigLoader

from jupyterd.frontends.packages import package_dir
from jupyterd.settings.notebook_names import adopt

if TYPE_CHECKING:
    from jupyterd.settings.server_traits import ServerTraits

# Later names win over earlier ones; within a name, directories earlier in the path win; within those, .json wins.
NAMES = ("jupyter_config", "jupyter_server_config", "jupyterd_config")
# The front ends' own files, whose settings of the server count too; all of the above win over them.
FRONT_ENDS = {"notebook": "jupyter_notebook_config", "jupyterlab": "jupyter_lab_config"}


class ConfigFileError(Exception):
    """The file that was asked for can not be used; one line for a person."""


@dataclass
class Files:
    """What was read.

    :ivar loaded: paths, in the order of reading.
    :ivar enabled: extensions that have enabled themselves, or are switched off where they do.
    """

    config: Config = field(default_factory=Config)
    loaded: list[str] = field(default_factory=list)
    enabled: dict[str, bool] = field(default_factory=dict)


def load_files(app: ServerTraits, raise_errors: bool = False) -> Files:
    """All files of a server.

    A file with a mistake in it is left out with a warning, as the Jupyter Server does.

    :param app: whose ``config_file_paths`` are searched, or whose ``config_file`` is read instead.
    :raises ConfigFileError: ``config_file`` does not exist.
    """
    files = Files()
    path = app.config_file_paths
    names = NAMES[:1] if app.config_file else _names(app)
    for name in names:
        for directory in reversed(path):
            _drop_ins(files, directory, name, app, raise_errors)
            _merge_named(files, directory, name, app, raise_errors)
    if app.config_file:
        _merge(files, _existing(app.config_file), app, raise_errors)
    if app.find_extensions:
        _extensions(files, path, app.log)
    if not app.config_file:
        _front_ends(files, app, raise_errors)
    return files


def load_named(app: ServerTraits, name: str) -> Config:
    """The files ``<name>.py`` and ``<name>.json`` along the path."""
    files = Files()
    for directory in reversed(app.config_file_paths):
        _merge_named(files, directory, name, app, False)
    return files.config


def _front_ends(files: Files, app: ServerTraits, raise_errors: bool) -> None:
    """The files of the front ends that are installed and not switched off, below all others."""
    below = Files()
    switched = {**files.config.ServerApp.get("jpserver_extensions", {}), **app.jpserver_extensions}
    for package, name in FRONT_ENDS.items():
        if switched.get(package, True) and package_dir(package) is not None:
            for directory in reversed(app.config_file_paths):
                _merge_named(below, directory, name, app, raise_errors)
    below.config.merge(files.config)
    files.config = below.config
    files.loaded[:0] = below.loaded


def _names(app: ServerTraits) -> tuple[str, ...]:
    if app.config_file_name in NAMES:
        return NAMES
    return (*NAMES, app.config_file_name)


def _existing(name: str) -> str:
    for candidate in (name, f"{name}.py", f"{name}.json"):
        path = os.path.abspath(os.path.expanduser(candidate))
        if os.path.isfile(path):
            return path
    raise ConfigFileError(f"no such config file: {name}")


def _merge_named(files: Files, directory: str, name: str, app: ServerTraits, raise_errors: bool) -> None:
    for ending in (".py", ".json"):
        _merge(files, os.path.join(directory, name + ending), app, raise_errors)


def _merge(files: Files, path: str, app: ServerTraits, raise_errors: bool) -> None:
    if not os.path.isfile(path):
        return
    log: Any = app.log
    directory, name = os.path.split(path)
    loader = JSONFileConfigLoader if path.endswith(".json") else PyFileConfigLoader
    try:
        config = loader(name, path=directory, log=log).load_config()
    except ConfigFileNotFound:
        return
    except Exception as error:
        if raise_errors:
            raise
        log.warning("%s is left out: %s: %s", path, type(error).__name__, error)
        log.debug("Where it went wrong", exc_info=True)
        return
    adopt(config, type(app), log)
    files.config.merge(config)
    files.loaded.append(path)


def _drop_ins(files: Files, directory: str, name: str, app: ServerTraits, raise_errors: bool) -> None:
    """All settings of ``jupyterd_config.d``: for packages and machines that are set up piece by piece."""
    if name != "jupyterd_config":
        return
    for path in sorted(glob.glob(os.path.join(glob.escape(directory), f"{name}.d", "*.json"))):
        _merge(files, path, app, raise_errors)


def _extensions(files: Files, path: list[str], log: logging.Logger) -> None:
    """``jpserver_extensions`` of ``jupyter_server_config.d``: extensions enable themselves there, one file each.

    They are merged key by key, the configuration files win; nothing else in these files is for the server.
    """
    found: dict[str, bool] = {}
    for directory in reversed(path):
        pieces = sorted(glob.glob(os.path.join(glob.escape(directory), "jupyter_server_config.d", "*.json")))
        for piece in pieces:
            found.update(_extensions_of(piece, log))
        main = os.path.join(directory, "jupyter_server_config.json")
        found.update(_extensions_of(main, None))  # what is wrong with it has been told when it was read as a whole
    files.enabled = found
    if found:
        given = dict(files.config.ServerApp.get("jpserver_extensions", {}))
        files.config.ServerApp.jpserver_extensions = {**found, **given}


def _extensions_of(path: str, log: logging.Logger | None) -> dict[str, bool]:
    try:
        with open(path, encoding="utf-8") as file:
            extensions = json.load(file).get("ServerApp", {}).get("jpserver_extensions", {})
        return {str(name): bool(enabled) for name, enabled in extensions.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError) as error:
        if log is not None:
            log.warning("%s is left out: %s", path, error)
        return {}
