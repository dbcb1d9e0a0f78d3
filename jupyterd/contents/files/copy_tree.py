"""A directory copied with all in it: its links as links, nothing that is not a file, never into itself without end.

Without recursion: a tree may be deeper than the interpreter's stack.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Callable

from jupyterd.contents.files.removal import remove_tree
from jupyterd.errors import FULL


class NoRoom(Exception):
    """The disk does not take it all; nothing of it was left."""


class TooDeep(Exception):
    """What is to be copied is nested so deep that the system has no path for it; nothing of it was left."""


def _untold() -> None:
    """Nobody wants to know."""


def copy_tree(os_from: str, os_to: str, skip_special: bool = True, copied: Callable[[], object] = _untold) -> None:
    """Copy a directory. Where the copy fails nothing is at ``os_to`` after it.

    :param copied: called after each file.

    :param skip_special: leave out fifos, sockets and devices; else the copy fails with them.
    :raises FileExistsError: something is at ``os_to``; it is left alone.
    :raises NoRoom: the disk is full.
    :raises TooDeep: a path is longer than the system takes.
    :raises OSError: something can not be read.
    """
    os.makedirs(os.path.dirname(os_to), exist_ok=True)
    os.mkdir(os_to)
    try:
        _fill(os_from, os_to, skip_special, copied)
    except BaseException as error:
        _drop(os_to)
        if isinstance(error, OSError) and error.errno in FULL:
            raise NoRoom from error
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            raise TooDeep from error
        raise


def _drop(os_to: str) -> None:
    try:
        remove_tree(os_to)
    except OSError:
        shutil.rmtree(os_to, ignore_errors=True)  # as much as can be


def _fill(os_from: str, os_to: str, skip_special: bool, copied: Callable[[], object]) -> None:
    made = os.lstat(os_to)
    directories = [(os_from, os_to)]
    waiting = [(os_from, os_to)]
    while waiting:
        source, target = waiting.pop()
        with os.scandir(source) as entries:
            for entry in entries:
                to = os.path.join(target, entry.name)
                status = _status_of(entry)
                if status is None or stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode):
                    shutil.copy2(entry.path, to, follow_symlinks=False)
                    copied()
                elif stat.S_ISDIR(status.st_mode):
                    if not os.path.samestat(status, made):
                        os.mkdir(to)
                        directories.append((entry.path, to))
                        waiting.append((entry.path, to))
                elif not skip_special:
                    raise OSError(errno.EINVAL, "Not a file", entry.path)
    for source, target in reversed(directories):  # the deepest first: times change with what is put in
        shutil.copystat(source, target)


def _status_of(entry: os.DirEntry[str]) -> os.stat_result | None:
    """None for what is gone meanwhile: that is for the copy to tell."""
    try:
        return entry.stat(follow_symlinks=False)
    except OSError:
        return None
