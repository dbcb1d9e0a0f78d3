"""Deleting, renaming and copying files and directories, in the calling thread."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from jupyterd.contents import paths
from jupyterd.contents.files import (
    atomic,
    exclusive,
    removal,
)
from jupyterd.contents.files import (
    file_names as file_names,
)
from jupyterd.contents.files import (
    regular_files as regular_files,
)
from jupyterd.contents.files import (
    unfinished_files as unfinished_files,
)
from jupyterd.contents.files.copy_tree import NoRoom, TooDeep, copy_tree
from jupyterd.contents.files.os_errors import DiskFull
from jupyterd.contents.managers import generic_operations, saving
from jupyterd.contents.managers.reading import find, look
from jupyterd.contents.managers.sync_or_async import at_once
from jupyterd.contents.models import Model
from jupyterd.errors import Conflict, Failed, Forbidden, Invalid, JupyterdError, NotFound
from jupyterd.system.provenance import leaves_alone

if TYPE_CHECKING:
    from jupyterd.contents.managers.file_tree import FileTree


def delete(manager: FileTree, path: str) -> None:
    """Delete a file or directory: to the trash, or for good, by the settings."""
    path = paths.clean(path)
    os_path = manager._get_os_path(path)
    if not manager.allow_hidden and manager._hides(os_path):
        raise Invalid(f"Cannot delete file or directory {os_path!r}")
    if not os.path.lexists(os_path):
        raise NotFound(f"File or directory does not exist: {os_path}")
    if manager.delete_to_trash:
        if not os.path.islink(os_path) and not manager.is_writable(path):
            raise Forbidden(f"Permission denied: {path}")
        removal.to_trash(os_path)
        return
    leftover = getattr(manager.checkpoints, "checkpoint_dir", None)
    if os.path.isdir(os_path) and not manager.always_delete_dir and removal.has_entries(os_path, leftover):
        raise Invalid(f"Directory {os_path} not empty")
    with manager.perm_to_403():
        removal.remove(os_path)


def rename(manager: FileTree, old_path: str, new_path: str) -> None:
    """Rename or move a file or directory.

    :raises Conflict: something else is at the new path.
    """
    old_path, new_path = paths.clean(old_path), paths.clean(new_path)
    if new_path == old_path:
        return
    new, old = manager._get_os_path(new_path), manager._get_os_path(old_path)
    if not manager.allow_hidden and (manager._hides(old) or manager._hides(new)):
        raise Invalid(f"Cannot rename file or directory {old!r}")
    if not os.path.lexists(old):
        raise NotFound(f"File or directory does not exist: {old_path}")
    if os.path.exists(new) and not (os.path.exists(old) and os.path.samefile(old, new)):
        raise Conflict(f"File already exists: {new_path}")
    try:
        with manager.perm_to_403():
            _move(old, new)
    except JupyterdError:
        raise
    except FileNotFoundError:
        raise NotFound(f"File or directory does not exist: {old_path}") from None
    except FileExistsError:
        raise Conflict(f"File already exists: {new_path}") from None
    except NoRoom as error:
        raise DiskFull(f"No space left on device: {new_path}") from error
    except Exception as error:
        raise Failed(f"Unknown error renaming file: {old_path} {error}") from error


def _move(old: str, new: str) -> None:
    """Rename; copy and delete only where another filesystem is the reason that it can not be.

    :raises FileExistsError: something has come to the new path meanwhile.
    """
    try:
        if os.path.lexists(new):  # the same file by another name, on a filesystem that does not tell cases apart
            os.rename(old, new)
        else:
            exclusive.rename(old, new)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _across(old, new)


def _across(old: str, new: str) -> None:
    """Move to another filesystem; what is there is there whole."""
    if os.path.islink(old):
        os.symlink(os.readlink(old), new)
        os.unlink(old)
    elif os.path.isdir(old):
        copy_tree(old, new, skip_special=False)
        removal.remove_tree(old)
    else:
        unfinished_files.copy_aside(old, os.path.dirname(new), lambda aside: exclusive.rename(aside, new))
        os.unlink(old)


def copy(manager: FileTree, from_path: str, to_path: str | None) -> Model | None:
    """Copy on disk; None where a hook or a subclass must see the content: then it is copied through get and save."""
    copied = _copy_directory(manager, from_path, to_path)
    return copied if copied is not None else _copy_plain_file(manager, from_path, to_path)


def _copy_plain_file(manager: FileTree, from_path: str, to_path: str | None) -> Model | None:
    """A block at a time: in a model the file would be several times in memory."""
    path = paths.clean(from_path)
    os_from, status = look(manager, path)
    if not stat.S_ISREG(status.st_mode) or status.st_size > manager.max_content_bytes or path.endswith(".ipynb"):
        return None
    if manager.pre_save_hooks or not leaves_alone(type(manager), "get", "save", "_keep"):
        return None

    async def make(target: str) -> Model:
        return _copy_blocks(manager, os_from, path, target, from_path)

    return at_once(generic_operations.copy_to(manager, path, to_path, make))


def _copy_blocks(manager: FileTree, os_from: str, path: str, target: str, from_path: str) -> Model:
    """Copy a file."""
    os_to = saving.savable(manager, {"type": "file", "content": ""}, target)
    manager.emit(data={"action": "get", "path": path})
    with (
        manager.perm_to_403(os_to),
        os.fdopen(regular_files.open_regular(os_from, manager.root_dir), "rb", buffering=0) as file,
    ):
        size = os.fstat(file.fileno()).st_size
        with told(manager, paths.clean(target), size, "bytes") as advance:
            blocks = counted(iter(partial(file.read, regular_files.BLOCK), b""), advance)
            status = atomic.write_all(os_to, blocks, atomic=manager.use_atomic_writing)
    model = saving.kept(manager, paths.clean(target), os_to, status).model
    manager.emit(data={"action": "copy", "path": target, "source_path": from_path})
    return model


@contextmanager
def told(manager: Any, path: str, total: int | None, unit: str) -> Iterator[Callable[[int], None]]:
    """Tell of a copy while it goes on; gives what is to be called with how much more is done."""
    if manager.begin_task is None:
        yield lambda _: None
        return
    task = manager.begin_task("copy", path, total, unit)
    try:
        yield task.advance
    except BaseException:
        task.end(failed=True)
        raise
    task.end()


def counted(blocks: Iterable[bytes], advance: Callable[[int], None]) -> Iterator[bytes]:
    """The same blocks, each told when the next one is wanted."""
    for block in blocks:
        yield block
        advance(len(block))


def _copy_directory(manager: FileTree, from_path: str, to_path: str | None) -> Model | None:
    """Copy a directory; None for a file, which every manager can copy."""
    path = paths.clean(from_path)
    os_from, status = look(manager, path)
    if not stat.S_ISDIR(status.st_mode):
        return None
    manager.check_folder_size(path)
    parent, name = paths.split(path)
    target = parent if to_path is None else paths.clean(to_path)
    name = file_names.without_copy_suffix(name)
    into = manager._dir_exists(target)
    for candidate in file_names.candidates(name, "-Copy") if into else (name,):
        copied = paths.clean(f"{target}/{candidate}")
        if not (into and manager._exists(copied)) and _copy_tree(manager, from_path, os_from, copied):
            return find(manager, copied, content=False).model
    raise generic_operations.NoFreeName(f"No name like {name} is free in {target or '/'}")


def _copy_tree(manager: FileTree, from_path: str, os_from: str, copied: str) -> bool:
    """Whether it was done; something may have come there meanwhile."""
    try:
        with told(manager, copied, None, "files") as advance:
            copy_tree(os_from, manager._get_os_path(copied), copied=lambda: advance(1))
    except FileExistsError:
        return False
    except NoRoom as error:
        raise DiskFull(f"No space left on device: {copied}") from error
    except (TooDeep, RecursionError) as error:
        raise Invalid(f"Can't copy '{from_path}': it is nested too deep") from error
    except OSError as error:
        manager.log.error("could not copy %s to %s: %s", from_path, copied, error)
        raise Invalid(f"Can't copy '{from_path}' into read-only Folder '{copied}'") from error
    return True
