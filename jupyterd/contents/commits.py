"""Signatures of saved notebooks are written a moment later, together: a crash can lose those of that moment only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IDelayedCall

from jupyterd.aio import caller_from_threads
from jupyterd.threads import InThread

if TYPE_CHECKING:
    from jupyterd.contents.signatures import SharedSignatureStore

DELAY = 0.5
"""Seconds from a signature to its commit."""


class Commits:
    """One timer, while something waits; none otherwise.

    :param in_thread: where the database is written.
    """

    def __init__(self, reactor: Any, in_thread: InThread) -> None:
        self._reactor = reactor
        self._in_thread = in_thread
        self._stores: set[SharedSignatureStore] = set()
        self._call: IDelayedCall | None = None
        self._closed = False

    def wait(self, store: SharedSignatureStore) -> None:
        """Something waits in a store. In any thread; after the end it is written in this one."""
        self._stores.add(store)
        if self._closed:
            store.close()
        else:
            caller_from_threads(self._reactor)(self._watch)

    def _watch(self) -> None:
        if self._call is None and not self._closed:
            self._call = self._reactor.callLater(DELAY, self._flush)

    def _flush(self) -> None:
        self._call = None
        self._in_thread(self._write)

    def _write(self) -> None:
        for store in list(self._stores):
            store.flush()

    def stop(self) -> None:
        """No timer any more; :meth:`close` is to follow. In the reactor's thread."""
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def close(self) -> None:
        """Write what waits, and from now on all at once. In a thread."""
        self._closed = True
        for store in list(self._stores):
            store.close()
