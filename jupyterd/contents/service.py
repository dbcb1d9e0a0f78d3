"""Contents service, for resources: each operation off the reactor, saves of one path one after the other."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import astuple, dataclass, replace
from datetime import datetime
from functools import partial
from threading import Thread
from typing import Any, TypeVar

import orjson
from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredLock, fail

from jupyterd.contents import operations
from jupyterd.contents.encoded_models import Answer
from jupyterd.contents.event_queue import EventQueue
from jupyterd.contents.files.watcher import FileWatcher
from jupyterd.contents.managers.chunked_uploads import Uploads
from jupyterd.contents.managers.sync_or_async import at_once
from jupyterd.contents.notebook_steps import CellOutputs, Step
from jupyterd.contents.notebooks.signature_commits import SignatureCommits
from jupyterd.contents.operations import Query
from jupyterd.contents.paths import clean
from jupyterd.contents.raw_upload import RawUpload
from jupyterd.contents.thread_pools import ThreadPools
from jupyterd.contents.upload_expiry import UploadExpiry
from jupyterd.contents.worker.parent import LARGE, Worker, can_delegate
from jupyterd.events.progress import Progress, Task
from jupyterd.system.keyed_locks import KeyedLocks
from jupyterd.system.provenance import is_ours
from jupyterd.system.tally import Durations
from jupyterd.system.threads import InThread, NoThread

T = TypeVar("T")
Operation = Callable[..., Coroutine[Any, Any, T]]


class Contents(Service):
    """Runs operations (see :mod:`jupyterd.contents.operations`) on a contents manager.

    :param manager: a :class:`ContentsManager`, or a class written against the reference's interface.
    :param pools: where synchronous managers work.
    :param outbox: takes the manager's events.
    :ivar saves: how long saves took.
    :ivar uploads: how many there were: ``raw``, to ``/files``; ``large``, to ``/api/contents`` by way of a file.
    :ivar uploaded: their bytes.
    :param commits: writes the manager's signatures; none where each is written at once.
    """

    def __init__(
        self,
        reactor: Any,
        manager: Any,
        pools: ThreadPools,
        outbox: EventQueue,
        commits: SignatureCommits | None = None,
    ) -> None:
        self.manager = manager
        self.thread_pools = pools
        self._outbox = outbox
        self._commits = commits
        self._asyncio = AsyncioThread(reactor) if is_asynchronous(manager) else None
        self._turn = None if operations.is_native(manager) else DeferredLock()
        self._naming = None if hasattr(manager, "_claim") else DeferredLock()
        self._locks = KeyedLocks()
        self.worker = Worker(manager)
        self.changes: FileWatcher | None = None
        self.outputs: CellOutputs | None = None
        self.progress: Progress | None = None
        uploads = getattr(manager, "uploads", None)
        self._seconds = reactor.seconds
        self.saves = Durations()
        self.uploads: dict[str, int] = {"raw": 0, "large": 0}
        self.uploaded = 0
        self._expiry = UploadExpiry(reactor, pools.write, uploads) if isinstance(uploads, Uploads) else None

    def run(self, operation: Operation[T], *args: Any) -> Deferred[T]:
        """Run an operation where it may block; the Deferred fires in the reactor's thread.

        Classes that others wrote were written for one thread: they are asked one thing at a time.
        """
        return self._run(self.thread_pools.write, operation, *args)

    def ask(self, operation: Operation[T], *args: Any) -> Deferred[T]:
        """The same for one that changes nothing: it does not wait for those that do."""
        return self._run(self.thread_pools.read, operation, *args)

    def _run(self, in_thread: InThread, operation: Operation[T], *args: Any) -> Deferred[T]:
        if self._asyncio is not None:
            return self._asyncio.run(operation(self.manager, *args))
        running = in_thread if self._turn is None else partial(self._turn.run, in_thread)
        return running(self._work, operation, *args).addBoth(self._tell)

    def _work(self, operation: Operation[T], *args: Any) -> T:
        """In a thread."""
        with self._outbox.held():
            return at_once(operation(self.manager, *args))

    def _tell(self, result: T) -> T:
        self._outbox.deliver()
        return result

    async def get(self, path: str, query: Query) -> Answer | FileAnswer:
        """Read; a large notebook in a child process, whose answer is in a file."""
        if self.outputs is not None and query.content and path.endswith(".ipynb"):
            await self.outputs.opening(clean(path))
            query = replace(query, mark=self.outputs.mark(clean(path)))
        answer = await self._read(path, query)
        if query.content and answer.etag is not None and self.changes is not None:
            self.changes.seen(self.manager._get_os_path(path), clean(path), answer.etag)
        return answer

    async def _read(self, path: str, query: Query) -> Answer | FileAnswer:
        answer = await self.ask(operations.get, path, query, LARGE)
        if answer is not None:
            return answer
        if not await self.thread_pools.read(can_delegate, self.manager):
            answer = await self.ask(operations.get, path, query)
            assert answer is not None
            return answer
        out = await self.thread_pools.read(self.worker.new_path)
        try:
            head = await self.thread_pools.large(self.worker.do, "get", path=path, query=list(astuple(query)), out=out)
        except BaseException:
            self.thread_pools.write(_remove, out)
            raise
        self.manager.emit(data={"action": "get", "path": clean(path)})
        return FileAnswer(out, **_head_of(head))

    async def post(self, path: str, body: bytes) -> Answer:
        """Make something new; where the manager can not hold a name, nothing else is made meanwhile."""
        if self._naming is None:
            return await self.run(operations.post, path, body)
        return await self._naming.run(self.run, operations.post, path, body)

    async def put(self, path: str, body: bytes, if_match: str | None) -> Answer:
        """Save; nothing else changes the path meanwhile."""

        async def work() -> Answer:
            step = await self._step(path)
            answer = await self.run(operations.put, path, body, if_match, step)
            self._stepped(path, step)
            return answer

        return await self.alone([path], lambda: self._saving(path, work()))

    async def _step(self, path: str) -> Step | None:
        return None if self.outputs is None else await self.outputs.saving(clean(path))

    def _stepped(self, path: str, step: Step | None) -> None:
        if step is not None and self.outputs is not None:
            self.outputs.saved(clean(path), step)

    async def change(self, path: str, step: Step) -> None:
        """Let ``step`` change a notebook on disk; a large one in a child process.

        :raises NotFound: there is none.
        """

        async def work() -> None:
            in_thread, manager = self.thread_pools.write, self.manager
            is_large = step.size > LARGE or await in_thread(operations.is_large, manager, path, LARGE)
            if is_large and await in_thread(can_delegate, manager):
                etag = (await self._delegate("change", step, path=path))["etag"]
                if etag is not None:
                    self.manager.emit(data={"action": "save", "path": path})
            else:
                etag = await self.run(operations.change, path, step)
            if etag is not None and self.changes is not None:
                self.changes.saved(self.manager._get_os_path(path), etag)

        await self.alone([path], work)

    async def _delegate(self, operation: str, step: Step | None, **arguments: Any) -> dict[str, Any]:
        """Have the child process do something with a step; what it did is noted in the step."""
        file = None if step is None else await self.thread_pools.write(self._write_step, step)
        try:
            done = await self.thread_pools.large(partial(self.worker.do, operation, step=file, **arguments))
        finally:
            if file is not None:
                self.thread_pools.write(_remove, file)
        report = done.pop("report", None)
        if step is not None:
            step.report = report
        return done

    def _write_step(self, step: Step) -> str:
        """In a thread."""
        path = self.worker.new_path()
        with open(path, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(orjson.dumps({"function": step.function, "given": step.given}))
        return path

    async def _saving(self, path: str, saving: Awaitable[Answer]) -> Answer:
        since = self._seconds()
        answer = await saving
        self.saves.add(self._seconds() - since)
        if self._expiry is not None:
            self._expiry.watch()
        if answer.etag is not None and self.changes is not None:
            self.changes.saved(self.manager._get_os_path(path), answer.etag)
        return answer

    def is_busy(self, path: str) -> bool:
        """Something is just now being done to the path."""
        return path in self._locks

    async def put_spooled(self, path: str, spooled: str, if_match: str | None, size: int = 0) -> Answer:
        """The same of a large body that is in a file: in a child process where that can be.

        :param size: its bytes, to be counted.
        """
        self._upload("large", size)

        async def work() -> Answer:
            step = await self._step(path)
            if not await self.thread_pools.write(can_delegate, self.manager):
                body = await self.thread_pools.write(_contents_of, spooled)
                answer = await self.run(operations.put, path, body, if_match, step)
                self._stepped(path, step)
                return answer
            reply = await self._delegate("put", step, path=path, body=spooled, if_match=if_match)
            self._stepped(path, step)
            self.manager.emit(data={"action": "save", "path": clean(path)})
            return Answer(reply.pop("body").encode(), **_head_of(reply))

        return await self.alone([path], lambda: self._saving(path, work()))

    def begin_upload(self, path: str, length: str | None) -> Task | None:
        """Tell of an upload.

        :param length: its Content-Length, where it has one.
        """
        if self.progress is None:
            return None
        total = int(length) if length is not None and length.isdecimal() else None
        return self.progress.begin("upload", path, total, "bytes")

    def _upload(self, kind: str, size: int) -> None:
        self.uploads[kind] += 1
        self.uploaded += size

    async def commit(self, upload: RawUpload, path: str, if_match: str | None, size: int = 0) -> Answer:
        """Put a file that was uploaded as it is in its place.

        :param size: its bytes, to be counted.
        """
        self._upload("raw", size)
        return await self.alone([path], lambda: self._saving(path, self.run(operations.commit, upload, path, if_match)))

    async def move(self, path: str, new_path: str, body: bytes) -> Answer:
        """Rename."""

        async def work() -> Answer:
            answer = await self.run(operations.patch, path, body)
            self._forget(path)
            if self.outputs is not None:
                self.outputs.moved(clean(path), clean(new_path))
            return answer

        return await self.alone([path, new_path], work)

    async def delete(self, path: str) -> None:
        """Delete a file or directory."""

        async def work() -> None:
            await self.run(operations.delete, path)
            self._forget(path)

        await self.alone([path], work)

    def _forget(self, path: str) -> None:
        if self.changes is not None:
            self.changes.forget(self.manager._get_os_path(path))

    async def alone(self, paths: list[str], work: Callable[[], Awaitable[T]]) -> T:
        """Run ``work`` while nothing else changes any of the paths."""
        return await self._locks.alone(map(clean, paths), work)

    def stopService(self) -> Deferred[None]:
        """Drop unfinished uploads, write signatures; end the child process and the asyncio thread."""
        super().stopService()
        if self._expiry is not None:
            self._expiry.stop()
        if self.changes is not None:
            self.changes.stopService()
        if self._asyncio is not None:
            self._asyncio.stop()
        if self._commits is not None:
            self._commits.stop()
        return self.thread_pools.write(self._close)

    def _close(self) -> None:
        """In a thread."""
        if self._commits is not None:
            self._commits.close()
        self.worker.close()


@dataclass(frozen=True)
class FileAnswer:
    """As :class:`Answer`, its body in a file that is removed once it is sent."""

    os_path: str
    path: str
    last_modified: datetime | None
    etag: str | None
    created: bool


def _head_of(head: dict[str, Any]) -> dict[str, Any]:
    modified = head["last_modified"]
    return {**head, "last_modified": datetime.fromisoformat(modified) if modified else None}


def _contents_of(os_path: str) -> bytes:
    with open(os_path, "rb", buffering=0) as file:
        return file.read()


def _remove(os_path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(os_path)


PUBLIC = (
    "get",
    "save",
    "delete_file",
    "rename_file",
    "file_exists",
    "dir_exists",
    "is_hidden",
    "new",
    "copy",
    "update",
)


def is_asynchronous(manager: Any) -> bool:
    """The manager has coroutines of its own; those of the built-in classes never wait when called in a thread."""
    for name in PUBLIC:
        method = getattr(type(manager), name, None)
        if inspect.iscoroutinefunction(method) and not is_ours(method):
            return True
    return False


class AsyncioThread:
    """An asyncio loop in a thread of its own: what an asynchronous manager blocks there stops nobody else.

    The thread starts with the first coroutine.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, coroutine: Coroutine[Any, Any, T]) -> Deferred[T]:
        """The coroutine's result, in the reactor's thread."""
        if self._loop is None:
            try:
                self._loop = self._start()
            except RuntimeError as error:
                coroutine.close()
                return fail(NoThread(f"The server can not start a thread just now: {error}"))
        done: Deferred[T] = Deferred()
        asyncio.run_coroutine_threadsafe(self._finish(coroutine, done), self._loop)
        return done

    @staticmethod
    def _start() -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        try:
            Thread(target=loop.run_forever, name="contents-asyncio", daemon=True).start()
        except BaseException:
            loop.close()
            raise
        return loop

    async def _finish(self, coroutine: Coroutine[Any, Any, T], done: Deferred[T]) -> None:
        try:
            result = await coroutine
        except BaseException as error:  # noqa: BLE001 - it belongs to who waits
            self._reactor.callFromThread(done.errback, error)
        else:
            self._reactor.callFromThread(done.callback, result)

    def stop(self) -> None:
        """End the loop, after what runs in it just now; who stops does not wait for what may hang."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._loop = None
