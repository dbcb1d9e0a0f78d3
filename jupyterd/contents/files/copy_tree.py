"""A directory copied with all in it: its links as links, nothing that is not a file, never into itself without end."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Sequence

from jupyterd.contents.files.os_errors import FULL


class NoRoom(Exception):
    """The disk does not take it all; nothing of it was left."""


def copy_tree(os_from: str, os_to: str) -> None:
    """Copy a directory.

    :param os_to: nothing is there yet. Where the copy fails nothing is there after it.
    :raises NoRoom: the disk is full.
    :raises OSError: something can not be read, or there is something already.
    """
    os.makedirs(os_to)
    made = os.lstat(os_to)

    def ignored(directory: str, names: Sequence[str]) -> set[str]:
        return {name for name in names if not _is_wanted(os.path.join(directory, name), made)}

    try:
        shutil.copytree(os_from, os_to, symlinks=True, ignore=ignored, copy_function=_copy_file, dirs_exist_ok=True)
    except BaseException:
        shutil.rmtree(os_to, ignore_errors=True)
        raise


def _is_wanted(path: str, made: os.stat_result) -> bool:
    """A link, a regular file, a directory other than the copy; what is gone meanwhile is for the copy to tell."""
    try:
        status = os.lstat(path)
    except OSError:
        return True
    if stat.S_ISDIR(status.st_mode):
        return not os.path.samestat(status, made)
    return stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)


def _copy_file(os_from: str, os_to: str) -> None:
    try:
        shutil.copy2(os_from, os_to, follow_symlinks=False)
    except OSError as error:
        if error.errno in FULL:  # all that follows would fail too
            raise NoRoom from error
        raise
