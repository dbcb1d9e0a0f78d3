"""Exclusive names: made, or moved to, in one step, so that nobody else gets them, in this process or another."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

_RENAME_NOREPLACE = 1
_AT_FDCWD = -100
_UNKNOWN = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM})
"""What a filesystem says that can not rename without replacing, or has no hard links."""


@dataclass(frozen=True)
class Claim:
    """An empty file or directory that was made to hold a name, until what it is for takes its place."""

    os_path: str
    status: os.stat_result

    def release(self) -> None:
        """Remove it, unless something has taken its place, or is in it, by now. Failing does not matter."""
        with suppress(OSError):
            now = os.lstat(self.os_path)
            if not os.path.samestat(now, self.status):
                return
            if stat.S_ISDIR(now.st_mode):
                os.rmdir(self.os_path)
            elif now.st_size == 0:
                os.unlink(self.os_path)


def claim(os_path: str, directory: bool = False) -> Claim | None:
    """Make an empty file or directory where nothing is; None where something is already, a broken link too.

    :raises OSError: what the system refuses.
    """
    try:
        if directory:
            os.mkdir(os_path)
            return Claim(os_path, os.lstat(os_path))
        fd = os.open(os_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except FileExistsError:
        return None
    try:
        return Claim(os_path, os.fstat(fd))
    finally:
        os.close(fd)


def rename(old: str, new: str) -> None:
    """Rename where nothing has the new name.

    :raises FileExistsError: something has.
    :raises OSError: what the system refuses.
    """
    try:
        if _rename_noreplace(old, new):
            return
    except OSError as error:
        if error.errno not in _UNKNOWN:
            raise
    if not stat.S_ISDIR(os.lstat(old).st_mode) and _relink(old, new):
        return
    if os.path.lexists(new):  # no step is one here: the window is as small as it can be
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new)
    os.rename(old, new)


def _relink(old: str, new: str) -> bool:
    """The same by a second name; whether the filesystem has such."""
    try:
        os.link(old, new, follow_symlinks=False)
    except OSError as error:
        if error.errno in (*_UNKNOWN, errno.EMLINK):
            return False
        raise
    os.unlink(old)
    return True


def _rename_noreplace(old: str, new: str) -> bool:
    """Whether there is such a call of the system; where there is, it was done."""
    call = _renameat2()
    if call is None:
        return False
    if call(_AT_FDCWD, os.fsencode(old), _AT_FDCWD, os.fsencode(new), _RENAME_NOREPLACE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), old, None, new)
    return True


@cache
def _renameat2() -> Any:
    if sys.platform != "linux":
        return None
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is not None:
        call.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    return call
