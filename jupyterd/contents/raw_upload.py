"""A file uploaded as it is: ``PUT /files/<path>``, of any size, in constant memory. An addition to the Jupyter API."""

from __future__ import annotations

import os

from jupyterd.contents import paths
from jupyterd.contents.files.atomic import Replacement
from jupyterd.contents.managers.filemanager import FileContentsManager
from jupyterd.contents.managers.reading import Found
from jupyterd.contents.managers.saving import kept, savable
from jupyterd.errors import Invalid, NotFound


class RawUpload:
    """A :class:`jupyterd.contents.http.upload_sink.Target`: an unfinished file beside the one that it becomes.

    :param path: the API path.
    """

    def __init__(self, manager: FileContentsManager, path: str) -> None:
        self._manager = manager
        self._path = paths.clean(path)
        self._replacement: Replacement | None = None

    def write(self, data: bytes) -> None:
        """The next bytes.

        :raises JupyterdError: the path can not be written; see :meth:`open`.
        """
        with self._manager.perm_to_403(self._manager._get_os_path(self._path)):
            self.open().write(data)

    def open(self) -> Replacement:
        """The unfinished file, made at the first call. Pre-save hooks may refuse it; they see no content.

        :raises Invalid: a hidden path, or not one of a file.
        :raises NotFound: there is no such directory.
        """
        if self._replacement is None:
            model = {"type": "file", "format": "base64", "content": ""}
            self._manager.run_pre_save_hooks(model=model, path=self._path)
            os_path = savable(self._manager, model, self._path)
            if not os.path.isdir(os.path.dirname(os_path)):
                raise NotFound(f"No such directory: {paths.split(self._path)[0]}")
            if os.path.isdir(os_path):
                raise Invalid(f"{self._path} is a directory, not a file", reason="bad type")
            self._replacement = Replacement(os_path, atomic=self._manager.use_atomic_writing)
        return self._replacement

    def commit(self) -> tuple[Found, bool]:
        """Put the file in its place: its model, and whether it is new."""
        os_path = self._manager._get_os_path(self._path)
        keep = getattr(self._manager.checkpoints, "versions_of", None)
        keep_old = keep(self._path).keep if keep is not None and self._path.endswith(".ipynb") else None
        with self._manager.perm_to_403(os_path):
            replacement = self.open()
            new = not os.path.exists(os_path)
            status = replacement.commit(keep_old)
        return kept(self._manager, self._path, os_path, status), new

    def abort(self) -> None:
        """Drop it."""
        if self._replacement is not None:
            self._replacement.abort()
