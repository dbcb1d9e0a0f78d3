"""Deleting: to the trash or for good; and how much a directory holds."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from threading import Lock
from zlib import crc32

from jupyterd.errors import FULL, Invalid, OutOfSpace

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_naming = [Lock() for _ in range(64)]
"""By the hash of a name: one that hangs on a dead mount does not stop all others."""


TO_DELETE = "Delete in a terminal, or set FileContentsManager.delete_to_trash to False"
"""What to do where the disk is full: the trash gives no space free."""


class TrashFailed(Invalid):
    """The system's trash did not take it; it is where it was."""


def to_trash(os_path: str) -> None:
    """Send a file or directory to the trash.

    :raises TrashFailed: nothing was deleted. The reference's status and text.
    :raises OutOfSpace: nothing was deleted, the disk being full.
    """
    from send2trash import send2trash

    if os.path.islink(os_path) and not os.path.exists(os_path):
        os.unlink(os_path)  # a broken link: nothing that could be taken back
        return
    # It looks for a free name and takes it later: two files of one name, from two directories, would be one there.
    with _naming[crc32(os.fsencode(os.path.basename(os_path))) % len(_naming)]:
        try:
            send2trash(os_path)
        except OSError as error:
            if error.errno in FULL:
                raise OutOfSpace(f"No space left on device: the trash notes what it holds. {TO_DELETE}") from error
            raise TrashFailed(f"send2trash failed: {error}") from error
        except RecursionError as error:
            raise TrashFailed("send2trash failed: the folder is nested too deep") from error


def has_entries(os_dir: str, leftover: str | None) -> bool:
    """A directory holds something other than left-over checkpoints."""
    with os.scandir(os_dir) as entries:
        return any(entry.name != leftover for entry in entries)


def remove(os_path: str) -> None:
    """Delete a file, or a directory and all in it; of a link the link."""
    if os.path.isdir(os_path) and not os.path.islink(os_path):
        remove_tree(os_path)
    else:
        os.unlink(os_path)


@dataclass
class _Level:
    """A directory on the way down, and which directories in it are still there."""

    name: str
    status: os.stat_result
    waiting: list[str]


def remove_tree(os_path: str) -> None:
    """Delete a directory and all in it, however deep it is: one descriptor, no path, no recursion.

    :raises OSError: something can not be deleted, or was moved meanwhile; what came before it is gone.
    """
    above = os.open(os.path.dirname(os_path) or ".", _DIRECTORY)
    fd = -1
    try:
        fd = os.open(os.path.basename(os_path), _DIRECTORY | os.O_NOFOLLOW, dir_fd=above)
        way = [_empty(fd, os.path.basename(os_path))]
        while way:
            if way[-1].waiting:
                name = way[-1].waiting.pop()
                fd = _step(fd, name)
                way.append(_empty(fd, name))
                continue
            done = way.pop()
            if not way:
                os.rmdir(done.name, dir_fd=above)
                return
            fd = _step(fd, "..")
            if not os.path.samestat(os.fstat(fd), way[-1].status):
                raise OSError(errno.ESTALE, "The directory was moved while it was deleted", os_path)
            os.rmdir(done.name, dir_fd=fd)
    finally:
        os.close(above)
        if fd >= 0:
            os.close(fd)


def _empty(fd: int, name: str) -> _Level:
    """Delete what is no directory."""
    level = _Level(name, os.fstat(fd), [])
    with os.scandir(fd) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for inner, is_directory in found:
        if is_directory:
            level.waiting.append(inner)
        else:
            os.unlink(inner, dir_fd=fd)
    return level


def _step(fd: int, name: str) -> int:
    """From one directory into the next; a link is none."""
    following = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
    os.close(fd)
    return following


def disk_usage(os_dir: str) -> int:
    """Bytes on disk of all files below a directory; links are not followed, what can not be read counts nothing."""
    total = 0
    waiting = [os_dir]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    total += _blocks(entry)
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
        except OSError:
            continue
    return total


def _blocks(entry: os.DirEntry[str]) -> int:
    status = entry.stat(follow_symlinks=False)
    blocks = getattr(status, "st_blocks", None)
    return status.st_size if blocks is None else blocks * 512
