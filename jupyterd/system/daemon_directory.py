"""Directories of mode 0700, one for each daemon, for what it needs on disk while it runs: gone when it stops."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

NOTE = "noted-"

FRESH = 60.0
"""Seconds for which a directory without a lock is taken for one that is just being made."""


class Directory(Protocol):
    """A place of a daemon's own."""

    def join(self, name: str) -> str:
        """A path in it. Raises OSError: it can not be made."""

    def note(self, path: str) -> None:
        """Remember a file that lies elsewhere, and goes with the daemon."""

    def strike(self, path: str) -> None:
        """Forget a file that was noted."""


class DaemonDirectory:
    """A directory, made when it is first used.

    It is locked while its daemon lives, so that the next daemon can tell what a killed one left behind, and removes it;
    a lock on a directory also keeps systemd-tmpfiles away from it.

    :param prefix: what its name begins with.
    :param places: where it may be made, best first.
    """

    def __init__(self, prefix: str, places: Sequence[str]) -> None:
        self._prefix = prefix
        self._places = places
        self._path: str | None = None
        self._fd = -1

    def join(self, name: str) -> str:
        """A path in it.

        :raises OSError: it can not be made in any of the places.
        """
        if self._path is None:
            self._path = self._make()
        return os.path.join(self._path, name)

    def _make(self) -> str:
        problem: OSError | None = None
        for place in self._places:
            try:
                sweep(place, self._prefix)
                path = tempfile.mkdtemp(prefix=self._prefix, dir=place)
                self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except OSError as error:
                problem = error
                continue
            with suppress(OSError):  # some network file systems have no locks: then nobody sweeps there
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return path
        raise problem or FileNotFoundError(errno.ENOENT, "no place for a directory", self._prefix)

    def note(self, path: str) -> None:
        """Remember a file that lies elsewhere: if this daemon is killed, the next one removes it too.

        :raises OSError: it can not be noted.
        """
        os.symlink(path, self.join(NOTE + os.path.basename(path)))

    def strike(self, path: str) -> None:
        """Forget a file that was noted."""
        with suppress(OSError):
            os.unlink(self.join(NOTE + os.path.basename(path)))

    def close(self) -> None:
        """Remove it and all in it."""
        if self._path is not None:
            shutil.rmtree(self._path, ignore_errors=True)
            self._path = None
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def local_places() -> list[str]:
    """Where sockets may lie: the user's runtime directory, which is local and private, or the temporary one."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return [place for place in (runtime, tempfile.gettempdir(), "/tmp") if place and os.path.isdir(place)]  # noqa: S108


def sweep(place: str, prefix: str) -> None:
    """Remove the directories of daemons that were killed."""
    for entry in os.scandir(place):
        if not entry.name.startswith(prefix) or not entry.is_dir(follow_symlinks=False):
            continue
        with suppress(OSError):
            status = entry.stat(follow_symlinks=False)
            if status.st_uid == os.getuid() and time.time() - status.st_mtime > FRESH and _abandoned(entry.path):
                _remove(entry.path)


def _remove(path: str) -> None:
    for entry in os.scandir(path):
        if entry.name.startswith(NOTE) and entry.is_symlink():
            with suppress(OSError):
                os.unlink(os.readlink(entry.path))
    shutil.rmtree(path, ignore_errors=True)


def _abandoned(path: str) -> bool:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True
