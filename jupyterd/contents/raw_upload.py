"""Raw uploads: ``PUT /files/<path>``, of any size, in constant memory. An addition to the Jupyter API."""

from __future__ import annotations

import os

from jupyterd.contents import paths
from jupyterd.contents.files.atomic import Replacement
from jupyterd.contents.files.open_beneath import LeadsOut, open_beneath, path_of
from jupyterd.contents.managers.filemanager import FileContentsManager
from jupyterd.contents.managers.reading import Found
from jupyterd.contents.managers.saving import kept, savable
from jupyterd.errors import Forbidden, Invalid, NotFound


class RawUpload:
    """A :class:`jupyterd.contents.http.upload_sink.Target`: an unfinished file beside the one that it becomes.

    :param path: the API path.
    """

    def __init__(self, manager: FileContentsManager, path: str) -> None:
        self._manager = manager
        self._path = paths.clean(path)
        self._replacement: Replacement | None = None
        self._real = ""
        self._directory = -1

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
        :raises Forbidden: a link leads out of the root.
        """
        if self._replacement is None:
            model = {"type": "file", "format": "base64", "content": ""}
            self._manager.run_pre_save_hooks(model=model, path=self._path)
            held = self._hold(savable(self._manager, model, self._path))
            if os.path.isdir(held):
                raise Invalid(f"{self._path} is a directory, not a file", reason="bad type")
            self._replacement = Replacement(held, atomic=self._manager.use_atomic_writing, follow=False)
        return self._replacement

    def _hold(self, os_path: str) -> str:
        """The path by which the file is written: its directory is held open, below the root, until all is done."""
        self._let_go()
        self._real = os.path.realpath(os_path)
        directory, name = os.path.split(self._real)
        try:
            self._directory, _ = open_beneath(self._manager.root_dir, directory, os.O_RDONLY | os.O_DIRECTORY)
        except LeadsOut:
            raise Forbidden(f"{self._path} is not in root static directory") from None
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound(f"No such directory: {paths.split(self._path)[0]}") from None
        if not os.access(directory, os.W_OK | os.X_OK):
            return self._real  # it is written in place, and kept aside by its path
        return os.path.join(path_of(self._directory, directory), name)

    def commit(self) -> tuple[Found, bool]:
        """Put the file in its place: its model, and whether it is new."""
        os_path = self._manager._get_os_path(self._path)
        keep = getattr(self._manager.checkpoints, "versions_of", None)
        versions = keep(self._path) if keep is not None and self._path.endswith(".ipynb") else None
        keep_old = None if versions is None else lambda _, in_place: versions.keep(self._real, in_place)
        with self._manager.perm_to_403(os_path):
            replacement = self.open()
            new = not os.path.exists(replacement.target)
            status = replacement.commit(keep_old)
        self._let_go()
        return kept(self._manager, self._path, os_path, status), new

    def _let_go(self) -> None:
        if self._directory >= 0:
            os.close(self._directory)
            self._directory = -1

    def abort(self) -> None:
        """Drop it."""
        if self._replacement is not None:
            self._replacement.abort()
        self._let_go()
