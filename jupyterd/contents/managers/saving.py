"""Saving: what clients send, on its way to disk, in the calling thread."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from jupyterd.contents import paths
from jupyterd.contents.files import atomic, listing, regular_files
from jupyterd.contents.managers.hooks import is_refusal
from jupyterd.contents.managers.reading import Found, as_given
from jupyterd.contents.managers.sync_or_async import to_end
from jupyterd.contents.models import Model
from jupyterd.contents.notebooks import odd_numbers, serialization
from jupyterd.errors import Failed, Invalid

if TYPE_CHECKING:
    from jupyterd.contents.managers.file_tree import FileTree


def keep(manager: FileTree, model: Model, path: str, plain: bool) -> Found:
    """Save a model; gives it without content. Its content may be changed on the way.

    :param plain: the content is known to hold no NaN (see :class:`jupyterd.contents.notebooks.jsonio.Parsed`).
    """
    path = paths.clean(path)
    manager.run_pre_save_hooks(model=model, path=path)
    os_path = savable(manager, model, path)
    try:
        status, message = _write(manager, model, path, os_path, plain)
    except Exception as error:
        if is_refusal(error):
            raise
        manager.log.error("Error while saving file: %s %s", path, error, exc_info=True)
        raise Failed(f"Unexpected error while saving file: {path} {error}") from error
    return kept(manager, path, os_path, status, message)


def savable(manager: FileTree, model: Model, path: str) -> str:
    """Where a model is to be saved.

    :raises Invalid: the model is not complete, or the path hidden.
    """
    if "type" not in model:
        raise Invalid("No file type provided")
    if model.get("content") is None and model["type"] != "directory":
        raise Invalid("No file content provided")
    if not isinstance(model.get("content"), {"notebook": dict, "file": str}.get(model["type"], object)):
        raise Invalid(f"The content of a {model['type']} is of another type")
    os_path = manager._get_os_path(path)
    if not manager.allow_hidden and manager._hides(os_path):
        raise Invalid(f"Cannot create file or directory {os_path!r}")
    return os_path


def kept(manager: FileTree, path: str, os_path: str, status: os.stat_result, message: str | None = None) -> Found:
    """Tell hooks and events of a save."""
    made = listing.entry_model(os_path, path, status)
    saved = next(iter(as_given(manager, [made])), made)
    if message is not None:
        saved["message"] = message
    manager.run_post_save_hooks(model=saved, os_path=os_path)
    manager.emit(data={"action": "save", "path": path})
    return Found(saved, status)


def _write(manager: FileTree, model: Model, path: str, os_path: str, plain: bool) -> tuple[os.stat_result, str | None]:
    """Status of the file that was written, and what is wrong with the notebook in it."""
    kind = model["type"]
    if kind == "notebook":
        return _write_notebook(manager, os_path, path, model["content"], plain)
    if kind == "file":
        data = regular_files.as_bytes(model["content"], model.get("format"), os_path)
        with manager.perm_to_403(os_path):
            return atomic.write(os_path, data, atomic=manager.use_atomic_writing), None
    if kind == "directory":
        _make_directory(manager, os_path)
        return os.stat(os_path), None
    raise Invalid(f"Unhandled contents type: {kind}")


def _write_notebook(
    manager: FileTree, os_path: str, path: str, content: Any, plain: bool
) -> tuple[os.stat_result, str | None]:
    """Sign, write, and see that there is a checkpoint."""
    checkpoints = manager.checkpoints
    plain = plain and not odd_numbers.from_disk(content, os_path)
    data, message = serialization.render(content, plain, lambda nb: manager.check_and_sign(nb, path))
    keep_old = checkpoints.versions_of(path).keep if hasattr(checkpoints, "versions_of") else None
    with manager.perm_to_403(os_path):
        status = atomic.write_all(os_path, data, atomic=manager.use_atomic_writing, keep_old=keep_old)
    _see_to_checkpoint(manager, path)
    return status, message


def _see_to_checkpoint(manager: FileTree, path: str) -> None:
    """Make a notebook's first checkpoint. That it can not be made does not undo the save that it follows."""
    try:
        if not _finished(manager.checkpoints.list_checkpoints(path)):
            _finished(manager.checkpoints.create_checkpoint(manager, path))
    except Exception as error:  # noqa: BLE001 - a checkpoints class may be anybody's
        manager.log.warning("No checkpoint of %s could be made: %r", path, error)


def _finished(value: Any) -> Any:
    """What a checkpoints class returned; a coroutine is run to its end in this thread."""
    return to_end(value) if asyncio.iscoroutine(value) else value


def _make_directory(manager: FileTree, os_path: str) -> None:
    if os.path.isdir(os_path):
        return
    if os.path.lexists(os_path):
        raise Invalid(f"Not a directory: {os_path}")
    with manager.perm_to_403(os_path):
        try:
            os.mkdir(os_path)
        except FileExistsError:  # somebody else was faster
            if not os.path.isdir(os_path):
                raise Invalid(f"Not a directory: {os_path}") from None
