"""``FileContentsManager`` and ``AsyncFileContentsManager``: contents in the files below one directory.

The methods whose names begin with an underscore do the work, in the calling thread; the asynchronous class has them do
it in a thread of asyncio. Source: the reference's classes of these names.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import stat
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

from traitlets import Bool, Enum, Float, Int, TraitError, Unicode, default, validate

from jupyterd.contents import atomic, composites, files, listing, naming, notebooks, paths, removal
from jupyterd.contents.checkpoints import AsyncFileCheckpoints, FileCheckpoints
from jupyterd.contents.either import at_once, off_loop, settled, to_end
from jupyterd.contents.faults import named_faults
from jupyterd.contents.hooks import is_refusal
from jupyterd.contents.manager import AsyncContentsManager, ContentsManager
from jupyterd.contents.models import Model, base_model
from jupyterd.errors import Conflict, Failed, Forbidden, Invalid, JupyterdError, NotFound, TooLarge


class Found(NamedTuple):
    """A model and what it was made from.

    :param plain: its content is known to hold no NaN (see :class:`jupyterd.contents.jsonio.Parsed`).
    """

    model: Model
    status: os.stat_result
    plain: bool = True


class FileContentsManager(ContentsManager):
    """Contents in files."""

    root_dir = Unicode(config=True, help="The directory below which everything lies.")
    max_copy_folder_size_mb = Int(500, config=True, help="The largest directory that is copied, in MB.")
    max_content_size_mb = Int(
        1024,
        min=1,
        config=True,
        help="The largest file that is read as a model, in MB; /files gives files of any size.",
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
    notebook_versions_size_mb = Int(
        200, min=0, config=True, help="How much the kept versions of one notebook may take together, in MB."
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
        if value and not self._dir_exists(value):
            raise TraitError(f"Preferred directory not found: {value!r}")
        return value

    @default("checkpoints_class")
    def _default_checkpoints_class(self) -> Any:
        return FileCheckpoints

    # -- questions

    def _get_os_path(self, path: str) -> str:
        """The path on disk of an API path.

        :raises OutsideRoot: it has none below the root.
        """
        return paths.to_os_path(os.path.abspath(self.root_dir), path)

    def perm_to_403(self, os_path: str = "") -> AbstractContextManager[None]:
        """See :func:`jupyterd.contents.faults.named_faults`."""
        return named_faults(self.root_dir, os_path)

    def _is_hidden(self, path: str) -> bool:
        return self._hides(self._get_os_path(path))

    def _hides(self, os_path: str) -> bool:
        """:raises PermissionDenied: the way there is barred."""
        with named_faults(self.root_dir, os_path):
            return paths.is_hidden(os_path, self.root_dir)

    def _file_exists(self, path: str) -> bool:
        return os.path.isfile(self._get_os_path(path))

    def _dir_exists(self, path: str) -> bool:
        return os.path.isdir(self._get_os_path(path))

    def _exists(self, path: str) -> bool:
        return os.path.lexists(self._get_os_path(path))

    def is_writable(self, path: str) -> bool:
        """The file or directory may be written."""
        return os.access(self._get_os_path(path), os.W_OK)

    def _resolve_path(self, path: str) -> str | None:
        root = os.path.abspath(self.root_dir)
        expanded = os.path.expanduser(path)
        if expanded != path and os.path.isabs(expanded):
            path = os.path.abspath(expanded)
            if path != root and not path.startswith(root.rstrip(os.sep) + os.sep):
                return None
        relative = paths.to_api_path(root, path)
        try:
            return relative if self._exists(relative) else None
        except NotFound:
            return None

    def _kernel_path(self, path: str) -> str:
        return path if self._dir_exists(path) else paths.split(path)[0]

    # -- models

    def _get_model(
        self, path: str, content: bool = True, kind: str | None = None, form: str | None = None, hashed: bool = False
    ) -> Model:
        """The model of what is at a path; a notebook in it is a NotebookNode."""
        model = self._find(path, content, kind, form, hashed).model
        if content and model["type"] == "notebook":
            import nbformat

            model["content"] = nbformat.from_dict(model["content"])
        return model

    def _find(
        self, path: str, content: bool = True, kind: str | None = None, form: str | None = None, hashed: bool = False
    ) -> Found:
        """The model of what is at a path; a notebook in it is plain dicts.

        :raises NotFound: nothing there, or hidden.
        :raises Invalid: it is of another type, or not of the format.
        """
        path = paths.clean(path)
        os_path, status = self._look(path)
        if stat.S_ISDIR(status.st_mode):
            if kind not in (None, "directory"):
                raise Invalid(f"{path} is a directory, not a {kind}", reason="bad type")
            found = Found(self._dir_model(path, os_path, status, content), status)
        elif kind == "directory":
            raise Invalid(f"{path} is not a directory", reason="bad type")
        elif kind == "notebook" or (kind is None and path.endswith(".ipynb")):
            found = self._find_notebook(path, os_path, status, content, hashed)
        else:
            found = self._find_file(path, os_path, status, content, form, hashed)
        self.emit(data={"action": "get", "path": path})
        return found

    def _look(self, path: str) -> tuple[str, os.stat_result]:
        """Path on disk and status of what may be shown; of a broken link its own.

        :raises NotFound: nothing there, or hidden.
        """
        os_path = self._get_os_path(path)
        missing = NotFound(f"No such file or directory: {path}")
        try:
            status = os.stat(os_path)
        except OSError:
            try:
                status = os.lstat(os_path)
            except OSError:
                raise missing from None
        if not self.allow_hidden and self._hides(os_path):
            raise missing
        return os_path, status

    def _dir_model(self, path: str, os_path: str, status: os.stat_result, content: bool) -> Model:
        model = listing.entry_model(os_path, path, status)
        if content:
            globs = paths.HideGlobs(self.hide_globs)
            try:
                with named_faults(self.root_dir, os_path):
                    entries = listing.entries(os_path, path, globs=globs, allow_hidden=self.allow_hidden)
            except (FileNotFoundError, NotADirectoryError):
                raise NotFound(f"directory does not exist: {path!r}") from None
            model.update(content=self._as_given(entries), format="json")
        return model

    def _as_given(self, models: list[Model]) -> list[Model]:
        """Models without content as a subclass's own ``get`` gives them: it may see a notebook in any file."""
        if type(self).get.__module__.startswith("jupyterd."):
            return models
        run = to_end if asyncio.iscoroutinefunction(self.get) else at_once
        return run(self._ask_get(models))

    async def _ask_get(self, models: list[Model]) -> list[Model]:
        given = []
        for model in models:
            try:
                given.append(await settled(self.get(model["path"], content=False)))
            except Exception as error:
                if not is_refusal(error):
                    raise
                self.log.debug("left out of a listing: %s: %s", model["path"], error)
        return given

    def _find_file(
        self, path: str, os_path: str, status: os.stat_result, content: bool, form: str | None, hashed: bool
    ) -> Found:
        data = None
        extra: Model = {"type": "file", "mimetype": paths.mimetype_of(paths.split(path)[1])}
        if content:
            self._check_size(path, status)
            read = files.read(os_path, self.root_dir)
            data, status = read.data, read.status
            extra["content"], extra["format"] = files.as_content(data, form, os_path)
            if extra["mimetype"] is None:
                extra["mimetype"] = "text/plain" if extra["format"] == "text" else "application/octet-stream"
        return self._model(path, os_path, status, extra, data, hashed)

    def _find_notebook(self, path: str, os_path: str, status: os.stat_result, content: bool, hashed: bool) -> Found:
        if not content:
            return self._model(path, os_path, status, {"type": "notebook"}, None, hashed)
        self._check_size(path, status)
        read, notebook = self._read_notebook_file(os_path)
        self.mark_trusted_cells(notebook.content, path)
        extra = {"type": "notebook", "content": notebook.content, "format": "json"}
        if notebook.error is not None:
            extra["message"] = notebooks.message_of(notebook.error)
        found = self._model(path, os_path, read.status, extra, read.data, hashed)
        return Found(found.model, found.status, notebook.plain)

    def _check_size(self, path: str, status: os.stat_result) -> None:
        if status.st_size > self.max_content_size_mb << 20:
            raise TooLarge(f"{path} has more than {self.max_content_size_mb} MB: it can be had from /files")

    def _model(
        self, path: str, os_path: str, status: os.stat_result, extra: Model, data: bytes | None, hashed: bool
    ) -> Found:
        """Hash, time and size are of one open file."""
        if hashed and data is not None:
            extra.update(files.digest(data, self.hash_algorithm))
        elif hashed:
            digest, status = files.digest_of(os_path, self.root_dir, self.hash_algorithm)
            extra.update(digest)
        return Found({**base_model(path, status, os.access(os_path, os.W_OK)), **extra}, status)

    def _read_notebook_file(self, os_path: str) -> tuple[files.Bytes, notebooks.Notebook]:
        found = files.read(os_path, self.root_dir)
        try:
            return found, notebooks.parse(found.data)
        except UnicodeDecodeError:
            raise Invalid(f"{os_path} is not UTF-8 encoded", reason="bad format") from None
        except Exception as error:
            if not self.use_atomic_writing or not atomic.recover(os_path):
                raise Invalid(f"Unreadable Notebook: {os_path} {error!r}") from error
        return self._read_notebook_file(os_path)

    # -- saving

    def _save_model(self, model: Model, path: str) -> Model:
        """Save what a client sent; its content may be changed on the way."""
        return self._keep(model, path).model

    def _keep(self, model: Model, path: str, plain: bool = False) -> Found:
        """Save what a client sent; gives the model without content.

        :param plain: the content is known to hold no NaN (see :class:`jupyterd.contents.jsonio.Parsed`).
        """
        path = paths.clean(path)
        self.run_pre_save_hooks(model=model, path=path)
        os_path = self._savable(model, path)
        try:
            status, message = self._write_model(model, path, os_path, plain)
        except Exception as error:
            if is_refusal(error):
                raise
            self.log.error("Error while saving file: %s %s", path, error, exc_info=True)
            raise Failed(f"Unexpected error while saving file: {path} {error}") from error
        return self._kept(path, os_path, status, message)

    def _savable(self, model: Model, path: str) -> str:
        """Where a model is to be saved.

        :raises Invalid: the model is not complete, or the path hidden.
        """
        if "type" not in model:
            raise Invalid("No file type provided")
        if model.get("content") is None and model["type"] != "directory":
            raise Invalid("No file content provided")
        if not isinstance(model.get("content"), {"notebook": dict, "file": str}.get(model["type"], object)):
            raise Invalid(f"The content of a {model['type']} is of another type")
        os_path = self._get_os_path(path)
        if not self.allow_hidden and self._hides(os_path):
            raise Invalid(f"Cannot create file or directory {os_path!r}")
        return os_path

    def _kept(self, path: str, os_path: str, status: os.stat_result, message: str | None = None) -> Found:
        """Tell hooks and events of a save."""
        made = listing.entry_model(os_path, path, status)
        saved = next(iter(self._as_given([made])), made)
        if message is not None:
            saved["message"] = message
        self.run_post_save_hooks(model=saved, os_path=os_path)
        self.emit(data={"action": "save", "path": path})
        return Found(saved, status)

    def _write_model(self, model: Model, path: str, os_path: str, plain: bool) -> tuple[os.stat_result, str | None]:
        """Status of the file that was written, and what is wrong with the notebook in it."""
        kind = model["type"]
        if kind == "notebook":
            return self._write_notebook(os_path, path, model["content"], plain)
        if kind == "file":
            return self._save_file(os_path, model["content"], model.get("format")), None
        if kind == "directory":
            self._save_directory(os_path)
            return os.stat(os_path), None
        raise Invalid(f"Unhandled contents type: {kind}")

    def _write_notebook(self, os_path: str, path: str, content: Any, plain: bool) -> tuple[os.stat_result, str | None]:
        """Sign, write, and see that there is a checkpoint."""
        data, message = notebooks.render(content, plain, lambda nb: self.check_and_sign(nb, path))
        keep_old = self.checkpoints.versions_of(path).keep if hasattr(self.checkpoints, "versions_of") else None
        with self.perm_to_403(os_path):
            status = atomic.write_all(os_path, data, atomic=self.use_atomic_writing, keep_old=keep_old)
        self._see_to_checkpoint(path)
        return status, message

    def _see_to_checkpoint(self, path: str) -> None:
        """Make a notebook's first checkpoint. That it can not be made does not undo the save that it follows."""
        try:
            if not _finished(self.checkpoints.list_checkpoints(path)):
                _finished(self.checkpoints.create_checkpoint(self, path))
        except Exception as error:  # noqa: BLE001 - a checkpoints class may be anybody's
            self.log.warning("No checkpoint of %s could be made: %r", path, error)

    def _save_file(self, os_path: str, content: Any, form: Any) -> os.stat_result:
        data = files.as_bytes(content, form, os_path)
        with self.perm_to_403(os_path):
            return atomic.write(os_path, data, atomic=self.use_atomic_writing)

    def _save_directory(self, os_path: str) -> None:
        if os.path.isdir(os_path):
            return
        if os.path.lexists(os_path):
            raise Invalid(f"Not a directory: {os_path}")
        with self.perm_to_403(os_path):
            os.mkdir(os_path)

    # -- deleting, moving, copying

    def _delete_path(self, path: str) -> None:
        path = paths.clean(path)
        os_path = self._get_os_path(path)
        if not self.allow_hidden and self._hides(os_path):
            raise Invalid(f"Cannot delete file or directory {os_path!r}")
        if not os.path.lexists(os_path):
            raise NotFound(f"File or directory does not exist: {os_path}")
        leftover = getattr(self.checkpoints, "checkpoint_dir", None)
        if self.delete_to_trash:
            if not os.path.islink(os_path) and not self.is_writable(path):
                raise Forbidden(f"Permission denied: {path}")
            removal.to_trash(os_path)
            return
        if os.path.isdir(os_path) and not self.always_delete_dir and removal.has_entries(os_path, leftover):
            raise Invalid(f"Directory {os_path} not empty")
        with self.perm_to_403():
            removal.remove(os_path)

    def _rename_path(self, old_path: str, new_path: str) -> None:
        old_path, new_path = paths.clean(old_path), paths.clean(new_path)
        if new_path == old_path:
            return
        new, old = self._get_os_path(new_path), self._get_os_path(old_path)
        if not self.allow_hidden and (self._hides(old) or self._hides(new)):
            raise Invalid(f"Cannot rename file or directory {old!r}")
        if not os.path.lexists(old):
            raise NotFound(f"File or directory does not exist: {old_path}")
        if os.path.exists(new) and not (os.path.exists(old) and os.path.samefile(old, new)):
            raise Conflict(f"File already exists: {new_path}")
        try:
            with self.perm_to_403():
                shutil.move(old, new)
        except JupyterdError:
            raise
        except FileNotFoundError:
            raise NotFound(f"File or directory does not exist: {old_path}") from None
        except Exception as error:
            raise Failed(f"Unknown error renaming file: {old_path} {error}") from error

    def _copy_path(self, from_path: str, to_path: str | None) -> Model | None:
        """Copy a directory; None for a file, which every manager can copy."""
        path = paths.clean(from_path)
        os_from, status = self._look(path)
        if not stat.S_ISDIR(status.st_mode):
            return None
        self.check_folder_size(path)
        parent, name = paths.split(path)
        target = parent if to_path is None else paths.clean(to_path)
        name = naming.without_copy_suffix(name)
        if self._dir_exists(target):
            name = next(n for n in naming.candidates(name, "-Copy") if not self._exists(f"{target}/{n}"))
        copied = paths.clean(f"{target}/{name}")
        try:
            shutil.copytree(os_from, self._get_os_path(copied))
        except OSError as error:
            self.log.error("could not copy %s to %s: %s", path, copied, error)
            raise Invalid(f"Can't copy '{from_path}' into read-only Folder '{target}/{name}'") from error
        return self._get_model(copied, content=False)

    def check_folder_size(self, path: str) -> None:
        """:raises Invalid: the directory is too large to be copied."""
        size = removal.disk_usage(self._get_os_path(path))
        if size > self.max_copy_folder_size_mb << 20:
            raise Invalid(
                f"""
                    Can't copy folders larger than {self.max_copy_folder_size_mb}MB,
                    "{path}" is {naming.human_size(size)}
                """
            )

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
        self._delete_path(path)

    def rename_file(self, old_path: str, new_path: str) -> Any:
        """Rename or move a file or directory."""
        self._rename_path(old_path, new_path)

    def copy(self, from_path: str, to_path: str | None = None) -> Any:
        """Copy a file or a directory."""
        copied = self._copy_path(from_path, to_path)
        return copied if copied is not None else at_once(composites.copy(self, from_path, to_path))


def _finished(value: Any) -> Any:
    """What a checkpoints class returned; a coroutine is run to its end in this thread."""
    return to_end(value) if asyncio.iscoroutine(value) else value


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
        await off_loop(self._delete_path, path)

    async def rename_file(self, old_path: str, new_path: str) -> None:
        """Rename or move a file or directory."""
        await off_loop(self._rename_path, old_path, new_path)

    async def copy(self, from_path: str, to_path: str | None = None) -> Model:
        """Copy a file or a directory."""
        copied = await off_loop(self._copy_path, from_path, to_path)
        return copied if copied is not None else await composites.copy(self, from_path, to_path)
