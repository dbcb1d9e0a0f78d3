"""Versions of notebooks, kept without copying: what a save replaces keeps its inode under another name.

They lie in ``.ipynb_checkpoints/versions/`` beside the notebook. Only where the file was overwritten in place is a copy
made.
"""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass
from datetime import datetime, timezone

from jupyterd.contents.files import unfinished_files

DIRECTORY = "versions"
LARGE = 1 << 20
"""Bytes from which on a version does not stay in the system's cache."""

_REMEMBERED = 1000
_newest: dict[str, float] = {}
"""When the content of each file's newest version was written: saves look there before they look on disk."""

_sizes: dict[tuple[str, str], int] = {}
"""Bytes of the versions of each file that was saved lately, by directory and name."""

_ID = re.compile(r"v(\d{8}-\d{6}-\d{6})\Z")


@dataclass(frozen=True)
class Version:
    """One kept version of a file."""

    id: str
    os_path: str
    status: os.stat_result


@dataclass(frozen=True)
class Versions:
    """The versions of the files of one directory.

    :param directory: where they are kept; made when the first comes.
    :param count: how many of one file are kept.
    :param total: how many bytes, together, of one file's versions.
    :param interval: seconds; what was replaced sooner after the version before it is not kept.
    """

    directory: str
    count: int
    total: int
    interval: float = 0.0

    def keep(self, os_path: str, in_place: bool = False) -> None:
        """Keep what is in a file now; the oldest versions go when there are too many. Failing does not matter.

        :param os_path: of a file that is about to be replaced.
        :param in_place: its inode will be overwritten: a copy is needed, another name is not enough.
        """
        if self.count <= 0:
            return
        try:
            status = os.stat(os_path)
            if status.st_size == 0 or status.st_size > self.total or self._is_too_soon(os_path, status):
                return
            os.makedirs(self.directory, exist_ok=True)
            self._link(os_path, os.path.basename(os_path), status, in_place)
            self._prune(os.path.basename(os_path))
            if status.st_size > LARGE:
                forget(os_path)
        except OSError:
            pass  # a version less is no reason not to save

    def _is_too_soon(self, os_path: str, status: os.stat_result) -> bool:
        if not self.interval:
            return False
        newest = _newest.get(os_path)
        if newest is None:
            kept = self.list(os.path.basename(os_path))
            newest = kept[-1].status.st_mtime if kept else 0.0
        soon = 0 <= status.st_mtime - newest < self.interval
        if len(_newest) >= _REMEMBERED:
            _newest.clear()
        _newest[os_path] = newest if soon else status.st_mtime
        return soon

    def _link(self, os_path: str, name: str, status: os.stat_result, in_place: bool) -> None:
        moment = datetime.fromtimestamp(status.st_mtime_ns // 1000 / 1e6, timezone.utc)
        target = self.path(name, f"v{moment:%Y%m%d-%H%M%S-%f}")
        if in_place:
            _copy(os_path, target)
            return
        try:
            os.link(os_path, target)
        except FileExistsError:
            pass  # kept already
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EXDEV, errno.EMLINK, errno.EOPNOTSUPP):
                raise
            _copy(os_path, target)

    def path(self, name: str, version: str) -> str:
        """Where a version is kept."""
        stem, suffix = os.path.splitext(name)
        return os.path.join(self.directory, f"{stem}-{version}{suffix}")

    def list(self, name: str) -> list[Version]:
        """The versions of a file, oldest first."""
        stem, suffix = os.path.splitext(name)
        found: list[Version] = []
        try:
            with os.scandir(self.directory) as entries:
                for entry in entries:
                    middle = entry.name[len(stem) + 1 : len(entry.name) - len(suffix)]
                    if _ID.match(middle) and entry.name == f"{stem}-{middle}{suffix}":
                        found.append(Version(middle, entry.path, entry.stat(follow_symlinks=False)))
        except OSError:
            return []
        return sorted(found, key=lambda version: version.id)

    def _prune(self, name: str) -> None:
        unfinished_files.sweep(self.directory)
        kept = self.list(name)
        total = sum(version.status.st_size for version in kept)
        while kept and (len(kept) > self.count or total > self.total):
            oldest = kept.pop(0)
            total -= oldest.status.st_size
            os.unlink(oldest.os_path)
        if len(_sizes) >= _REMEMBERED:
            _sizes.clear()
        _sizes[self.directory, name] = total


def _copy(os_path: str, target: str) -> None:
    """A copy that is there whole or not at all, for this user's eyes while it is made."""
    unfinished_files.copy_aside(os_path, os.path.dirname(target), lambda aside: os.replace(aside, target), 0o600)


def forget(os_path: str) -> None:
    """Tell the system that a file will hardly be read again: its memory is better used for the next one."""
    if hasattr(os, "posix_fadvise"):
        fd = os.open(os_path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(fd)


def kept_bytes() -> int:
    """How much the versions of the files take that this process has kept one of, of the last thousand at most."""
    return sum(list(_sizes.values()))


def is_version(checkpoint_id: str) -> bool:
    """The id of a version, not of a checkpoint."""
    return _ID.match(checkpoint_id) is not None
