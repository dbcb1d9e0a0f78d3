"""Small JSON files: layered for reading, replaced in one step for writing."""

from __future__ import annotations

import os
from glob import glob
from typing import Any

from jupyter_core.paths import jupyter_config_path
from twisted.logger import Logger

from jupyterd.config_manager import recursive_update
from jupyterd.errors import FULL, Failed
from jupyterd.system import strict_json
from jupyterd.system.replace_file import replace_file

log = Logger()


def section_of(directory: str, name: str, own_file: bool = True) -> dict[str, Any]:
    """The section ``name`` of one configuration directory: ``<name>.d/*.json``, then ``<name>.json`` over them."""
    paths = sorted(glob(os.path.join(glob_escape(directory), f"{name}.d", "*.json")))
    if own_file:
        paths.append(os.path.join(directory, f"{name}.json"))
    section: dict[str, Any] = {}
    for path in paths:
        recursive_update(section, read_object(path))
    return section


def glob_escape(path: str) -> str:
    """A directory's name with nothing special for :func:`glob.glob`."""
    from glob import escape

    return escape(path)


def read_object(path: str) -> dict[str, Any]:
    """A JSON object from a file; an empty one where there is no file, or nothing useful in it."""
    try:
        with open(path, "rb") as file:
            text = file.read()
        value = strict_json.loads(text) if text.strip() else {}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        log.warn("skipping {path}: {error}", path=path, error=error)
        return {}
    return value if isinstance(value, dict) else {}


def layered(name: str, directories: list[str] | None = None) -> dict[str, Any]:
    """The section ``name`` of ``labconfig`` along the Jupyter configuration path; users' own wins.

    :param directories: ``labconfig`` directories, the one that wins first.
    """
    if directories is None:
        directories = [os.path.join(path, "labconfig") for path in jupyter_config_path()]
    section: dict[str, Any] = {}
    for directory in reversed(directories):
        recursive_update(section, section_of(directory, name))
    return section


def replace(path: str, text: str, mode: int = 0o600) -> None:
    """Write a file in one step: readers, and a crash, find the old text or the new one.

    :param mode: of a new file, less what the umask takes.
    :raises OSError: the disk is full; the old file is as it was.
    :raises Failed: it can not be written for another reason, as in a home that is read-only.
    """
    path = os.path.realpath(path)  # a link stays one
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        replace_file(path, text, mode)
    except OSError as error:
        if error.errno in FULL:
            raise
        raise Failed(f"{path} can not be written: {error.strerror}") from error
