"""File lock: whether another living process holds a file or directory; the system lets go when its owner dies.

Source: flock(2). Some network file systems have no locks: nobody can know there, which is not the same as "free".
"""

from __future__ import annotations

import fcntl
import os

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""How a directory is opened whose lock is wanted."""


def try_lock(fd: int) -> bool | None:
    """Lock an open file or directory, until the descriptor is closed; never waits.

    :returns: it is locked; False where another descriptor has the lock; None where the file system has no locks.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def locked_directory(path: str, *, without_locks: bool) -> int | None:
    """A descriptor that locks a directory; None where another process has it locked.

    :param without_locks: take it where the file system has no locks, too.
    :raises OSError: it can not be opened.
    """
    fd = os.open(path, DIRECTORY)
    locked = try_lock(fd)
    if locked or (locked is None and without_locks):
        return fd
    os.close(fd)
    return None
