"""Checkpoints: a file as it was when the user last asked to keep it. The interface, and the one in files.

Source: the reference's ``Checkpoints`` and ``FileCheckpoints``; a file has one checkpoint, whose id is ``checkpoint``.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from functools import partial
from hashlib import sha256
from typing import Any

from traitlets import Bool, Unicode, default
from traitlets.config.configurable import LoggingConfigurable

from jupyterd.contents import paths
from jupyterd.contents.files import atomic, regular_files, unfinished_files
from jupyterd.contents.files.os_errors import named_faults
from jupyterd.contents.managers import generic_operations, version_history
from jupyterd.contents.managers.sync_or_async import at_once
from jupyterd.contents.models import moment
from jupyterd.errors import NotFound

CHECKPOINT = "checkpoint"


class NoSuchCheckpoint(NotFound):
    """The file has no checkpoint of that id."""


class Checkpoints(LoggingConfigurable):
    """What keeps checkpoints; a subclass gives the five methods that raise here."""

    def create_checkpoint(self, contents_mgr: Any, path: str) -> Any:
        """Keep a file as it is now; gives ``{"id", "last_modified"}``."""
        raise NotImplementedError

    def restore_checkpoint(self, contents_mgr: Any, checkpoint_id: str, path: str) -> Any:
        """Make a file what it was."""
        raise NotImplementedError

    def rename_checkpoint(self, checkpoint_id: str, old_path: str, new_path: str) -> Any:
        """The file has another path now."""
        raise NotImplementedError

    def delete_checkpoint(self, checkpoint_id: str, path: str) -> Any:
        """Forget a checkpoint."""
        raise NotImplementedError

    def list_checkpoints(self, path: str) -> Any:
        """The checkpoints of a file."""
        raise NotImplementedError

    def rename_all_checkpoints(self, old_path: str, new_path: str) -> Any:
        """The file has another path now."""
        return at_once(generic_operations.rename_all_checkpoints(self, old_path, new_path))

    def delete_all_checkpoints(self, path: str) -> Any:
        """The file is gone."""
        return at_once(generic_operations.delete_all_checkpoints(self, path))


class AsyncCheckpoints(Checkpoints):
    """The same with asyncio coroutines for methods."""

    async def rename_all_checkpoints(self, old_path: str, new_path: str) -> None:
        """The file has another path now."""
        await generic_operations.rename_all_checkpoints(self, old_path, new_path)

    async def delete_all_checkpoints(self, path: str) -> None:
        """The file is gone."""
        await generic_operations.delete_all_checkpoints(self, path)


class FileCheckpoints(Checkpoints):
    """Checkpoints in files, in a directory beside the file's own; the last saved versions of notebooks too."""

    checkpoint_dir = Unicode(
        ".ipynb_checkpoints", config=True, help="The directory of checkpoints, beside the file that they are of."
    )
    root_dir = Unicode(config=True, help="The directory below which all files lie; by default the manager's.")
    use_atomic_writing = Bool(True, config=True, help="See FileContentsManager.use_atomic_writing.")

    @default("root_dir")
    def _default_root_dir(self) -> str:
        return str(self.parent.root_dir) if self.parent else os.getcwd()

    # -- the interface

    def create_checkpoint(self, contents_mgr: Any, path: str) -> Any:
        """Copy the file.

        :raises NotFound: there is none.
        """
        source = contents_mgr._get_os_path(paths.clean(path))
        if not os.path.lexists(source):
            raise NotFound(f"No such file or directory: {paths.clean(path)}")
        target = self.checkpoint_path(CHECKPOINT, path)
        self._copy(source, target)
        unfinished_files.sweep(os.path.dirname(target))
        return self.checkpoint_model(CHECKPOINT, target)

    def restore_checkpoint(self, contents_mgr: Any, checkpoint_id: str, path: str) -> Any:
        """Copy it back; what it replaces is kept as a version.

        :raises NoSuchCheckpoint: there is none of that id.
        """
        source = self._existing(checkpoint_id, path)
        target = contents_mgr._get_os_path(paths.clean(path))
        self._copy(source, target, self.versions_of(path).keep if paths.clean(path).endswith(".ipynb") else None)

    def rename_checkpoint(self, checkpoint_id: str, old_path: str, new_path: str) -> Any:
        """Move it to where the file went."""
        old = self.checkpoint_path(checkpoint_id, old_path)
        if os.path.isfile(old):
            new = self.checkpoint_path(checkpoint_id, new_path)
            with named_faults(self.root_dir):
                os.replace(old, new)

    def delete_checkpoint(self, checkpoint_id: str, path: str) -> Any:
        """Remove its file."""
        os_path = self._existing(checkpoint_id, path)
        with named_faults(self.root_dir):
            os.unlink(os_path)

    def list_checkpoints(self, path: str) -> Any:
        """At most one."""
        try:
            status = os.stat(self.checkpoint_path(CHECKPOINT, path, make=False))
        except OSError:
            return []
        return [{"id": CHECKPOINT, "last_modified": moment(status.st_mtime)}] if stat.S_ISREG(status.st_mode) else []

    def rename_all_checkpoints(self, old_path: str, new_path: str) -> Any:
        """The file's versions go with it."""
        super().rename_all_checkpoints(old_path, new_path)
        for version in self.list_versions(old_path):
            self.rename_checkpoint(version["id"], old_path, new_path)

    def delete_all_checkpoints(self, path: str) -> Any:
        """The file's versions too."""
        super().delete_all_checkpoints(path)
        for version in self.list_versions(path):
            self.delete_checkpoint(version["id"], path)

    # -- versions

    def versions_of(self, path: str) -> version_history.Versions:
        """Where the versions of a file are kept; none are, unless the contents manager's settings say so."""
        directory = os.path.join(self._directory(path), version_history.DIRECTORY)
        count = getattr(self.parent, "notebook_versions", 0)
        size = getattr(self.parent, "notebook_versions_bytes", 0)
        interval = getattr(self.parent, "notebook_versions_interval", 0.0)
        return version_history.Versions(directory, count, size, interval)

    def list_versions(self, path: str) -> list[dict[str, Any]]:
        """The last saved versions of a file, as checkpoints, oldest first."""
        name = paths.split(path)[1]
        return [
            {"id": version.id, "last_modified": moment(version.status.st_mtime), "size": version.status.st_size}
            for version in self.versions_of(path).list(name)
        ]

    # -- where they are

    def checkpoint_path(self, checkpoint_id: str, path: str, make: bool = True) -> str:
        """The file of a checkpoint.

        :param make: make its directory, where there is none.
        """
        name = paths.split(path)[1]
        if version_history.is_version(checkpoint_id):
            directory = self.versions_of(path).directory
            os_path = self.versions_of(path).path(name, checkpoint_id)
        else:
            directory = self._directory(path)
            stem, suffix = os.path.splitext(name)
            os_path = os.path.join(directory, f"{stem}-{checkpoint_id}{suffix}")
        if make:
            with named_faults(self.root_dir):
                os.makedirs(directory, exist_ok=True)
        return os_path

    def _directory(self, path: str) -> str:
        root = os.path.abspath(self.root_dir)
        parent = paths.to_os_path(root, paths.split(path)[0])
        if not os.access(parent, os.W_OK):
            return _apart(parent)
        return os.path.join(parent, self.checkpoint_dir)

    def checkpoint_model(self, checkpoint_id: str, os_path: str) -> Any:
        """What clients are told of a checkpoint."""
        return {"id": checkpoint_id, "last_modified": moment(os.stat(os_path).st_mtime)}

    def no_such_checkpoint(self, path: str, checkpoint_id: str) -> None:
        """:raises NoSuchCheckpoint: always."""
        raise NoSuchCheckpoint(f"Checkpoint does not exist: {path}@{checkpoint_id}")

    def _existing(self, checkpoint_id: str, path: str) -> str:
        os_path = self.checkpoint_path(checkpoint_id, path, make=False)
        if not os.path.isfile(os_path):
            self.no_such_checkpoint(paths.clean(path), checkpoint_id)
        return os_path

    def _copy(self, source: str, target: str, keep_old: atomic.KeepOld | None = None) -> None:
        """Copy content and time; never half."""
        with named_faults(self.root_dir, target):
            with os.fdopen(regular_files.open_regular(source, self.root_dir), "rb", buffering=0) as file:
                blocks = iter(partial(file.read, regular_files.BLOCK), b"")
                atomic.write_all(target, blocks, atomic=self.use_atomic_writing, keep_old=keep_old)
                status = os.fstat(file.fileno())
            os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def _apart(parent: str) -> str:
    """Where the checkpoints of a directory that may not be written are: with this user, apart from all others."""
    from jupyter_core.paths import jupyter_data_dir

    place = os.path.join(jupyter_data_dir(), "jupyterd", "checkpoints")
    with suppress(OSError):  # then nothing is kept
        os.makedirs(place, mode=0o700, exist_ok=True)
    return os.path.join(place, sha256(os.fsencode(os.path.realpath(parent))).hexdigest())


