"""Recovery of files overwritten in place: where the new content lies whole meanwhile, and how it is brought back."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from hashlib import sha256

NO_RENAME = frozenset({errno.EBUSY, errno.EXDEV, errno.EPERM, errno.EACCES, errno.ETXTBSY, errno.EROFS})
"""What the system says where a file can be written but not replaced."""


def beside(target: str) -> str:
    """The path in the file's own directory; the reference's name for it."""
    directory, name = os.path.split(target)
    return os.path.join(directory, ".~" + name)


def hashed(target: str) -> str:
    """The path there where that name is too long, or taken by a directory."""
    directory, name = os.path.split(target)
    return os.path.join(directory, ".~" + sha256(os.fsencode(name)).hexdigest())


def apart(target: str) -> str:
    """The path where that directory may not be written."""
    return os.path.join(directory(), sha256(os.fsencode(target)).hexdigest())


def directory() -> str:
    """Where the latter are; made if it is not there."""
    from jupyter_core.paths import jupyter_data_dir

    path = os.path.join(jupyter_data_dir(), "jupyterd", "recovery")
    os.makedirs(path, mode=0o700, exist_ok=True)
    return path


def put_aside(temporary: str, target: str) -> str:
    """Give the new content the name under which it is looked for after a crash."""
    here = os.path.dirname(temporary) == os.path.dirname(target)
    for aside in (beside(target), hashed(target)) if here else (apart(target),):
        with suppress(OSError):  # too long a name, a directory, another user's
            os.rename(temporary, aside)
            return aside
    return temporary


def recover(os_path: str) -> bool:
    """Bring back what was kept aside of a file that is half written; it goes to ``<name>.invalid``.

    :returns: whether there was something to bring back.
    """
    target = os.path.realpath(os_path)
    for aside in (beside(target), hashed(target), apart(target)):
        if os.path.isfile(aside):
            _keep_invalid(target)
            try:
                os.replace(aside, target)
            except OSError as error:
                if error.errno not in NO_RENAME:
                    raise
                shutil.copyfile(aside, target)
                os.unlink(aside)
            return True
    return False


def _keep_invalid(target: str) -> None:
    """Keep what is half written; elsewhere, where it can not be kept beside."""
    try:
        shutil.copyfile(target, target + ".invalid")
    except OSError:
        shutil.copyfile(target, apart(target) + ".invalid")
