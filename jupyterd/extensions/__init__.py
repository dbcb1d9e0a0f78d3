"""Server extensions, the daemon's side: a child process, :mod:`jupyterd.extension_host`, runs them.

What packages that extend jupyterd itself use can be imported from here; it is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyterd.system.imports.lazy_names import lazy_names

if TYPE_CHECKING:
    from jupyterd.extensions.native import Native

__all__ = ["Native"]

__getattr__ = lazy_names(__name__, {"Native": "native"})
