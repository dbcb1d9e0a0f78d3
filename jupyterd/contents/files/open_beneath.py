"""Files opened where they are known to be below a directory, whatever somebody makes of the links on the way meanwhile.

Source: openat2(2). Where the system does not have it, what was opened is asked for its path.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from contextlib import suppress
from functools import cache
from typing import Any

_SYS_OPENAT2 = 437  # on every architecture that Python runs on
_NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH = 0x02, 0x04, 0x08
_MOVED = frozenset({errno.ELOOP, errno.EXDEV, errno.ENOTDIR, errno.ENOENT, errno.EAGAIN})
TRIES = 4
"""How often a path is resolved anew that was another one when it was opened."""


class LeadsOut(PermissionError):
    """A link on the way leads out of the directory, or the way is never the same twice."""


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def open_beneath(root: str, path: str, flags: int) -> tuple[int, str]:
    """Open what is at a path; links may lead anywhere below ``root``.

    :param root: the directory; it may be a link itself.
    :param path: absolute, below ``root``.
    :param flags: as for :func:`os.open`, without ``O_CREAT``.
    :returns: a descriptor, and the path without links.
    :raises LeadsOut: it is not below ``root``.
    :raises OSError: what the system refuses.
    """
    real_root = os.path.realpath(root)
    problem: OSError | None = None
    for _ in range(TRIES):
        real = os.path.realpath(path)
        relative = _relative(real_root, real)
        try:
            return _open(real_root, relative, flags), real
        except OSError as error:
            if error.errno not in _MOVED:
                raise
            problem = error
            if os.path.realpath(path) == real and error.errno in (errno.ENOENT, errno.ENOTDIR):
                raise  # it is just not there
    raise LeadsOut(errno.EACCES, "A link on the way leads out", path) from problem


def _relative(real_root: str, real: str) -> str:
    if real == real_root:
        return "."
    if not real.startswith(real_root.rstrip(os.sep) + os.sep):
        raise LeadsOut(errno.EACCES, "A link leads out", real)
    return os.path.relpath(real, real_root)


def _open(real_root: str, relative: str, flags: int) -> int:
    """Open a path that has no links, when it was looked at; one that has come since is an error of :data:`_MOVED`."""
    flags |= os.O_CLOEXEC
    call = _openat2()
    if call is not None:
        top = os.open(real_root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            how = _OpenHow(flags, 0, _BENEATH | _NO_SYMLINKS | _NO_MAGICLINKS)
            fd = int(call(_SYS_OPENAT2, top, os.fsencode(relative), ctypes.byref(how), ctypes.sizeof(how)))
        finally:
            os.close(top)
        if fd >= 0:
            return fd
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), os.path.join(real_root, relative))
    expected = os.path.normpath(os.path.join(real_root, relative))
    fd = os.open(expected, flags | os.O_NOFOLLOW)
    if not _is_at(fd, expected):
        os.close(fd)
        raise OSError(errno.ELOOP, "It was moved", expected)
    return fd


def _is_at(fd: int, expected: str) -> bool:
    """Whether what was opened has that path; where the system does not tell, whether that path is what was opened."""
    with suppress(OSError):
        return os.readlink(f"/proc/self/fd/{fd}") == expected
    return os.path.samestat(os.fstat(fd), os.lstat(expected)) and os.path.realpath(expected) == expected


def path_of(fd: int, directory: str) -> str:
    """A path for an open directory that stays with it when it is moved; its usual path where the system has none."""
    held = f"/proc/self/fd/{fd}"
    return held if os.path.isdir(held) else directory


@cache
def _openat2() -> Any:
    """The call, where there is one: old kernels and some containers' filters have none."""
    if not sys.platform.startswith("linux"):
        return None
    call = ctypes.CDLL(None, use_errno=True).syscall
    how = _OpenHow(os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, 0, _BENEATH)
    top = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fd = call(_SYS_OPENAT2, top, b".", ctypes.byref(how), ctypes.sizeof(how))
    finally:
        os.close(top)
    if fd < 0:
        return None
    os.close(fd)
    return call
