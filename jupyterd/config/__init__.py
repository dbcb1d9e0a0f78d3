"""Config sections: settings of front ends, kept by the server for them (``/api/config``).

What operators' own classes and configuration files use can be imported from here; it is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyterd.system.imports.lazy_names import lazy_names

if TYPE_CHECKING:
    from jupyterd.config.manager import ConfigManager

__all__ = ["ConfigManager"]

HOMES = {"ConfigManager": "manager"}
"""The module of each name below this package."""

__getattr__ = lazy_names(__name__, HOMES)
