"""Where local kernels' sockets lie: one directory of mode 0700 for each daemon, gone when it stops."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
import time
from contextlib import suppress

PREFIX = "jupyterd-ipc-"
SOCKET_PATH_LIMIT = 103
"""Bytes of a UNIX socket's path: 107 on Linux, 103 on macOS and BSD."""
NAME_LENGTH = 1 + 32 + 2
FRESH = 60.0
"""Seconds for which a directory without its lock is taken for one that is just being made."""


class SocketDirectory:
    """The directory, made with the first kernel.

    It is locked while its daemon lives, so that the next one can tell what a killed daemon left behind; a lock on a
    directory also keeps systemd-tmpfiles away from it.

    :param candidates: where it may be made, best first; those with too long a path are passed over.
    """

    def __init__(self, candidates: list[str] | None = None) -> None:
        self._candidates = candidates or places()
        self._path: str | None = None
        self._fd = -1

    def address(self, kernel_id: str) -> str | None:
        """What a kernel's ``ip`` is for the ipc transport; its sockets are ``<ip>-<port>``.

        None where no directory can be made whose sockets' paths the system takes.
        """
        if self._path is None:
            self._path = self._make()
        return self._path and os.path.join(self._path, kernel_id.replace("-", "")[:32])

    def _make(self) -> str | None:
        for parent in self._candidates:
            if len(os.fsencode(os.path.join(parent, PREFIX + "12345678"))) + 1 + NAME_LENGTH > SOCKET_PATH_LIMIT:
                continue
            with suppress(OSError):
                sweep(parent)
                path = tempfile.mkdtemp(prefix=PREFIX, dir=parent)
                self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                with suppress(OSError):
                    fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return path
        return None

    def close(self) -> None:
        """Remove the directory."""
        if self._path is not None:
            shutil.rmtree(self._path, ignore_errors=True)
            self._path = None
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def places() -> list[str]:
    """Where sockets may lie: the user's runtime directory, which is local and private, then the temporary one."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return [place for place in (runtime, tempfile.gettempdir(), "/tmp") if place and os.path.isdir(place)]  # noqa: S108


def sweep(parent: str) -> None:
    """Remove the directories of daemons that were killed."""
    for entry in os.scandir(parent):
        if not entry.name.startswith(PREFIX) or not entry.is_dir(follow_symlinks=False):
            continue
        with suppress(OSError):
            status = entry.stat(follow_symlinks=False)
            if status.st_uid == os.getuid() and time.time() - status.st_mtime > FRESH and _abandoned(entry.path):
                shutil.rmtree(entry.path, ignore_errors=True)


def _abandoned(path: str) -> bool:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    finally:
        os.close(fd)
    return True
