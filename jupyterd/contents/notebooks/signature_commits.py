"""Commits of signatures, a moment after the save and together: a crash can lose those of that moment only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from jupyterd.system.asyncio_bridge import caller_from_threads
from jupyterd.system.threads import InThread

if TYPE_CHECKING:
    from jupyterd.contents.notebooks.signature_store import SharedSignatureStore

DELAY = 0.5
"""Seconds from a signature to its commit."""

RETRY = 30.0
"""Seconds until what could not be written is tried again."""


class SignatureCommits:
    """One timer, while something waits; none otherwise. What can not be written is tried again.

    :param in_thread: where the database is written.
    """

    log = Logger()

    def __init__(self, reactor: Any, in_thread: InThread) -> None:
        self._reactor = reactor
        self._in_thread = in_thread
        self._stores: set[SharedSignatureStore] = set()
        self._call: IDelayedCall | None = None
        self._closed = self._stopped = False

    def wait(self, store: SharedSignatureStore) -> None:
        """Something waits in a store. In any thread; after the end it is written in this one."""
        self._stores.add(store)
        if self._closed:
            store.close()
        else:
            caller_from_threads(self._reactor)(self._watch, DELAY)

    def _watch(self, delay: float) -> None:
        if self._call is not None and self._call.getTime() > self._reactor.seconds() + delay:
            self._call.reset(delay)
        elif self._call is None and not self._closed:
            self._call = self._reactor.callLater(delay, self._flush)

    def _flush(self) -> None:
        self._call = None
        writing = self._in_thread(self._write).addCallback(self._written)
        writing.addErrback(lambda failure: self.log.failure("signatures could not be written", failure))

    def _write(self) -> bool:
        return not [store for store in list(self._stores) if not store.flush()]

    def _written(self, all_of_it: bool) -> None:
        if not all_of_it and not self._stopped:
            self._watch(RETRY)

    def stop(self) -> None:
        """No timer any more; :meth:`close` is to follow. In the reactor's thread."""
        self._stopped = True
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def close(self) -> None:
        """Write what waits, and from now on all at once. In a thread."""
        self._closed = True
        for store in list(self._stores):
            store.close()
