"""Reading and changing settings that are kept in JSON files, one file a section."""

from __future__ import annotations

import copy
import glob
import json
import os
from typing import Any

from traitlets import Bool, Unicode
from traitlets.config import LoggingConfigurable

from jupyterd.system.replace_file import replace_file

StrDict = dict[str, Any]


def recursive_update(target: StrDict, new: StrDict) -> None:
    """Put ``new`` into ``target``, dicts into dicts; None deletes a key, and a dict that is left empty goes too."""
    for key, value in new.items():
        if isinstance(value, dict):
            below = target.get(key)
            if not isinstance(below, dict):
                below = {}
            recursive_update(below, value)
            if below:
                target[key] = below
            else:
                target.pop(key, None)
        elif value is None:
            target.pop(key, None)
        else:
            target[key] = value


def remove_defaults(data: StrDict, defaults: StrDict) -> None:
    """Take out of ``data`` what is the same in ``defaults``, dicts within dicts too."""
    for key, default in defaults.items():
        if key not in data:
            continue
        value = data[key]
        if isinstance(value, dict) and isinstance(default, dict):
            remove_defaults(value, default)
            if not value:
                del data[key]
        elif value == default:
            del data[key]


class BaseJSONConfigManager(LoggingConfigurable):
    """The sections of one directory: ``<section>.json``, above the defaults in ``<section>.d/*.json``."""

    config_dir = Unicode(".", help="The directory.")
    read_directory = Bool(True, help="Whether the defaults are read.")

    def ensure_config_dir_exists(self) -> None:
        """Make the directory."""
        os.makedirs(self.config_dir, 0o755, exist_ok=True)

    def file_name(self, section_name: str) -> str:
        """The section's file."""
        return os.path.join(self.config_dir, f"{section_name}.json")

    def directory(self, section_name: str) -> str:
        """The directory with its defaults, which packages put there."""
        return os.path.join(self.config_dir, f"{section_name}.d")

    def get(self, section_name: str, include_root: bool = True) -> StrDict:
        """A section; empty where there is none. A file that is not JSON is left out with a warning.

        :param include_root: without it, the defaults alone.
        """
        paths = []
        if self.read_directory:
            paths += sorted(glob.glob(os.path.join(glob.escape(self.directory(section_name)), "*.json")))
        if include_root:
            paths.append(self.file_name(section_name))
        data: StrDict = {}
        for path in paths:
            recursive_update(data, self._read(path))
        return data

    def _read(self, path: str) -> StrDict:
        try:
            with open(path, encoding="utf-8-sig") as file:  # editors of Windows write a mark
                text = file.read()
        except FileNotFoundError:
            return {}
        try:
            data = json.loads(text) if text else {}
        except ValueError:
            data = None
        if isinstance(data, dict):
            return data
        self.log.warning("Invalid JSON in %s, skipping", path)
        return {}

    def set(self, section_name: str, data: StrDict) -> None:
        """Store a section, less what is a default anyway. The file is the old or the new one at any moment."""
        self.ensure_config_dir_exists()
        if self.read_directory:
            data = copy.deepcopy(data)
            remove_defaults(data, self.get(section_name, include_root=False))
        replace_file(self.file_name(section_name), json.dumps(data, indent=2), mode=0o666)

    def update(self, section_name: str, new_data: StrDict) -> StrDict:
        """Put ``new_data`` into a section, dicts into dicts, and return all of it."""
        data = self.get(section_name)
        recursive_update(data, new_data)
        self.set(section_name, data)
        return data
