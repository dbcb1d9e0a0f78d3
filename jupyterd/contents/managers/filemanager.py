"""``FileContentsManager`` and ``AsyncFileContentsManager``: contents in the files below one directory.

The synchronous class works in the calling thread, the asynchronous one in a thread of asyncio: what they do is in
the modules :mod:`~jupyterd.contents.managers.file_tree`, ``reading``, ``saving`` and ``moving`` beside this one.
Source: the reference's classes of these names.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from traitlets import Bool, Enum, Float, Int, TraitError, Unicode, default, validate

from jupyterd.contents import paths
from jupyterd.contents.managers import generic_operations, hooks, moving, reading, saving
from jupyterd.contents.managers.checkpoints import AsyncFileCheckpoints, FileCheckpoints
from jupyterd.contents.managers.file_tree import FileTree
from jupyterd.contents.managers.manager import AsyncContentsManager
from jupyterd.contents.managers.reading import Found
from jupyterd.contents.managers.sync_or_async import at_once, off_loop
from jupyterd.contents.models import Model

MIB = 1024 * 1024


class FileContentsManager(FileTree):
    """Contents in files."""

    root_dir = Unicode(config=True, help="The directory below which everything lies.")
    max_copy_folder_size_mb = Int(500, config=True, help="The largest directory that is copied, in MB.")
    max_content_bytes = Int(
        1024 * MIB,
        min=1,
        config=True,
        help="The largest file that is read as a model, in bytes; /files gives files of any size.",
    )
    use_atomic_writing = Bool(
        True,
        config=True,
        help="Write a new file and rename it over the old. If False, files are overwritten in place: for network "
        "filesystems that do not keep the order of operations; a crash or a full disk may then leave half a file.",
    )
    hash_algorithm = Enum(
        sorted(hashlib.algorithms_available), default_value="sha256", config=True, help="What content is hashed with."
    )
    delete_to_trash = Bool(True, config=True, help="Deleted files go to the trash, from which they can be taken back.")
    always_delete_dir = Bool(
        False, config=True, help="Delete a directory that is not empty even where it can not go to the trash."
    )
    notebook_versions = Int(
        20, min=0, config=True, help="How many of the last saved versions of each notebook are kept; 0 keeps none."
    )
    notebook_versions_bytes = Int(
        200 * MIB, min=0, config=True, help="How much the kept versions of one notebook may take together, in bytes."
    )

    notebook_versions_interval = Float(
        10.0, min=0.0, config=True, help="Seconds that a version must have lasted to be kept; 0 keeps each."
    )

    watched_directories = Int(
        256,
        min=0,
        config=True,
        help="How many directories of opened files are watched for changes by other programs; 0 watches none.",
    )

    @default("root_dir")
    def _default_root_dir(self) -> str:
        return str(self.parent.root_dir) if self.parent else os.getcwd()

    @validate("root_dir")
    def _validate_root_dir(self, proposal: Any) -> str:
        value: str = os.path.abspath(proposal["value"])
        if not os.path.isdir(value):
            raise TraitError(f"{proposal['value']!r} is not a directory")
        return value

    @default("preferred_dir")
    def _default_preferred_dir(self) -> str:
        wanted = getattr(self.parent, "preferred_dir", None)
        if not wanted or wanted == getattr(self.parent, "root_dir", None):
            return ""
        try:
            return Path(wanted).relative_to(self.root_dir).as_posix()
        except ValueError:
            raise TraitError(f"{wanted} is outside root contents directory") from None

    @validate("preferred_dir")
    def _validate_preferred_dir(self, proposal: Any) -> str:
        value = paths.to_api_path(self.root_dir, proposal["value"])
        try:
            found = not value or self._dir_exists(value)
        except Exception as error:
            if not hooks.is_refusal(error):
                raise
            why = getattr(error, "message", None) or getattr(error, "log_message", None)
            raise TraitError(str(why or error)) from None
        if not found:
            raise TraitError(f"Preferred directory not found: {value!r}")
        return value

    @default("checkpoints_class")
    def _default_checkpoints_class(self) -> Any:
        return FileCheckpoints

    # -- work

    def _get_model(
        self, path: str, content: bool = True, kind: str | None = None, form: str | None = None, hashed: bool = False
    ) -> Model:
        """The model of what is at a path; a notebook in it is a NotebookNode."""
        model = reading.find(self, path, content, kind, form, hashed).model
        if content and model["type"] == "notebook":
            import nbformat

            model["content"] = nbformat.from_dict(model["content"])
        return model

    def _save_model(self, model: Model, path: str) -> Model:
        return self._keep(model, path).model

    def _keep(self, model: Model, path: str, plain: bool = False) -> Found:
        """Save what a client sent; see :func:`jupyterd.contents.managers.saving.keep`."""
        return saving.keep(self, model, path, plain)

    # -- the interface

    def info_string(self) -> str:
        """For the log at the start."""
        return f"Serving notebooks from local directory: {self.root_dir}"

    def is_hidden(self, path: str) -> Any:
        """The path is there and hidden."""
        return self._is_hidden(path)

    def file_exists(self, path: str) -> Any:
        """There is a file at the path."""
        return self._file_exists(path)

    def dir_exists(self, path: str) -> Any:
        """There is a directory at the path."""
        return self._dir_exists(path)

    def exists(self, path: str) -> Any:
        """There is something at the path; a broken link is something."""
        return self._exists(path)

    def resolve_path(self, path: str) -> Any:
        """The API path of a path as kernels and terminals show it; None where it has none."""
        return self._resolve_path(path)

    def get_kernel_path(self, path: str, model: Model | None = None) -> Any:
        """The API path of the directory in which a notebook's kernel starts."""
        return self._kernel_path(path)

    def get(
        self,
        path: str,
        content: bool = True,
        type: str | None = None,  # noqa: A002
        format: str | None = None,  # noqa: A002
        require_hash: bool = False,
    ) -> Any:
        """The model of a file or directory.

        :raises NotFound: nothing there, or hidden.
        :raises Invalid: it is of another type, or not of the format.
        """
        return self._get_model(path, content, type, format, require_hash)

    def save(self, model: Model, path: str = "") -> Any:
        """Save a model; give it back without content."""
        return self._save_model(model, path)

    def delete_file(self, path: str) -> Any:
        """Delete a file or directory."""
        moving.delete(self, path)

    def rename_file(self, old_path: str, new_path: str) -> Any:
        """Rename or move a file or directory."""
        moving.rename(self, old_path, new_path)

    def copy(self, from_path: str, to_path: str | None = None) -> Any:
        """Copy a file or a directory."""
        copied = moving.copy(self, from_path, to_path)
        return copied if copied is not None else at_once(generic_operations.copy(self, from_path, to_path))


