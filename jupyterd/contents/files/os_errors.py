"""OSErrors as failures that a client may be told."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from jupyterd.contents.paths import to_api_path
from jupyterd.errors import FULL, Conflict, Forbidden, Invalid, JupyterdError, OutOfSpace, TooLarge

DENIED = frozenset({errno.EPERM, errno.EACCES, errno.EROFS})


class DiskFull(OutOfSpace):
    """No space, or no quota, is left for the file; what was there before is untouched."""


class Busy(Conflict):
    """The system is using it, as it does what something is mounted on: it can not go away."""


class PermissionDenied(Forbidden):
    """The system lets this server not read, write or remove it."""


def kind_of(error: OSError, path: str) -> JupyterdError | None:
    """The failure that an error of the system stands for; None for one without a name.

    :param path: what the client calls the file.
    """
    if error.errno in DENIED:
        return PermissionDenied(f"Permission denied: {path}")
    if error.errno in FULL:
        return DiskFull(f"No space left on device: {path}")
    if error.errno == errno.EBUSY:
        return Busy(f"Device or resource busy: {path}")
    if error.errno == errno.EFBIG:
        return TooLarge(f"File too large: {path}")
    if error.errno == errno.ENAMETOOLONG:
        return Invalid(f"File name too long: {path}")
    return None


@contextmanager
def named_faults(root: str, os_path: str = "") -> Iterator[None]:
    """Turn what the system refuses into a named failure; its message shows no path above ``root``."""
    try:
        yield
    except OSError as error:
        culprit = os_path or str(error.filename or "unknown file")
        named = kind_of(error, to_api_path(root, culprit))
        if named is None:
            raise
        raise named from error
