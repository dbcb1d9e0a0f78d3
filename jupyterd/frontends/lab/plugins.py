"""Plugins of JupyterLab, switched on and off in ``labconfig``, and which of them are locked."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from jupyter_core.paths import ENV_CONFIG_PATH, SYSTEM_CONFIG_PATH, jupyter_config_dir

from jupyterd.config_manager import recursive_update
from jupyterd.frontends.federated import DISABLED, switches
from jupyterd.frontends.json_files import layered, read_object, replace

LOCKED = "lockedExtensions"


def level_directory(level: str) -> str:
    """The ``labconfig`` directory of a level: user, sys_prefix or system."""
    place = {"user": jupyter_config_dir(), "sys_prefix": ENV_CONFIG_PATH[0], "system": SYSTEM_CONFIG_PATH[0]}[level]
    return os.path.join(place, "labconfig")


@dataclass
class Plugins:
    """Which plugins are off and which may not be switched; reads and writes files, and blocks.

    :param level: where a switch is kept.
    """

    lock_all: bool = False
    level: str = "sys_prefix"
    _writing: Lock = field(default_factory=Lock, repr=False)

    def locks(self) -> dict[str, Any]:
        """The locks, as the plugin manager of the page wants them."""
        return {"lockRules": sorted(self._rules()), "allLocked": self.lock_all}

    def _rules(self) -> set[str]:
        rules = switches(layered("page_config").get(LOCKED))
        return {name for name, locked in rules.items() if locked}

    def locked(self, names: Iterable[str]) -> list[str]:
        """Those of ``names`` that are locked: themselves, by their extension, or because a plugin of theirs is."""
        rules = self._rules()
        partly = {rule.partition(":")[0] for rule in rules}
        return [
            name
            for name in names
            if self.lock_all or name in rules or (name.partition(":")[0] in rules if ":" in name else name in partly)
        ]

    def switch(self, name: str, on: bool) -> dict[str, Any]:
        """Switch a plugin, or all of an extension, on or off; the answer is what the page shows."""
        if locked := self.locked([name]):
            verb = "enabled" if on else "disabled"
            message = f"The following plugins cannot be {verb} as they are locked: {', '.join(locked)}"
            return {"status": "error", "message": message, "needs_restart": []}
        try:
            with self._writing:  # two switched at once both stay switched
                self._write(name, off=not on)
        except OSError as error:
            return {"status": "error", "message": str(error), "needs_restart": []}
        return {"status": "ok", "message": None, "needs_restart": ["frontend"]}

    def _write(self, name: str, off: bool) -> None:
        if bool(switches(layered("page_config").get(DISABLED)).get(name)) == off:
            return
        path = os.path.join(level_directory(self.level), "page_config.json")
        settings = read_object(path)
        recursive_update(settings, {DISABLED: {name: off}})
        # What belongs to the installation is for all its users: their servers leave out what they can not read.
        replace(path, json.dumps(settings, indent=2), mode=0o600 if self.level == "user" else 0o666)
