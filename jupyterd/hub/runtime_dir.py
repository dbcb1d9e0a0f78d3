"""A directory for what lives as long as the server, where the home is read-only or missing."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import MutableMapping

from jupyter_core.paths import jupyter_runtime_dir

VARIABLE = "JUPYTER_RUNTIME_DIR"


def ensure(environ: MutableMapping[str, str], temporary: str | None = None) -> str | None:
    """Point ``JUPYTER_RUNTIME_DIR`` to a private directory that can be written, for us and for kernels.

    :param temporary: where to make one; the system's temporary directory by default.
    :returns: the new directory; None where the usual one will do.
    :raises OSError: nothing can be written anywhere.
    """
    if _usable(jupyter_runtime_dir()):
        return None
    name = f"jupyter-runtime-{os.getuid()}"
    path = os.path.join(temporary or tempfile.gettempdir(), name)
    if not _mine(path):
        path = tempfile.mkdtemp(prefix=f"{name}-", dir=temporary)
    environ[VARIABLE] = path
    return path


def _usable(path: str) -> bool:
    try:
        os.makedirs(path, 0o700, exist_ok=True)
    except OSError:
        return False
    return os.access(path, os.W_OK | os.X_OK)


def _mine(path: str) -> bool:
    """Whether it is a directory of this user's alone, or can be made one: others can write to its parent too."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        found = os.lstat(path)
        return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
    except OSError:
        return False
    return True
