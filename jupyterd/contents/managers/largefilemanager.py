"""``LargeFileManager`` and ``AsyncLargeFileManager``: files saved in pieces too. The latter is the default."""

from __future__ import annotations

import os
from typing import Any

from traitlets import Float

from jupyterd.contents import paths
from jupyterd.contents.files import listing, regular_files
from jupyterd.contents.managers.chunked_uploads import LAST, Uploads
from jupyterd.contents.managers.filemanager import AsyncFileContentsManager, FileContentsManager
from jupyterd.contents.managers.hooks import is_refusal
from jupyterd.contents.managers.reading import Found
from jupyterd.contents.managers.saving import kept, savable
from jupyterd.contents.models import Model
from jupyterd.errors import Failed, Invalid


class LargeFileManager(FileContentsManager):
    """A model with a ``chunk`` is a piece of a file: 1, 2, 3 ..., and -1 for the last."""

    upload_timeout = Float(
        3600.0, config=True, help="Seconds after which an upload that got no more pieces is dropped."
    )

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.uploads = Uploads(self.upload_timeout)

    def _keep(self, model: Model, path: str, plain: bool = False) -> Found:
        if model.get("chunk") is None:
            return super()._keep(model, path, plain)
        return self._keep_chunk(model, paths.clean(path))

    def _keep_chunk(self, model: Model, path: str) -> Found:
        chunk = model["chunk"]
        if chunk == 1:
            self.run_pre_save_hooks(model=model, path=path)
        if model.get("type", "file") != "file":
            raise Invalid(f'File type "{model["type"]}" is not supported for large file transfer')
        if type(chunk) is not int or (chunk < 1 and chunk != LAST):
            raise Invalid(f"Chunk {chunk!r} is not a number from 1 on, or -1 for the last")
        os_path = savable(self, model, path)
        data = regular_files.as_bytes(model["content"], model.get("format"), os_path)
        status = self._add_chunk(os_path, path, chunk, data)
        if chunk == LAST:
            return kept(self, path, os_path, status)
        self.emit(data={"action": "save", "path": path})
        return Found({**listing.entry_model(os_path, path, status), "writable": True}, status)

    def _add_chunk(self, os_path: str, path: str, chunk: int, data: bytes) -> os.stat_result:
        try:
            with self.perm_to_403(os_path):
                return self.uploads.add(os_path, chunk, data, atomic=self.use_atomic_writing)
        except Exception as error:
            if is_refusal(error):
                raise
            self.log.error("Error while saving file: %s %s", path, error, exc_info=True)
            raise Failed(f"Unexpected error while saving file: {path} {error}") from error


class AsyncLargeFileManager(LargeFileManager, AsyncFileContentsManager):
    """The same with asyncio coroutines for methods."""