class AsyncFileContentsManager(FileContentsManager, AsyncContentsManager):
    """The same with asyncio coroutines for methods; ``exists`` and ``resolve_path`` are none, as in the reference."""

    @default("checkpoints_class")
    def _default_checkpoints_class(self) -> Any:
        return AsyncFileCheckpoints

    async def is_hidden(self, path: str) -> bool:
        """The path is there and hidden."""
        return bool(await off_loop(self._is_hidden, path))

    async def file_exists(self, path: str) -> bool:
        """There is a file at the path."""
        return bool(await off_loop(self._file_exists, path))

    async def dir_exists(self, path: str) -> bool:
        """There is a directory at the path."""
        return bool(await off_loop(self._dir_exists, path))

    async def get_kernel_path(self, path: str, model: Model | None = None) -> str:
        """See :meth:`FileContentsManager.get_kernel_path`."""
        return str(await off_loop(self._kernel_path, path))

    async def get(
        self,
        path: str,
        content: bool = True,
        type: str | None = None,  # noqa: A002
        format: str | None = None,  # noqa: A002
        require_hash: bool = False,
    ) -> Model:
        """See :meth:`FileContentsManager.get`."""
        return await off_loop(self._get_model, path, content, type, format, require_hash)  # type: ignore[no-any-return]

    async def save(self, model: Model, path: str = "") -> Model:
        """Save a model; give it back without content."""
        return await off_loop(self._save_model, model, path)  # type: ignore[no-any-return]

    async def delete_file(self, path: str) -> None:
        """Delete a file or directory."""
        await off_loop(moving.delete, self, path)

    async def rename_file(self, old_path: str, new_path: str) -> None:
        """Rename or move a file or directory."""
        await off_loop(moving.rename, self, old_path, new_path)

    async def copy(self, from_path: str, to_path: str | None = None) -> Model:
        """Copy a file or a directory."""
        copied = await off_loop(moving.copy, self, from_path, to_path)
        return copied if copied is not None else await generic_operations.copy(self, from_path, to_path)
