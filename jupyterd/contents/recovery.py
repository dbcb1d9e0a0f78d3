"""Where new content lies whole while a file is overwritten in place, and how it is brought back from there."""

from __future__ import annotations

import errno
import os
import shutil

NO_RENAME = frozenset({errno.EBUSY, errno.EXDEV, errno.EPERM, errno.EACCES, errno.ETXTBSY, errno.EROFS})
"""What the system says where a file can be written but not replaced."""


def beside(target: str) -> str:
    """The path in the file's own directory; the reference's name for it."""
    directory, name = os.path.split(target)
    return os.path.join(directory, ".~" + name)


def apart(target: str) -> str:
    """The path where that directory may not be written."""
    from hashlib import sha256

    return os.path.join(directory(), sha256(os.fsencode(target)).hexdigest())


def directory() -> str:
    """Where the latter are; made if it is not there."""
    from jupyter_core.paths import jupyter_data_dir

    path = os.path.join(jupyter_data_dir(), "jupyterd", "recovery")
    os.makedirs(path, mode=0o700, exist_ok=True)
    return path


def put_aside(temporary: str, target: str) -> str:
    """Give the new content the name under which it is looked for after a crash."""
    aside = beside(target)
    if os.path.dirname(temporary) != os.path.dirname(target):
        aside = apart(target)
    try:
        os.rename(temporary, aside)
    except OSError:  # the name is too long, or taken by a directory
        return temporary
    return aside


def recover(os_path: str) -> bool:
    """Bring back what was kept aside of a file that is half written; it goes to ``<name>.invalid``.

    :returns: whether there was something to bring back.
    """
    target = os.path.realpath(os_path)
    for aside in (beside(target), apart(target)):
        if os.path.isfile(aside):
            shutil.copyfile(target, _invalid(target))
            try:
                os.replace(aside, target)
            except OSError as error:
                if error.errno not in NO_RENAME:
                    raise
                shutil.copyfile(aside, target)
                os.unlink(aside)
            return True
    return False


def _invalid(target: str) -> str:
    if os.access(os.path.dirname(target), os.W_OK):
        return target + ".invalid"
    return apart(target) + ".invalid"
