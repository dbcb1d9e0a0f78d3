"""Atomic writes: the new content is written aside, flushed, and renamed over the old; never half a file.

Mode, owner, group, extended attributes (POSIX ACLs are such) and the target of a symbolic link are kept. Where a
rename would break something, the file is overwritten in place, with the new content kept whole beside it until the
end: a second hard link, a single file mounted into a container, a directory that may not be written, an owner that
may not be given.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from typing import BinaryIO, Protocol

from jupyterd.contents.files import recovery, unfinished_files
from jupyterd.errors import FULL, Invalid


class KeepOld(Protocol):
    """Called just before a file's content is replaced.

    :param in_place: its inode will be overwritten, so that another name of it would not keep the content.
    """

    def __call__(self, os_path: str, in_place: bool) -> None: ...


class _NeedsInPlace(Exception):
    pass


def write(os_path: str, data: bytes, *, atomic: bool = True, keep_old: KeepOld | None = None) -> os.stat_result:
    """Replace the content of a file, or make the file.

    :param atomic: False overwrites in place without precaution (the setting ``use_atomic_writing``).
    :returns: the file's status, of the very file that was written.
    :raises Invalid: a fifo, a device; see :class:`Replacement`.
    :raises OSError: a directory, or what the system refuses; nothing was changed.
    """
    return write_all(os_path, (data,), atomic=atomic, keep_old=keep_old)


def write_all(
    os_path: str, pieces: Iterable[bytes], *, atomic: bool = True, keep_old: KeepOld | None = None
) -> os.stat_result:
    """The same with content that comes in pieces; what making one of them raises changes nothing either."""
    replacement = Replacement(os_path, atomic=atomic)
    try:
        for piece in pieces:
            replacement.write(piece)
        return replacement.commit(keep_old)
    except BaseException:
        replacement.abort()
        raise


class Replacement:
    """A file's new content while it is written; the old is there until :meth:`commit`.

    :param follow: write what a link leads to; else a link is refused.
    :raises Invalid: a fifo, a socket, a device is there, or a link that leads to itself: none is ever opened.
    :raises IsADirectoryError: a directory is.
    :raises PermissionError: the file is there and may not be written.
    """

    def __init__(self, os_path: str, *, atomic: bool = True, follow: bool = True) -> None:
        self.target = os.path.realpath(os_path) if follow and os.path.islink(os_path) else os_path
        self.size = 0
        self._old = _status_of(self.target)
        self._temporary: str | None = None
        self._file: BinaryIO | None = None
        directory = os.path.dirname(self.target)
        self._in_place = not atomic or _must_stay(self._old, directory)
        if self._in_place and not atomic:
            self._file = open(self.target, "wb", buffering=0, opener=_no_link)  # noqa: SIM115 - closed by commit or abort
        else:
            self._open_aside(directory)

    def _open_aside(self, directory: str) -> None:
        aside = directory
        if self._in_place and not os.access(directory, os.W_OK | os.X_OK):
            aside = recovery.directory()
            unfinished_files.sweep(aside)
        try:
            fd, self._temporary = unfinished_files.create(aside)
        except OSError as error:
            raise OSError(error.errno, error.strerror, self.target) from None
        self._file = os.fdopen(fd, "w+b", buffering=0)
        try:
            if self._old is not None and not self._in_place:
                _dress(fd, self.target, self._old)
        except _NeedsInPlace:
            self._in_place = True

    def write(self, data: bytes | memoryview) -> None:
        """The next bytes."""
        assert self._file is not None
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
        self.size += len(data)

    def rewind(self, size: int) -> None:
        """Forget what was written after the first ``size`` bytes."""
        assert self._file is not None
        self._file.seek(size)
        self._file.truncate(size)
        self.size = size

    def status(self) -> os.stat_result:
        """Of what is written so far."""
        assert self._file is not None
        return os.fstat(self._file.fileno())

    def commit(self, keep_old: KeepOld | None = None) -> os.stat_result:
        """Flush, and put the new content in the old one's place.

        :param keep_old: told of the old file while it is still there; not called for a new one.
        :raises OSError: nothing was changed.
        """
        assert self._file is not None
        if self._temporary is None:  # written in place, as the operator wished
            status = self.status()
            self._close()
            return status
        os.fsync(self._file.fileno())
        if self._old is not None and keep_old is not None:
            keep_old(self.target, self._in_place)
        if not self._in_place:
            try:
                return self._rename()
            except OSError as error:
                if self._old is None or error.errno not in recovery.NO_RENAME:
                    raise
            if keep_old is not None:
                keep_old(self.target, True)
        return self._overwrite()

    def _rename(self) -> os.stat_result:
        assert self._file is not None
        assert self._temporary is not None
        os.rename(self._temporary, self.target)
        self._temporary = None
        status = self.status()
        self._close()
        _sync_directory(os.path.dirname(self.target))
        return status

    def _overwrite(self) -> os.stat_result:
        """In place; until it is done the new content lies beside the file, or in the recovery directory."""
        assert self._file is not None
        assert self._temporary is not None
        beside = recovery.put_aside(self._temporary, self.target)
        self._temporary = None
        with open(self.target, "r+b", buffering=0, opener=_no_link) as file:
            _reserve(file.fileno(), self.size)
            self._file.seek(0)
            while chunk := self._file.read(1 << 20):
                view = memoryview(chunk)
                while view:
                    view = view[file.write(view) :]
            file.truncate(self.size)
            os.fsync(file.fileno())
            status = os.fstat(file.fileno())
        self._close()
        os.unlink(beside)
        return status

    def abort(self) -> None:
        """Drop what was written. After :meth:`commit`, nothing."""
        self._close()
        if self._temporary is not None:
            with suppress(OSError):  # its directory may have gone away
                os.unlink(self._temporary)
            self._temporary = None

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _no_link(path: str, flags: int) -> int:
    """Open what is there itself: links were followed before, one that has come since is not."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)


