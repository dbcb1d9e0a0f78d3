"""Contents: files and notebooks, listed, read, saved, renamed, copied; uploads, downloads, checkpoints, trust.

What operators' own classes and configuration files use can be imported from here; it is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyterd.system.imports.lazy_names import lazy_names

if TYPE_CHECKING:
    from jupyterd.contents.managers.checkpoints import (
        AsyncCheckpoints,
        AsyncFileCheckpoints,
        AsyncGenericFileCheckpoints,
        Checkpoints,
        FileCheckpoints,
        GenericCheckpointsMixin,
        GenericFileCheckpoints,
    )
    from jupyterd.contents.managers.filemanager import AsyncFileContentsManager, FileContentsManager
    from jupyterd.contents.managers.largefilemanager import AsyncLargeFileManager, LargeFileManager
    from jupyterd.contents.managers.manager import AsyncContentsManager, ContentsManager

__all__ = [
    "AsyncCheckpoints",
    "AsyncContentsManager",
    "AsyncFileCheckpoints",
    "AsyncFileContentsManager",
    "AsyncGenericFileCheckpoints",
    "AsyncLargeFileManager",
    "Checkpoints",
    "ContentsManager",
    "FileCheckpoints",
    "FileContentsManager",
    "GenericCheckpointsMixin",
    "GenericFileCheckpoints",
    "LargeFileManager",
]

HOMES = {
    "ContentsManager": "managers.manager",
    "AsyncContentsManager": "managers.manager",
    "FileContentsManager": "managers.filemanager",
    "AsyncFileContentsManager": "managers.filemanager",
    "LargeFileManager": "managers.largefilemanager",
    "AsyncLargeFileManager": "managers.largefilemanager",
    "Checkpoints": "managers.checkpoints",
    "AsyncCheckpoints": "managers.checkpoints",
    "GenericCheckpointsMixin": "managers.checkpoints",
    "FileCheckpoints": "managers.checkpoints",
    "AsyncFileCheckpoints": "managers.checkpoints",
    "GenericFileCheckpoints": "managers.checkpoints",
    "AsyncGenericFileCheckpoints": "managers.checkpoints",
}
"""The module of each name below this package."""

__getattr__ = lazy_names(__name__, HOMES)
