"""Unfinished files: how they are named, how others see that one is still written, and how those of the dead go.

Who writes one holds a lock on it, which ends with the process whatever ends it. The name tells the boot of the machine:
only there are locks sure to be seen. What comes from elsewhere (another host on a network filesystem, a directory that
is synchronised, this machine before it was restarted) goes by its age alone.
"""

from __future__ import annotations

import os
import random
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from hashlib import sha256

from jupyterd.system.file_lock import try_lock

PREFIX = ".~jupyterd-"
"""What the names of unfinished files begin with; hidden, and left alone by Dropbox."""

FRESH = 600.0
"""Seconds since its last write for which an unfinished file is left alone, locked or not."""

OLD = 7 * 86400.0
"""The same for one of which it can not be known whether somebody writes it."""

MAX_SWEPT = 32
"""How many are looked at in one go."""


@cache
def _boot() -> str:
    """Names this boot of this machine; empty where the system does not tell."""
    try:
        with open("/proc/sys/kernel/random/boot_id", "rb") as file:
            return sha256(file.read()).hexdigest()[:8]
    except OSError:
        return ""


def create(directory: str, mode: int = 0o666) -> tuple[int, str]:
    """Make an unfinished file: a descriptor that shows others that it is written, and its path.

    :raises OSError: the directory does not take it.
    """
    path = os.path.join(directory, f"{PREFIX}{_boot()}-{secrets.token_hex(8)}")
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    try_lock(fd)  # where the file system has no locks its age must do
    return fd, path


def copy_aside(path: str, directory: str, take: Callable[[str], None], mode: int = 0o666) -> None:
    """Copy a file, with its times and permissions: it is there whole or not at all.

    :param directory: where the unfinished copy lies.
    :param take: gives the copy, whose path it gets, its own name.
    :raises OSError: it can not be read or written, or ``take`` says so.
    """
    fd, aside = create(directory, mode)
    try:
        shutil.copy2(path, aside)
        take(aside)
    except BaseException:
        os.unlink(aside)
        raise
    finally:
        os.close(fd)


def sweep(directory: str, names: Iterable[str] | None = None) -> None:
    """Remove unfinished files of this user's that nobody writes any more. Failing does not matter.

    :param names: of what is in the directory; None to look.
    """
    with suppress(OSError):
        found = [name for name in (os.listdir(directory) if names is None else names) if name.startswith(PREFIX)]
        if len(found) > MAX_SWEPT:  # any of them: who stays must not hide the others
            found = random.sample(found, MAX_SWEPT)
        for name in found:
            _consider(directory, name)


def _consider(directory: str, name: str) -> None:
    path = os.path.join(directory, name)
    with suppress(OSError):
        status = os.lstat(path)
        age = time.time() - status.st_mtime
        if age < FRESH or not stat.S_ISREG(status.st_mode) or status.st_uid != os.getuid():
            return
        held = _is_held(path)
        here = bool(_boot()) and name.startswith(f"{PREFIX}{_boot()}-")
        if (held is False and here) or (not held and age > OLD):
            os.unlink(path)


def _is_held(path: str) -> bool | None:
    """Somebody writes it; None where that can not be known."""
    fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    free = try_lock(fd)
    os.close(fd)
    return None if free is None else not free
