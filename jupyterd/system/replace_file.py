"""A small file replaced in one step: readers, a crash and a full disk find the old one or the new one."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress


def replace_file(path: str, data: bytes | str, mode: int = 0o600, keep: bool = True) -> None:
    """Write a file. Where that fails all is as it was, and nothing else is left. Blocks.

    :param mode: of a new file; the process's umask takes of it what it takes.
    :param keep: a link stays one, and the file that is there gives its mode to the new one; else both are replaced.
    :raises OSError: it can not be written, or not all of it.
    """
    path = os.path.realpath(path) if keep else path
    temporary = written_aside(path, data, mode)
    try:
        if keep:
            with suppress(FileNotFoundError):
                os.chmod(temporary, stat.S_IMODE(os.stat(path).st_mode))
        os.replace(temporary, path)
    except BaseException:
        discard(temporary)
        raise


def written_aside(path: str, data: bytes | str, mode: int = 0o600) -> str:
    """Write what is to be at ``path`` into a new file beside it, flushed to disk: its path.

    :raises OSError: it can not be written, or not all of it; nothing is left.
    """
    raw = data.encode() if isinstance(data, str) else data
    temporary = os.path.join(os.path.dirname(path), f".~{secrets.token_hex(8)}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        discard(temporary)
        raise
    return temporary


def discard(path: str) -> None:
    """Remove a file; that it can not be is not told."""
    with suppress(OSError):
        os.unlink(path)
