"""Runtime files: by which tools find a running server."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import Any

from jupyterd.supervision.server_settings import Server
from jupyterd.system.replace_file import replace_file


def write_private(path: str, text: str) -> None:
    """Write a file that no other user can read; it appears with all of its text at once.

    :raises OSError: it can not be written.
    """
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    replace_file(path, text, keep=False)


def remove(path: str) -> None:
    """Remove a file that may be gone already, with its directory too."""
    with suppress(FileNotFoundError, NotADirectoryError):
        os.unlink(path)


def write_info(server: Server) -> None:
    """``jpserver-<pid>.json``, read by ``jupyter server list`` and many tools."""
    write_or_tell(server, server.info_file, json.dumps(server.server_info(), indent=2, sort_keys=True))


def write_or_tell(server: Any, path: str, text: str) -> None:
    """Write a private file; where that fails the server runs without it."""
    try:
        write_private(path, text)
    except OSError as error:
        server.log.error("Failed to write %s: %s", path, error)
