"""Directories of mode 0700, one for each daemon, for what it needs on disk while it runs: gone when it stops."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from jupyterd.system.file_lock import DIRECTORY, locked_directory, try_lock

NOTE = "noted-"

UNBORN = "."
"""What a directory's name begins with until it is locked."""

FRESH = 60.0
"""Seconds for which such a one is left alone."""


class Directory(Protocol):
    """A place of a daemon's own."""

    def join(self, name: str) -> str:
        """A path in it. Raises OSError: it can not be made."""

    def note(self, path: str) -> None:
        """Remember a file that lies elsewhere, and goes with the daemon."""

    def strike(self, path: str) -> None:
        """Forget a file that was noted."""


class DaemonDirectory:
    """A directory, made when it is first used, and again when something has removed it.

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
        self._noted: set[str] = set()

    def join(self, name: str) -> str:
        """A path in it.

        :raises OSError: it can not be made in any of the places.
        """
        if self._path is None:
            self._path = self._make()
        elif not self._is_there():
            self._path = self._again(self._path)
        return os.path.join(self._path, name)

    def _is_there(self) -> bool:
        assert self._path is not None
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(self._fd))
        except OSError:
            return False

    def _make(self) -> str:
        problem: OSError | None = None
        for place in self._places:
            try:
                sweep(place, self._prefix)
                return self._make_in(place)
            except OSError as error:
                problem = error
        raise problem or FileNotFoundError(errno.ENOENT, "no place for a directory", self._prefix)

    def _make_in(self, place: str) -> str:
        """Nobody sees it by its name before it is locked."""
        unborn = tempfile.mkdtemp(prefix=UNBORN + self._prefix, dir=place)
        try:
            path = os.path.join(place, self._prefix + secrets.token_hex(4))
            self._hold(unborn)
            os.rename(unborn, path)
        except OSError:
            os.rmdir(unborn)
            raise
        return path

    def _again(self, path: str) -> str:
        """The same one, where that can be: what lies in it, as sockets do, is known to others by its path."""
        try:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            with suppress(FileExistsError):
                os.mkdir(path, 0o700)
            self._hold(path)
        except OSError:
            path = self._make()
        for noted in self._noted:
            with suppress(OSError):
                os.symlink(noted, os.path.join(path, NOTE + os.path.basename(noted)))
        return path

    def _hold(self, path: str) -> None:
        fd = os.open(path, DIRECTORY)
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = fd
        try_lock(fd)  # where the file system has no locks nobody sweeps

    def note(self, path: str) -> None:
        """Remember a file that lies elsewhere: if this daemon is killed, the next one removes it too.

        :raises OSError: it can not be noted.
        """
        link = self.join(NOTE + os.path.basename(path))
        self._noted.add(path)
        with suppress(FileExistsError):
            os.symlink(path, link)

    def strike(self, path: str) -> None:
        """Forget a file that was noted."""
        self._noted.discard(path)
        if self._path is not None:
            with suppress(OSError):
                os.unlink(os.path.join(self._path, NOTE + os.path.basename(path)))

    def sweep(self, notes_alone: bool = False) -> None:
        """See :func:`sweep`, for all places."""
        for place in self._places:
            with suppress(OSError):
                sweep(place, self._prefix, notes_alone)

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


def sweep(place: str, prefix: str, notes_alone: bool = False) -> None:
    """Remove the directories of daemons that were killed: nobody has their lock any more.

    :param notes_alone: only what they had noted; the rest, which may be much, stays for the next time.
    """
    for entry in os.scandir(place):
        born = entry.name.startswith(prefix)
        if not (born or entry.name.startswith(UNBORN + prefix)) or not entry.is_dir(follow_symlinks=False):
            continue
        with suppress(OSError):
            status = entry.stat(follow_symlinks=False)
            if status.st_uid != os.getuid() or not (born or time.time() - status.st_mtime > FRESH):
                continue
            fd = _abandoned(entry.path)
            if fd is not None:
                try:
                    _remove(entry.path, notes_alone)
                finally:
                    os.close(fd)


def _remove(path: str, notes_alone: bool) -> None:
    for entry in os.scandir(path):
        if entry.name.startswith(NOTE) and entry.is_symlink():
            with suppress(OSError):
                os.unlink(os.readlink(entry.path))
            if notes_alone:
                with suppress(OSError):
                    os.unlink(entry.path)
    if not notes_alone:
        shutil.rmtree(path, ignore_errors=True)


def _abandoned(path: str) -> int | None:
    """Its lock, if nobody has it; of two daemons that sweep at once one gets it."""
    return locked_directory(path, without_locks=False)
