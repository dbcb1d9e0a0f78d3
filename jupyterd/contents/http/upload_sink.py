"""Upload sink: a request's body on its way to a file, a block at a time, in threads; the client waits for the disk."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import Deferred

from jupyterd.events.progress import Task
from jupyterd.system.threads import InThread

if TYPE_CHECKING:
    from jupyterd.web.server.request import Request

BLOCK = 1 << 20
"""Bytes that are gathered before they are written."""


class Target(Protocol):
    """What the blocks go to. All methods but :meth:`abort` may raise; they are called in threads, one at a time."""

    def write(self, data: bytes) -> None:
        """The next bytes; opens what must be opened."""

    def abort(self) -> None:
        """Forget what was written. Harmless at any time."""


class UploadSink:
    """A :class:`jupyterd.web.root.BodySink` that holds at most two blocks in memory.

    :param begin: called when the first block goes to disk: the task that is told of.

    What fails is kept, the rest of the body is thrown away as it comes, and :meth:`complete` tells.
    """

    def __init__(
        self, request: Request, target: Target, in_thread: InThread, begin: Callable[[], Task | None] = lambda: None
    ) -> None:
        self.target = target
        self.size = 0
        self._request = request
        self._in_thread = in_thread
        self._gathered: list[bytes] = []
        self._length = 0
        self._writing: Deferred[None] | None = None
        self._failure: Any = None
        self._waiting: Deferred[None] | None = None
        self._over = False
        self._begin, self._cut = begin, False
        self._task: Task | None = None

    # -- BodySink

    def write(self, data: bytes) -> None:
        """The next bytes from the client."""
        self.size += len(data)
        if self._failure is not None or self._over:
            return
        self._gathered.append(data)
        self._length += len(data)
        if self._length >= BLOCK:
            if self._writing is None:
                self._flush()
            else:
                self._request.pause_body()

    def finished(self) -> None:
        """The body is complete."""

    def failed(self) -> None:
        """The rest will not come."""
        self._cut = True
        self._end()

    def close(self) -> None:
        """The request is answered."""
        self._end()

    # -- for the resource

    async def complete(self) -> None:
        """Wait until all is written.

        :raises Exception: what writing failed with.
        """
        if self._writing is None and self._gathered:
            self._flush()
        if self._writing is not None:
            self._waiting = Deferred()
            await self._waiting
        if self._failure is not None:
            self._failure.raiseException()

    def in_memory(self) -> bytes | None:
        """The body, where it was so small that nothing of it was written."""
        if self.size > self._length or self._writing is not None:
            return None
        return b"".join(self._gathered)

    # -- blocks

    def _flush(self) -> None:
        data, self._gathered, self._length = b"".join(self._gathered), [], 0
        if self._task is None:
            self._task = self._begin()
        if self._task is not None:
            self._task.advance(len(data))
        self._writing = self._in_thread(self.target.write, data)
        self._writing.addCallbacks(lambda _: None, self._broke)
        self._writing.addCallback(lambda _: self._written())

    def _broke(self, failure: Any) -> None:
        self._failure = failure
        self._gathered, self._length = [], 0

    def _written(self) -> None:
        self._writing = None
        if self._over:
            self._in_thread(self.target.abort).addErrback(lambda _: None)
        elif self._gathered and (self._length >= BLOCK or self._waiting is not None):
            self._flush()
        elif self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.callback(None)
        self._request.resume_body()

    def _end(self) -> None:
        if not self._over:
            self._over = True
            self._gathered = []
            if self._task is not None:
                self._task.end(failed=self._cut or self._failure is not None)
            if self._writing is None:
                self._in_thread(self.target.abort).addErrback(lambda _: None)


class SpoolFile:
    """A temporary file, made when the first block comes.

    :param make: gives a path that nobody else uses.
    """

    def __init__(self, make: Callable[[], str]) -> None:
        self._make = make
        self.path: str | None = None
        self._fd: int | None = None

    def write(self, data: bytes) -> None:
        """The next bytes."""
        if self._fd is None:
            self.path = self._make()
            self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]

    def abort(self) -> None:
        """Remove it."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
        if self.path is not None:
            with suppress(OSError):
                os.unlink(self.path)
            self.path = None
