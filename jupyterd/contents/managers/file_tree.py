"""``FileTree``: API paths and files on disk below one directory, for what reads, saves and moves there."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager

from jupyterd.contents import paths
from jupyterd.contents.files import exclusive, file_names, removal
from jupyterd.contents.files.exclusive import Claim
from jupyterd.contents.files.os_errors import named_faults
from jupyterd.contents.managers.manager import ContentsManager
from jupyterd.errors import Invalid, NotFound


class FileTree(ContentsManager):
    """Answers questions about what lies where. Its settings are traits of ``FileContentsManager``.

    :ivar root_dir: the directory below which everything lies.
    """

    root_dir: str
    max_copy_folder_size_mb: int
    max_content_bytes: int
    use_atomic_writing: bool
    hash_algorithm: str
    delete_to_trash: bool
    always_delete_dir: bool

    def _get_os_path(self, path: str) -> str:
        """The path on disk of an API path.

        :raises OutsideRoot: it has none below the root.
        """
        return paths.to_os_path(os.path.abspath(self.root_dir), path)

    def perm_to_403(self, os_path: str = "") -> AbstractContextManager[None]:
        """See :func:`jupyterd.contents.files.os_errors.named_faults`."""
        return named_faults(self.root_dir, os_path)

    def _is_hidden(self, path: str) -> bool:
        return self._hides(self._get_os_path(path))

    def _hides(self, os_path: str, status: os.stat_result | None = None) -> bool:
        """:raises PermissionDenied: the way there is barred."""
        with named_faults(self.root_dir, os_path):
            return paths.is_hidden(os_path, self.root_dir, status)

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

    def _claim(self, path: str, directory: bool = False) -> Claim | None:
        """Hold a name with an empty file or directory; None where something has it.

        :raises NotFound: its directory is not there.
        :raises PermissionDenied: it may not be written.
        """
        os_path = self._get_os_path(path)
        try:
            with named_faults(self.root_dir, os_path):
                return exclusive.claim(os_path, directory)
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound(f"No such directory: {paths.split(path)[0]}") from None

    def check_folder_size(self, path: str) -> None:
        """:raises Invalid: the directory is too large to be copied."""
        size = removal.disk_usage(self._get_os_path(path))
        if size > self.max_copy_folder_size_mb << 20:
            raise Invalid(
                f"""
                    Can't copy folders larger than {self.max_copy_folder_size_mb}MB,
                    "{path}" is {file_names.human_size(size)}
                """
            )