class AsyncFileCheckpoints(FileCheckpoints):
    """The same, under the name by which asynchronous managers are configured; its methods are called in threads."""


class GenericCheckpointsMixin:
    """Checkpoints of any contents manager, by its ``get`` and ``save``; a subclass gives the four methods below."""

    def create_checkpoint(self, contents_mgr: Any, path: str) -> Any:
        """Keep a file as it is now."""
        model = contents_mgr.get(path, content=True)
        if model["type"] == "notebook":
            return self.create_notebook_checkpoint(model["content"], path)
        if model["type"] == "file":
            return self.create_file_checkpoint(model["content"], model["format"], path)
        raise NotFound(f"Unexpected type {model['type']}")

    def restore_checkpoint(self, contents_mgr: Any, checkpoint_id: str, path: str) -> Any:
        """Make a file what it was."""
        kind = contents_mgr.get(path, content=False)["type"]
        if kind == "notebook":
            model = self.get_notebook_checkpoint(checkpoint_id, path)
        elif kind == "file":
            model = self.get_file_checkpoint(checkpoint_id, path)
        else:
            raise NotFound(f"Unexpected type {kind}")
        contents_mgr.save(model, path)

    def create_file_checkpoint(self, content: Any, format: str, path: str) -> Any:  # noqa: A002
        """Keep a file's content."""
        raise NotImplementedError

    def create_notebook_checkpoint(self, nb: Any, path: str) -> Any:
        """Keep a notebook."""
        raise NotImplementedError

    def get_file_checkpoint(self, checkpoint_id: str, path: str) -> Any:
        """Its model: ``type``, ``content``, ``format``."""
        raise NotImplementedError

    def get_notebook_checkpoint(self, checkpoint_id: str, path: str) -> Any:
        """Its model: ``type``, ``content``."""
        raise NotImplementedError