def _status_of(target: str) -> os.stat_result | None:
    try:
        status = os.lstat(target)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), target)
    if not stat.S_ISREG(status.st_mode):
        raise Invalid(f"Cannot write non-file {target}")
    if not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, "File is not writable", target)
    return status


def _must_stay(old: os.stat_result | None, directory: str) -> bool:
    """The inode must be kept: it has other names, or none may be put beside it."""
    return old is not None and (old.st_nlink > 1 or not os.access(directory, os.W_OK | os.X_OK))


def _dress(fd: int, target: str, old: os.stat_result) -> None:
    """Give the new file what the old one has."""
    new = os.fstat(fd)
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        try:
            os.fchown(fd, old.st_uid, old.st_gid)
        except OSError:
            raise _NeedsInPlace from None
    os.fchmod(fd, stat.S_IMODE(old.st_mode))
    if hasattr(os, "listxattr"):
        _copy_attributes(fd, target)


def _copy_attributes(fd: int, target: str) -> None:
    try:
        names = os.listxattr(target)
    except OSError:
        return  # the filesystem has none
    for name in names:
        try:
            os.setxattr(fd, name, os.getxattr(target, name))
        except OSError as error:
            if error.errno in FULL:
                raise
            if name.startswith(("user.", "system.posix_acl")):
                raise _NeedsInPlace from None
            # security.*: the system labels new files itself


def _reserve(fd: int, size: int) -> None:
    """Have the disk hold the place, so that it can not run full in the middle."""
    if size and hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(fd, 0, size)
        except OSError as error:
            if error.errno in FULL or error.errno == errno.EFBIG:
                raise
            # the filesystem can not promise it


def _sync_directory(directory: str) -> None:
    """Have the new name survive a power cut; not every filesystem can."""
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        os.fsync(fd)
    except OSError:
        pass  # not every filesystem can
    finally:
        os.close(fd)
