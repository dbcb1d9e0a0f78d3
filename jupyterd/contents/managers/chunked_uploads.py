"""Uploads in pieces: numbered 1, 2, 3 ..., the last -1. The file appears when the last one is in.

Until then the pieces are in an unfinished file beside the target. One that is abandoned is dropped after a while, so is
what is under way when the server ends.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from threading import Lock
from time import monotonic

from jupyterd.contents.files.atomic import Replacement
from jupyterd.errors import Invalid

LAST = -1


class OutOfOrder(Invalid):
    """A piece came that is not the next one."""


class TwoUploads(Invalid):
    """The same piece came twice, and not alike: two clients upload to one path. Neither file would be whole."""


@dataclass(eq=False)
class _Upload:
    replacement: Replacement
    number: int = 0
    """Of the last piece that is in."""
    start: int = 0
    """Where that piece begins."""
    digest: bytes = b""
    """Of that piece."""
    touched: float = 0.0
    lock: Lock = field(default_factory=Lock)


class Uploads:
    """Uploads under way.

    :param timeout: seconds after which one that gets no more pieces is dropped.
    :param now: the time, in seconds.
    """

    def __init__(self, timeout: float, now: Callable[[], float] = monotonic) -> None:
        self.timeout = timeout
        self._now = now
        self._lock = Lock()
        self._uploads: dict[str, _Upload] = {}

    def __len__(self) -> int:
        return len(self._uploads)

    def add(self, os_path: str, number: int, data: bytes, *, atomic: bool = True) -> os.stat_result:
        """The next piece; with the last one the file is there.

        A piece that came before and is sent again counts once. Number 1 begins anew.

        :returns: the status of what there is so far.
        :raises OutOfOrder: some piece is missing, or no upload is under way.
        :raises TwoUploads: the upload is dropped.
        """
        self.expire()
        upload = self._find(os_path, number, atomic)
        with upload.lock:
            try:
                self._place(upload, os_path, number, data)
                upload.replacement.write(data)
                if number == LAST:
                    status = upload.replacement.commit()
                    self._drop(os_path, upload)
                    return status
                return upload.replacement.status()
            except OutOfOrder:
                raise
            except BaseException:
                self._drop(os_path, upload)
                raise

    def _find(self, os_path: str, number: int, atomic: bool) -> _Upload:
        with self._lock:
            upload = self._uploads.get(os_path)
            if number == 1:
                if upload is not None:
                    upload.replacement.abort()
                upload = self._uploads[os_path] = _Upload(Replacement(os_path, atomic=atomic))
            elif upload is None:
                raise OutOfOrder("No upload to this path is under way: it begins with chunk 1")
            upload.touched = self._now()
            return upload

    def _place(self, upload: _Upload, os_path: str, number: int, data: bytes) -> None:
        digest = blake2b(data).digest()
        if number == upload.number:
            if digest != upload.digest:
                raise TwoUploads(f"Chunk {number} came twice with different content: two uploads to {os_path}")
            upload.replacement.rewind(upload.start)
        elif number not in (upload.number + 1, LAST):
            raise OutOfOrder(f"Chunk {number} of the upload came where {upload.number + 1} was expected")
        upload.number = number
        upload.digest = digest
        upload.start = upload.replacement.size

    def _drop(self, os_path: str, upload: _Upload) -> None:
        upload.replacement.abort()
        with self._lock:
            if self._uploads.get(os_path) is upload:
                del self._uploads[os_path]

    def expire(self) -> None:
        """Drop what was abandoned."""
        limit = self._now() - self.timeout
        for os_path, upload in list(self._uploads.items()):
            if upload.touched < limit:
                self._drop(os_path, upload)

    def close(self) -> None:
        """Drop all."""
        for os_path, upload in list(self._uploads.items()):
            self._drop(os_path, upload)
