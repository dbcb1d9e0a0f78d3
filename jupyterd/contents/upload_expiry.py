"""Expiry of uploads that were abandoned, though nobody uploads anything after them."""

from __future__ import annotations

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from jupyterd.contents.managers.chunked_uploads import Uploads
from jupyterd.system.threads import InThread


class UploadExpiry:
    """Looks at the uploads under way twice in their timeout, while there are any.

    :param in_thread: where files are removed.
    """

    def __init__(self, clock: IReactorTime, in_thread: InThread, uploads: Uploads) -> None:
        self._clock = clock
        self._in_thread = in_thread
        self._uploads = uploads
        self._call: IDelayedCall | None = None

    def watch(self) -> None:
        """An upload may have begun."""
        if self._call is None and len(self._uploads):
            self._call = self._clock.callLater(self._uploads.timeout / 2, self._look)

    def _look(self) -> None:
        self._call = None
        self._in_thread(self._uploads.expire).addBoth(lambda _: self.watch())

    def stop(self) -> None:
        """Look no more; drop all that is under way."""
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self._uploads.close()
