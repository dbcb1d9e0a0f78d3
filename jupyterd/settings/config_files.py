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

if TYPE_CHECKING:
    from jupyterd.settings.server_traits import ServerTraits

# Later names win over earlier ones; within a name, directories earlier in the path win; within those, .json wins.
NAMES = ("jupyter_config", "jupyter_server_config", "jupyterd_config")


class ConfigFileError(Exception):
    """The file that was asked for can not be used; one line for a person."""


@dataclass
class Files:
    """What was read.

    :ivar loaded: paths, in the order of reading.
    """

    config: Config = field(default_factory=Config)
    loaded: list[str] = field(default_factory=list)


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
            _drop_ins(files, directory, name, app.log)
            for ending in (".py", ".json"):
                _merge(files, os.path.join(directory, name + ending), app.log, raise_errors)
    if app.config_file:
        _merge(files, _existing(app.config_file), app.log, raise_errors)
    _extensions(files, path, app.log)
    _from_notebook_app(files.config, type(app), app.log)
    return files


def load_named(app: ServerTraits, name: str) -> Config:
    """The files ``<name>.py`` and ``<name>.json`` along the path, for a front end's own (``jupyter_lab_config``)."""
    files = Files()
    for directory in reversed(app.config_file_paths):
        for ending in (".py", ".json"):
            _merge(files, os.path.join(directory, name + ending), app.log, False)
    return files.config


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


def _merge(files: Files, path: str, log: Any, raise_errors: bool) -> None:
    if not os.path.isfile(path):
        return
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
    files.config.merge(config)
    files.loaded.append(path)


def _drop_ins(files: Files, directory: str, name: str, log: Any) -> None:
    """All settings of ``jupyterd_config.d``: for packages and machines that are set up piece by piece."""
    if name != "jupyterd_config":
        return
    for path in sorted(glob.glob(os.path.join(glob.escape(directory), f"{name}.d", "*.json"))):
        _merge(files, path, log, False)


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


def _from_notebook_app(config: Config, app: Any, log: logging.Logger) -> None:
    """Settings under the name that the server had in Notebook 6; those of its new name win."""
    if "NotebookApp" not in config:
        return
    traits = app.class_trait_names(config=True)
    for name, value in config.NotebookApp.items():
        if name in traits and name not in config.ServerApp:
            log.warning("NotebookApp.%s is read as ServerApp.%s, which is its name now.", name, name)
            config.ServerApp[name] = value
