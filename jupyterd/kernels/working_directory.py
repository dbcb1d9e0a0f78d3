"""Working directory of a kernel: where its notebook lies, or as near to it as there is a directory."""

from __future__ import annotations

import os


def working_directory(root: str, path: str) -> str:
    """The directory that an API path stands for, or the nearest above it that exists; blocks.

    :param root: what API paths are relative to; nothing above it is given.
    """
    cwd = os.path.normpath(os.path.join(root, *(part for part in str(path).split("/") if part)))
    while cwd != root and not (_below(cwd, root) and os.path.isdir(cwd)):
        parent = os.path.dirname(cwd)
        if parent == cwd:
            return root
        cwd = parent
    return cwd


def _below(path: str, root: str) -> bool:
    return path == root or path.startswith(os.path.join(root, ""))