class GenericFileCheckpoints(GenericCheckpointsMixin, FileCheckpoints):
    """Checkpoints in files, of any contents manager."""

    def create_file_checkpoint(self, content: Any, format: str, path: str) -> Any:  # noqa: A002
        """Write the content into the checkpoint's file."""
        target = self.checkpoint_path(CHECKPOINT, path)
        return self._write(target, regular_files.as_bytes(content, format, target))

    def create_notebook_checkpoint(self, nb: Any, path: str) -> Any:
        """Write the notebook into the checkpoint's file."""
        import nbformat

        return self._write(self.checkpoint_path(CHECKPOINT, path), nbformat.writes(nb).encode() + b"\n")

    def _write(self, target: str, data: bytes) -> Any:
        with named_faults(self.root_dir):
            atomic.write(target, data, atomic=self.use_atomic_writing)
        return self.checkpoint_model(CHECKPOINT, target)

    def get_notebook_checkpoint(self, checkpoint_id: str, path: str) -> Any:
        """Read the notebook of a checkpoint."""
        import nbformat

        data = regular_files.read(self._existing(checkpoint_id, path), self.root_dir).data
        return {"type": "notebook", "content": nbformat.reads(data.decode(), as_version=4)}

    def get_file_checkpoint(self, checkpoint_id: str, path: str) -> Any:
        """Read the content of a checkpoint."""
        os_path = self._existing(checkpoint_id, path)
        content, form = regular_files.as_content(regular_files.read(os_path, self.root_dir).data, None, os_path)
        return {"type": "file", "content": content, "format": form}


class AsyncGenericFileCheckpoints(GenericFileCheckpoints):
    """The same, under the name by which asynchronous managers are configured; its methods are called in threads."""
