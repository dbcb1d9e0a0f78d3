"""Directory of one server's state, found again by the next daemon of the same server."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from jupyterd.system.file_lock import locked_directory
from jupyterd.system.replace_file import discard

PREFIX = "jupyterd-state-"
ABOUT = "server.json"
MAX_SERVERS = 64
"""Servers of one root directory that were told to take the same port."""


def identity(root_dir: str, where: str) -> str:
    """The name of the directory of a server's state.

    :param where: the port that it is to have, or the path of its socket; ``0`` for a server that takes any port.
    """
    text = f"{os.path.realpath(root_dir)}\0{where}"
    return PREFIX + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:20]


class StateDirectory:
    """Mode 0700, locked while its daemon lives.

    :param runtime_dir: where it lies.
    :param root_dir: the server's.
    :param where: the port or socket that the operator wants; see :func:`identity`.
    :param port: gives the port that was found: several servers may have been told to take the same.
    """

    def __init__(self, runtime_dir: str, root_dir: str, where: str, port: Callable[[], int]) -> None:
        self._runtime_dir, self._root_dir, self._where, self._port = runtime_dir, root_dir, where, port
        self._path: str | None = None
        self._fd = -1

    @property
    def path(self) -> str:
        """Where it is; made and locked with the first question.

        :raises OSError: it can not be had.
        """
        if self._path is None:
            self._path = self._take()
        return self._path

    def join(self, name: str) -> str:
        """A path in it.

        :raises OSError: it can not be had.
        """
        return os.path.join(self.path, name)

    def exists(self) -> bool:
        """Whether a former daemon has left something; nothing is made."""
        return self._path is not None or any(map(os.path.isdir, self.candidates()))

    def candidates(self) -> Iterator[str]:
        """Where it may lie, best first; most are not there."""
        name = identity(self._root_dir, self._where)
        for number in range(MAX_SERVERS):
            yield os.path.join(self._runtime_dir, name if number == 0 else f"{name}-{number}")

    def _take(self) -> str:
        """That of a daemon on the same port, else the first whose daemon is gone, else a new one."""
        port = self._port()
        there = [path for path in self.candidates() if os.path.isdir(path)]
        there.sort(key=lambda path: about(path).get("port") != port)
        for path in (*there, *(path for path in self.candidates() if path not in there)):
            os.makedirs(path, mode=0o700, exist_ok=True)
            if (fd := lock(path)) is not None:
                self._claim(path, fd)
                return path
        raise OSError(errno.EBUSY, "other daemons have all directories of this server's state", self._root_dir)

    def take(self, path: str) -> bool:
        """Take this very one, as soon as its daemon has let go of it; whether that is so.

        A daemon that had nothing to keep removes it: then there is nothing to take.
        """
        try:
            fd = lock(path)
        except FileNotFoundError:
            return True
        if fd is None:
            return False
        self._claim(path, fd)
        self._path = path
        return True

    def _claim(self, path: str, fd: int) -> None:
        try:
            _write(os.path.join(path, ABOUT), self._about())
        except OSError:
            with suppress(OSError):
                os.rmdir(path)  # where nobody's state is in it
            os.close(fd)
            raise
        self._fd = fd

    def _about(self) -> dict[str, Any]:
        return {"root_dir": self._root_dir, "where": self._where, "port": self._port(), "pid": os.getpid()}

    def release(self) -> None:
        """Let the next daemon have it; what is in it stays."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._path = None

    def remove(self) -> None:
        """Remove it with all that is in it: nothing is left that a daemon would come back for."""
        if self._path is not None:
            shutil.rmtree(self._path, ignore_errors=True)
        self.release()


def lock(path: str) -> int | None:
    """A descriptor that locks a directory; None where another process has it locked.

    :raises OSError: it can not be opened.
    """
    return locked_directory(path, without_locks=True)


def all_of(runtime_dir: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The directories of all servers' states, with what each says about its server."""
    with suppress(OSError):
        for entry in sorted(os.scandir(runtime_dir), key=lambda entry: entry.name):
            if entry.name.startswith(PREFIX) and entry.is_dir(follow_symlinks=False):
                yield entry.path, about(entry.path)


def about(path: str) -> dict[str, Any]:
    """What the directory of a server's state says about its server: ``root_dir``, ``where``, ``port``, ``pid``."""
    with suppress(OSError, ValueError), open(os.path.join(path, ABOUT), encoding="utf-8") as file:
        found = json.load(file)
        if isinstance(found, dict):
            return found
    return {}


def _write(path: str, value: Any) -> None:
    fd = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with open(fd, "w", encoding="utf-8") as file:
            json.dump(value, file)
        os.replace(f"{path}.new", path)
    except OSError:
        discard(f"{path}.new")
        raise
