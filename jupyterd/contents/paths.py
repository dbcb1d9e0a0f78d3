"""API paths and what they mean on disk: ``a/b.ipynb``, never absolute, never out of the root, hidden or not.

Source: the reference's ``FileManagerMixin._get_os_path`` and ``jupyter_core.paths.is_hidden``.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterable
from fnmatch import translate
from functools import lru_cache
from mimetypes import guess_type

from jupyterd.errors import NotFound

_PINNED = {".js": ("application/javascript", None), ".css": ("text/css", None)}

UF_HIDDEN = getattr(stat, "UF_HIDDEN", 0x8000)


class OutsideRoot(NotFound):
    """The path leads out of the root directory, or is none."""


def clean(path: str) -> str:
    """An API path without slashes at its ends."""
    return path.strip("/")


def to_os_path(root: str, path: str) -> str:
    """The absolute path on disk.

    Symbolic links are followed wherever they lead: who may write in the root decides what is in it.

    :param root: absolute, without a slash at its end.
    :raises OutsideRoot: ``..`` leads out, a NUL byte, a drive letter.
    """
    if os.path.splitdrive(path)[0]:
        raise OutsideRoot(f"{path} is not a relative API path")
    if "\0" in path:
        raise OutsideRoot(f"{path} is not a valid path")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts or os.sep != "/":
        os_path = os.path.normpath(os.path.join(root, *parts))
        if os_path != root and not os_path.startswith(root if root.endswith(os.sep) else root + os.sep):
            raise OutsideRoot(f"{path} is outside root contents directory")
    else:
        os_path = "/".join([root.rstrip("/"), *parts]) or "/"
    try:
        os.fsencode(os_path)
    except UnicodeEncodeError:
        raise OutsideRoot(f"{path!r} is not a valid path") from None
    return os_path


def to_api_path(root: str, os_path: str) -> str:
    """The API path of a path on disk; ``root`` is taken off its front where it is there."""
    return "/".join(part for part in os_path.removeprefix(root).split(os.sep) if part)


def split(path: str) -> tuple[str, str]:
    """Parent and name of an API path."""
    parent, _, name = clean(path).rpartition("/")
    return parent, name


def is_hidden(os_path: str, root: str, status: os.stat_result | None = None) -> bool:
    """A path is hidden by a dot at the front of any of its names below ``root``, by the system's hidden flag, or
    where it is a directory that may not be read. What does not exist is hidden by its name alone.

    :param status: its status, where it is known.
    :raises OSError: the path can not be looked at (no permission on the way).
    """
    if os_path == root:
        return False
    below = os_path[len(root) :] if os_path.startswith(root) else os_path
    if os.sep + "." in os.sep + below:
        return True
    try:
        status = os.stat(os_path) if status is None else status
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG):
            return False
        raise
    return is_unlistable(os_path, status)


def is_unlistable(os_path: str, status: os.stat_result) -> bool:
    """Hidden for another reason than its name: a directory that may not be read, or the system's flag."""
    if stat.S_ISDIR(status.st_mode) and not os.access(os_path, os.X_OK | os.R_OK):
        return True
    return bool(getattr(status, "st_flags", 0) & UF_HIDDEN)


class HideGlobs:
    """Which names a listing leaves out.

    :param globs: shell patterns.
    """

    def __init__(self, globs: Iterable[str]) -> None:
        patterns = [translate(glob) for glob in globs]
        self._pattern = re.compile("|".join(patterns)) if patterns else None

    def hides(self, name: str) -> bool:
        """One of the patterns matches the whole name."""
        return self._pattern is not None and self._pattern.match(name) is not None


def mimetype_of(name: str) -> str | None:
    """The media type that a name's last suffixes stand for."""
    stem, dot, last = name.rpartition(".")
    if not dot:
        return None
    before = stem.rpartition(".")[2] if "." in stem else ""
    return _mimetype(before, last)


@lru_cache(maxsize=4096)
def _mimetype(before: str, last: str) -> str | None:
    return media_type_of(f"/x.{before}.{last}" if before else f"/x.{last}")[0]


def media_type_of(name: str) -> tuple[str | None, str | None]:
    """The media type and the encoding that a name stands for.

    For scripts and style sheets, of which systems think differently, the type does not depend on the system.
    """
    return _PINNED.get(os.path.splitext(name)[1].lower()) or guess_type(name)
