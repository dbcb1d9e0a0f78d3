"""Front ends' settings: read from all of the Jupyter path, written to the user's own directory."""

from __future__ import annotations

import os
from typing import Any

from jupyter_core.paths import jupyter_config_dir, jupyter_config_path
from traitlets import Instance, List, Unicode, default, observe
from traitlets.config import LoggingConfigurable

from jupyterd.config_manager import BaseJSONConfigManager, StrDict, recursive_update


class ConfigManager(LoggingConfigurable):
    """Sections by name. Blocking: it reads and writes files."""

    config_dir_name = Unicode("serverconfig", config=True, help="Name of the directory on the Jupyter config path.")
    read_config_path = List(Unicode(), help="Directories that are read; the first wins.")
    write_config_dir = Unicode(help="The directory that is written.")
    write_config_manager = Instance(BaseJSONConfigManager)

    @default("read_config_path")
    def _read_config_path_default(self) -> list[str]:
        return [os.path.join(directory, self.config_dir_name) for directory in jupyter_config_path()]

    @default("write_config_dir")
    def _write_config_dir_default(self) -> str:
        return os.path.join(jupyter_config_dir(), self.config_dir_name)

    @default("write_config_manager")
    def _write_config_manager_default(self) -> BaseJSONConfigManager:
        return BaseJSONConfigManager(config_dir=self.write_config_dir)

    @observe("write_config_dir")
    def _write_config_dir_changed(self, change: Any) -> None:
        self.write_config_manager = BaseJSONConfigManager(config_dir=change.new)

    def get(self, section_name: str) -> StrDict:
        """A section, merged from all directories."""
        section: StrDict = {}
        for directory in reversed(self.read_config_path):
            recursive_update(section, BaseJSONConfigManager(config_dir=directory).get(section_name))
        return section

    def set(self, section_name: str, data: StrDict) -> None:
        """Store a section in the user's directory."""
        self.write_config_manager.set(section_name, data)

    def update(self, section_name: str, new_data: StrDict) -> StrDict:
        """Put ``new_data`` into the user's part of a section, and return that part."""
        return self.write_config_manager.update(section_name, new_data)


def read_nbconfig(manager: Any) -> None:
    """Have a manager read the sections of classic notebooks too, behind its own, as the extension notebook_shim does.

    Packages with extensions of the classic notebook put them there (``nbconfig/notebook.d``), and nbclassic asks for
    them. Source: ``_load_jupyter_server_extension`` of notebook_shim 0.2.
    """
    if not hasattr(manager, "read_config_path"):
        return  # somebody's own, which reads what it likes
    more = [os.path.join(directory, "nbconfig") for directory in jupyter_config_path()]
    manager.read_config_path = [*manager.read_config_path, *more]
