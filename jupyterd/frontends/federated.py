"""Prebuilt extensions on disk, and the part of a page's configuration that comes from files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from glob import glob
from typing import Any

from twisted.logger import Logger

from jupyterd.config_manager import recursive_update
from jupyterd.frontends.json_files import glob_escape, layered, read_object
from jupyterd.system.strict_json import finite

DISABLED = "disabledExtensions"
log = Logger()


def packages(directories: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The ``package.json`` of each prebuilt extension by its name; of two with one name the first wins.

    An extension lies in a directory of its own, or two deep below an ``@organisation``. The key ``ext_path`` is added.
    """
    found: dict[str, dict[str, Any]] = {}
    for directory in directories:
        for path in _package_files(directory):
            package = read_object(path)
            name = package.get("name")
            if isinstance(name, str) and isinstance(package.get("jupyterlab"), dict):
                found.setdefault(name, {**package, "ext_path": os.path.dirname(path)})
    return found


def _package_files(directory: str) -> Iterator[str]:
    top = glob_escape(directory)
    yield from sorted(glob(os.path.join(top, "[!@]*", "package.json")))
    yield from sorted(glob(os.path.join(top, "@*", "*", "package.json")))


def page_settings(
    directories: Iterable[str], app_settings_dir: str = "", own: Iterable[dict[str, Any]] = ()
) -> dict[str, Any]:
    """What a page is told by files: ``page_config`` of the application, of ``labconfig``, and the prebuilt extensions.

    :param directories: of prebuilt extensions.
    :param app_settings_dir: of the application; empty for none.
    :param own: entries of extensions that the server brings itself.
    """
    settings = _of_application(app_settings_dir)
    recursive_update(settings, layered("page_config"))
    found = packages(directories)
    told = switches(settings.get(DISABLED))
    settings[DISABLED] = {**_disabled_by(found, app_settings_dir, told), **told}
    settings["federated_extensions"] = [
        *(_entry(name, package) for name, package in found.items() if _built(name, package)),
        *(entry for entry in own if entry["name"] not in found),
    ]
    for key, value in settings.items():
        if isinstance(value, dict):
            settings[key] = [name for name in value if value[name]]
    return settings


def switches(value: Any) -> dict[str, Any]:
    """Names that are on or off, as they are written: a dict, or a list of those that are on; anything else is none."""
    if isinstance(value, dict):
        return value
    return dict.fromkeys((name for name in value if isinstance(name, str)), True) if isinstance(value, list) else {}


def _of_application(directory: str) -> dict[str, Any]:
    if not directory:
        return {}
    path = os.path.join(directory, "page_config.json5")
    settings = read_json5(path) if os.path.isfile(path) else read_object(os.path.join(directory, "page_config.json"))
    for key in (DISABLED, "deferredExtensions"):
        if key in settings:
            settings[key] = switches(settings[key])
    return settings


def read_json5(path: str) -> dict[str, Any]:
    """An object of a JSON5 file; an empty one where it can not be read."""
    import json5

    try:
        with open(path, encoding="utf-8") as file:
            value = json5.load(file)
    except (OSError, ValueError) as error:
        log.warn("skipping {path}: {error}", path=path, error=error)
        return {}
    return finite(value) if isinstance(value, dict) else {}


def _built(name: str, package: dict[str, Any]) -> bool:
    build = package["jupyterlab"].get("_build")
    if isinstance(build, dict) and isinstance(build.get("load"), str):
        return True
    log.warn("{name} is not a prebuilt extension", name=name)
    return False


def _entry(name: str, package: dict[str, Any]) -> dict[str, Any]:
    build = package["jupyterlab"]["_build"]
    optional = {key: build[key] for key in ("extension", "mimeExtension", "style") if key in build}
    return {"name": name, "load": build["load"], **optional, "entrypoints": build.get("entrypoints")}


def _disabled_by(found: dict[str, dict[str, Any]], app_settings_dir: str, disabled: dict[str, Any]) -> dict[str, bool]:
    """What enabled extensions switch off in others."""
    lists = {name: switches(package["jupyterlab"].get(DISABLED)) for name, package in found.items()}
    if app_settings_dir:
        core = read_object(os.path.join(os.path.dirname(app_settings_dir), "static", "package.json"))
        for name, data in _dict_at(_dict_at(core, "jupyterlab"), "extensionMetadata").items():
            lists[name] = lists.get(name) or switches(data.get(DISABLED) if isinstance(data, dict) else None)
    return {item: True for name in sorted(lists) if disabled.get(name) is not True for item in lists[name]}


def _dict_at(mapping: dict[str, Any], key: str) -> dict[str, Any]:
    value = mapping.get(key)
    return value if isinstance(value, dict) else {}


def application_version(static_dir: str) -> str:
    """The version of the application that is built in ``static_dir``; empty where it does not say."""
    return str(_dict_at(read_object(os.path.join(static_dir, "package.json")), "jupyterlab").get("version", ""))
