"""Reading: models of what is in files and directories, in the calling thread.

What is larger than ``max_content_bytes`` is refused.
"""

from __future__ import annotations

import asyncio
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from jupyterd.contents import paths
from jupyterd.contents.files import listing, recovery, regular_files
from jupyterd.contents.files.os_errors import named_faults
from jupyterd.contents.managers.hooks import is_refusal
from jupyterd.contents.managers.sync_or_async import at_once, settled, to_end
from jupyterd.contents.models import Model, base_model
from jupyterd.contents.notebooks import serialization
from jupyterd.errors import Invalid, NotFound, TooLarge
from jupyterd.system.provenance import leaves_alone

if TYPE_CHECKING:
    from jupyterd.contents.managers.file_tree import FileTree


class Found(NamedTuple):
    """A model and what it was made from.

    :param plain: its content is known to hold no NaN (see :class:`jupyterd.contents.notebooks.jsonio.Parsed`).
    """

    model: Model
    status: os.stat_result
    plain: bool = True


class Larger(Exception):
    """A file has more bytes than are to be read here."""


def find(
    manager: FileTree,
    path: str,
    content: bool = True,
    kind: str | None = None,
    form: str | None = None,
    hashed: bool = False,
    limit: int | None = None,
) -> Found:
    """The model of what is at a path; a notebook in it is plain dicts.

    :param limit: bytes; a file that has more is not read.
    :raises Larger: it has.
    :raises NotFound: nothing there, or hidden.
    :raises Invalid: it is of another type, or not of the format.
    """
    path = paths.clean(path)
    os_path, status = look(manager, path)
    if limit is not None and status.st_size > limit and stat.S_ISREG(status.st_mode):
        raise Larger
    if stat.S_ISDIR(status.st_mode):
        if kind not in (None, "directory"):
            raise Invalid(f"{path} is a directory, not a {kind}", reason="bad type")
        found = Found(_directory(manager, path, os_path, status, content), status)
    elif kind == "directory":
        raise Invalid(f"{path} is not a directory", reason="bad type")
    elif kind == "notebook" or (kind is None and path.endswith(".ipynb")):
        found = _notebook(manager, path, os_path, status, content, hashed)
    else:
        found = _file(manager, path, os_path, status, content, form, hashed)
    manager.emit(data={"action": "get", "path": path})
    return found


def look(manager: FileTree, path: str) -> tuple[str, os.stat_result]:
    """Path on disk and status of what may be shown; of a broken link its own.

    :raises NotFound: nothing there, or hidden.
    """
    os_path = manager._get_os_path(path)
    missing = NotFound(f"No such file or directory: {path}")
    known = None
    try:
        status = known = os.stat(os_path)
    except OSError:
        try:
            status = os.lstat(os_path)
        except OSError:
            raise missing from None
    if not manager.allow_hidden and manager._hides(os_path, known):
        raise missing
    return os_path, status


def as_given(manager: FileTree, models: list[Model]) -> list[Model]:
    """Models without content as a subclass's own ``get`` gives them: it may see a notebook in any file."""
    if leaves_alone(type(manager), "get"):
        return models
    run = to_end if asyncio.iscoroutinefunction(manager.get) else at_once
    return run(_ask_get(manager, models))


async def _ask_get(manager: FileTree, models: list[Model]) -> list[Model]:
    given = []
    for model in models:
        try:
            given.append(await settled(manager.get(model["path"], content=False)))
        except Exception as error:
            if not is_refusal(error):
                raise
            manager.log.debug("left out of a listing: %s: %s", model["path"], error)
    return given


def _directory(manager: FileTree, path: str, os_path: str, status: os.stat_result, content: bool) -> Model:
    model = listing.entry_model(os_path, path, status)
    if content:
        globs = paths.HideGlobs(manager.hide_globs)
        try:
            with named_faults(manager.root_dir, os_path):
                entries = listing.entries(os_path, path, globs=globs, allow_hidden=manager.allow_hidden)
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound(f"directory does not exist: {path!r}") from None
        model.update(content=as_given(manager, entries), format="json")
    return model


def _file(
    manager: FileTree,
    path: str,
    os_path: str,
    status: os.stat_result,
    content: bool,
    form: str | None,
    hashed: bool,
) -> Found:
    data = None
    extra: Model = {"type": "file", "mimetype": paths.mimetype_of(paths.split(path)[1])}
    if content:
        _check_size(manager, path, status)
        read = regular_files.read(os_path, manager.root_dir, status)
        data, status = read.data, read.status
        extra["content"], extra["format"] = regular_files.as_content(data, form, os_path)
        if extra["mimetype"] is None:
            extra["mimetype"] = "text/plain" if extra["format"] == "text" else "application/octet-stream"
    return _found(manager, path, os_path, status, extra, data, hashed)


def _notebook(manager: FileTree, path: str, os_path: str, status: os.stat_result, content: bool, hashed: bool) -> Found:
    if not content:
        return _found(manager, path, os_path, status, {"type": "notebook"}, None, hashed)
    _check_size(manager, path, status)
    read, notebook = _read_notebook(manager, os_path, status)
    manager.mark_trusted_cells(notebook.content, path)
    extra = {"type": "notebook", "content": notebook.content, "format": "json"}
    if notebook.error is not None:
        extra["message"] = serialization.message_of(notebook.error)
    found = _found(manager, path, os_path, read.status, extra, read.data, hashed)
    return found._replace(plain=notebook.plain)


def _read_notebook(
    manager: FileTree, os_path: str, status: os.stat_result | None = None
) -> tuple[regular_files.Bytes, serialization.Notebook]:
    found = regular_files.read(os_path, manager.root_dir, status)
    try:
        return found, serialization.parse(found.data)
    except UnicodeDecodeError:
        raise Invalid(f"{os_path} is not UTF-8 encoded", reason="bad format") from None
    except Exception as error:
        if not manager.use_atomic_writing or not recovery.recover(os_path):
            raise Invalid(f"Unreadable Notebook: {os_path} {error!r}") from error
    return _read_notebook(manager, os_path)


def _check_size(manager: FileTree, path: str, status: os.stat_result) -> None:
    if status.st_size > manager.max_content_bytes:
        raise TooLarge(f"{path} has more than {manager.max_content_bytes} bytes: it can be had from /files")


def _found(
    manager: FileTree,
    path: str,
    os_path: str,
    status: os.stat_result,
    extra: Model,
    data: bytes | None,
    hashed: bool,
) -> Found:
    """Hash, time and size are of one open file."""
    if hashed and data is not None:
        extra.update(regular_files.digest(data, manager.hash_algorithm))
    elif hashed:
        digest, status = regular_files.digest_of(os_path, manager.root_dir, manager.hash_algorithm)
        extra.update(digest)
    return Found({**base_model(path, status, os.access(os_path, os.W_OK)), **extra}, status)
