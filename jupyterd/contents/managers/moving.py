"""Files and directories that go, or go elsewhere: deleted, renamed, copied. In the calling thread."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from functools import partial
from typing import TYPE_CHECKING

from jupyterd.contents import paths
from jupyterd.contents.files import atomic, removal
from jupyterd.contents.files import names as naming
from jupyterd.contents.files import regular as files
from jupyterd.contents.files.copy_tree import NoRoom, copy_tree
from jupyterd.contents.files.os_errors import DiskFull
from jupyterd.contents.managers import generic as composites
from jupyterd.contents.managers import saving
from jupyterd.contents.managers.reading import look
from jupyterd.contents.managers.sync_or_async import at_once
from jupyterd.contents.models import Model
from jupyterd.errors import Conflict, Failed, Forbidden, Invalid, JupyterdError, NotFound

if TYPE_CHECKING:
    from jupyterd.contents.managers.filemanager import FileContentsManager


def delete(manager: FileContentsManager, path: str) -> None:
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


def rename(manager: FileContentsManager, old_path: str, new_path: str) -> None:
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
    except Exception as error:
        raise Failed(f"Unknown error renaming file: {old_path} {error}") from error


def _move(old: str, new: str) -> None:
    """Rename; copy and delete only where another filesystem is the reason that it can not be."""
    try:
        os.rename(old, new)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EINVAL):
            raise
        shutil.move(old, new)  # it knows too when a directory would go into itself


def copy(manager: FileContentsManager, from_path: str, to_path: str | None) -> Model | None:
    """Copy what no hook and no subclass has to see the content of; None for anything else, which goes another way."""
    copied = _copy_directory(manager, from_path, to_path)
    return copied if copied is not None else _copy_plain_file(manager, from_path, to_path)


def _copy_plain_file(manager: FileContentsManager, from_path: str, to_path: str | None) -> Model | None:
    """A block at a time: in a model the file would be several times in memory."""
    path = paths.clean(from_path)
    os_from, status = look(manager, path)
    if (
        not stat.S_ISREG(status.st_mode)
        or status.st_size > manager.max_content_size_mb << 20
        or path.endswith(".ipynb")
    ):
        return None
    ours = all(getattr(type(manager), name).__module__.startswith("jupyterd.") for name in ("get", "save", "_keep"))
    if manager.pre_save_hooks or not ours:
        return None
    target = at_once(composites.copy_target(manager, path, to_path))
    os_to = saving.savable(manager, {"type": "file", "content": ""}, target)
    manager.emit(data={"action": "get", "path": path})
    with (
        manager.perm_to_403(os_to),
        os.fdopen(files.open_regular(os_from, manager.root_dir), "rb", buffering=0) as file,
    ):
        blocks = iter(partial(file.read, files.BLOCK), b"")
        status = atomic.write_all(os_to, blocks, atomic=manager.use_atomic_writing)
    model = saving.kept(manager, paths.clean(target), os_to, status).model
    manager.emit(data={"action": "copy", "path": target, "source_path": from_path})
    return model


def _copy_directory(manager: FileContentsManager, from_path: str, to_path: str | None) -> Model | None:
    """Copy a directory; None for a file, which every manager can copy."""
    path = paths.clean(from_path)
    os_from, status = look(manager, path)
    if not stat.S_ISDIR(status.st_mode):
        return None
    manager.check_folder_size(path)
    parent, name = paths.split(path)
    target = parent if to_path is None else paths.clean(to_path)
    name = naming.without_copy_suffix(name)
    if manager._dir_exists(target):
        name = next(n for n in naming.candidates(name, "-Copy") if not manager._exists(f"{target}/{n}"))
    copied = paths.clean(f"{target}/{name}")
    try:
        copy_tree(os_from, manager._get_os_path(copied))
    except NoRoom as error:
        raise DiskFull(f"No space left on device: {copied}") from error
    except OSError as error:
        manager.log.error("could not copy %s to %s: %s", path, copied, error)
        raise Invalid(f"Can't copy '{from_path}' into read-only Folder '{target}/{name}'") from error
    return manager._get_model(copied, content=False)
