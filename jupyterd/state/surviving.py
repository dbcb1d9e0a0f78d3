"""All that outlives one daemon: its directory, the keeper, the state file, the sockets of kernels."""

from __future__ import annotations

import json
import os
import shutil
import stat
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any

from jupyterd.keeper.processes import boot_id
from jupyterd.keeper.start_keeper import SOCKET
from jupyterd.keeper.wire import ENDED
from jupyterd.state.directory import StateDirectory
from jupyterd.state.keeper_link import KeeperLink
from jupyterd.state.store import StateStore

SOCKETS = "jupyterd-kept-"


class SocketDirectory:
    """Where kernels' sockets lie; made when it is first used, found again by the next daemon.

    The paths of sockets are short: it lies elsewhere, and the state's directory has a link to it.

    :param places: where it may be made, best first.
    """

    def __init__(self, state: StateDirectory, places: Sequence[str]) -> None:
        self._state, self._places = state, places
        self._path: str | None = None

    def join(self, name: str) -> str:
        """A path in it.

        :raises OSError: it can not be made in any of the places.
        """
        if self._path is None:
            self._path = self._find() or self._make()
        elif not os.path.isdir(self._path):  # a cleaner has removed it: others know it by its path
            os.makedirs(self._path, mode=0o700, exist_ok=True)
        return os.path.join(self._path, name)

    def _find(self) -> str | None:
        with suppress(OSError):
            path = os.readlink(self._state.join("sockets"))
            found = os.lstat(path)
            if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and stat.S_IMODE(found.st_mode) == 0o700:
                return path
        return None

    def _make(self) -> str:
        problem: OSError | None = None
        for place in self._places:
            try:
                path = tempfile.mkdtemp(prefix=SOCKETS, dir=place)
                link = self._state.join("sockets")
                with suppress(FileNotFoundError):
                    os.unlink(link)
                os.symlink(path, link)
            except OSError as error:
                problem = error
                continue
            return path
        raise problem or FileNotFoundError("no place for sockets")

    def note(self, path: str) -> None:
        """What lies elsewhere is remembered in the state file."""

    def strike(self, path: str) -> None:
        """See :meth:`note`."""

    def close(self) -> None:
        """It stays as long as something is kept; see :meth:`Kept.close`."""

    def remove(self) -> None:
        """Remove it."""
        path = self._path or self._find()
        self._path = None
        if path is not None:
            shutil.rmtree(path, ignore_errors=True)


class Kept:
    """One daemon's.

    :param directory: where all of it lies.
    :param places: where sockets may lie.
    :ivar boot: this run of the machine.
    """

    def __init__(self, reactor: Any, directory: StateDirectory, places: Sequence[str]) -> None:
        self.directory = directory
        self.sockets = SocketDirectory(directory, places)
        self.keeper = KeeperLink(reactor, lambda: directory.join(SOCKET))
        self.boot = boot_id()

    @cached_property
    def store(self) -> StateStore:
        """The state file; it is opened with the first question, which blocks."""
        return StateStore(self.directory.join("state.db"))

    def ended(self) -> list[dict[str, Any]]:
        """How the children of a keeper ended with which it has ended too, as it would tell; told once."""
        path = self.directory.join(ENDED)
        found: Any = None
        with suppress(OSError, ValueError), open(path, "rb") as file:
            found = json.load(file)
        with suppress(OSError):
            os.unlink(path)
        models = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
        return [each for each in models if each.keys() >= {"name", "pid", "started", "running", "status", "tail"}]

    def log_directory(self, kernel_id: str) -> str:
        """Where a kernel's messages are."""
        return self.directory.join(os.path.join("logs", kernel_id))

    def close(self, *, empty: bool) -> None:
        """Let go of it.

        :param empty: nothing is kept: nothing is left either.
        """
        opened = self.__dict__.pop("store", None)
        if opened is not None:
            opened.close()
        if empty:
            self.sockets.remove()
            self.directory.remove()
        else:
            self.directory.release()
