"""Code run for clients that keep no websocket: handed in once, its outputs read later, from the kernel's log.

An execution has a cursor of its own: the log keeps, in memory or on disk, what was said from the moment it was
handed in. Once it is done and small, its messages are copied and the log is free to go on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import orjson
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from jupyterd.errors import Conflict, NotFound
from jupyterd.kernels.chunk import Chunk
from jupyterd.kernels.wire import Parts, read_parent

if TYPE_CHECKING:
    from jupyterd.kernels.channels import KernelChannels

KEPT = 256
"""How many executions one kernel remembers; those that are done longest are forgotten first."""

COPIED = 256 * 1024
"""The messages of an execution that is done are copied out of the log up to so many bytes."""

OPTIONS = {"silent": False, "store_history": True, "user_expressions": {}, "stop_on_error": True}
"""What an ``execute_request`` may say beside its code, and what it says where the client does not."""


class NoSuchExecution(NotFound):
    """Nothing of that id was handed in, or it is forgotten."""


class KeyReused(Conflict):
    """The same idempotency key with another request."""


Entry = dict[str, Any]


def entry(seq: int, channel: bytes, parts: Parts) -> Entry:
    """One message of the log as REST clients get it; what is no JSON is null, of buffers there are the sizes."""
    header, parent, metadata, content = (_json(part) for part in parts[:4])
    return {
        "seq": seq,
        "channel": channel.decode(),
        "header": header,
        "parent_header": parent,
        "metadata": metadata,
        "content": content,
        "buffers": [len(part) for part in parts[4:]],
    }


def _json(part: Any) -> Any:
    try:
        return orjson.loads(part)
    except orjson.JSONDecodeError:
        return None


def entries(chunk: Chunk, since: int) -> list[Entry]:
    """The messages of a chunk from ``since`` on."""
    return [
        entry(chunk.first + number, chunk.channel, parts)
        for number, parts in enumerate(chunk.messages)
        if chunk.first + number >= since
    ]


class Execution:
    """One request's way: ``queued``, ``running``, then ``done``, or ``lost`` with its kernel.

    :ivar id: also the id of its ``execute_request``.
    :ivar reply: the content of the ``execute_reply``, once it is there.
    """

    def __init__(self, channels: KernelChannels, request: dict[str, Any]) -> None:
        self.id = uuid4().hex
        self.status = "queued"
        self.reply: Any = None
        self.request = request
        self._channels = channels
        self._idle = False
        self._copy: list[Entry] | None = None
        self._changes: list[Deferred[None]] = []
        self.cursor = channels.messages.open()
        self._start = self.cursor.position

    @property
    def over(self) -> bool:
        """Nothing more will be said for it."""
        return self.status in ("done", "lost")

    def begin(self, metadata: dict[str, Any]) -> None:
        """Hand it to the kernel."""
        header = {
            "msg_id": self.id,
            "msg_type": "execute_request",
            "session": self.id,
            "username": "",
            "version": "5.4",
        }
        header["date"] = self._channels.now()
        content = {**OPTIONS, **self.request, "allow_stdin": False}
        self._channels.watchers[self.id] = self.heard
        self._channels.send(
            self.cursor, "shell", [orjson.dumps(header), b"{}", orjson.dumps(metadata), orjson.dumps(content)]
        )

    def heard(self, msg_type: str, parts: Parts | None) -> None:
        """The kernel said something in answer to it; None when the kernel is gone."""
        if parts is None:
            self._ended("lost")
        elif msg_type == "execute_reply":
            self.reply = _json(parts[3])
        elif msg_type == "status":
            state = (_json(parts[3]) or {}).get("execution_state")
            self._idle = self._idle or state == "idle"
            self.status = "running" if state == "busy" else self.status
        if self.reply is not None and self._idle:
            self._ended("done")
        self._changed()

    def _ended(self, status: str) -> None:
        if not self.over:
            self.status = status
            self._channels.watchers.pop(self.id, None)
            Deferred.fromCoroutine(self._settle()).addErrback(
                lambda failure: Executions.log.failure("an execution's messages can not be copied", failure)
            )

    async def _settle(self) -> None:
        copy: list[Entry] = []
        size = 0
        async for chunk in self._said(self._start):
            size += chunk.size
            if size > COPIED:
                return
            copy += [each for each in entries(chunk, self._start) if self._is_mine(each)]
        self._copy = copy
        self._channels.messages.forget(self.cursor)

    def _is_mine(self, message: Entry) -> bool:
        return bool((message["parent_header"] or {}).get("msg_id") == self.id)

    async def _said(self, since: int) -> AsyncIterator[Chunk]:
        """What the log has for it, from ``since`` on, in chunks."""
        async for chunk in self._channels.messages.since(max(since, self._start), self.cursor.number):
            mine = [number for number, parts in enumerate(chunk.messages) if read_parent(parts[1]).msg_id == self.id]
            for number in mine:
                yield Chunk(chunk.channel, [chunk.messages[number]], chunk.time, chunk.to, chunk.first + number)

    async def messages(self, since: int, limit: int) -> list[Entry]:
        """Its messages with a sequence number of ``since`` or more, at most ``limit``."""
        if self._copy is not None:
            return [each for each in self._copy if each["seq"] >= since][:limit]
        found: list[Entry] = []
        async for chunk in self._said(since):
            found += entries(chunk, since)
            if len(found) >= limit:
                break
        return found[:limit]

    def model(self) -> dict[str, Any]:
        """As REST clients get it."""
        return {"id": self.id, "kernel_id": self._channels.kernel_id, "status": self.status, "reply": self.reply}

    async def change(self) -> None:
        """Wait until more is said."""
        if not self.over:
            change: Deferred[None] = Deferred()
            self._changes.append(change)
            await change

    def _changed(self) -> None:
        changes, self._changes = self._changes, []
        for change in changes:
            change.callback(None)

    def forget(self) -> None:
        """Give up what the log keeps for it."""
        self._channels.watchers.pop(self.id, None)
        self._channels.messages.forget(self.cursor)
        self.status = "lost" if not self.over else self.status
        self._changed()


class Executions:
    """The executions of one kernel."""

    log = Logger()

    def __init__(self, channels: KernelChannels) -> None:
        self._channels = channels
        self._by_id: dict[str, Execution] = {}
        self._by_key: dict[str, Execution] = {}

    def __getitem__(self, execution_id: str) -> Execution:
        """:raises NoSuchExecution: it is not known."""
        if execution_id not in self._by_id:
            raise NoSuchExecution(f"Execution does not exist: {execution_id}")
        return self._by_id[execution_id]

    def all(self) -> list[Execution]:
        """Oldest first."""
        return list(self._by_id.values())

    def add(self, request: dict[str, Any], metadata: dict[str, Any], key: str | None = None) -> tuple[Execution, bool]:
        """Hand in code.

        :param request: ``code`` and any of :data:`OPTIONS`.
        :param key: the same key with the same request is the same execution, however often it is handed in.
        :returns: the execution, and whether it is a new one.
        :raises KeyReused: the key was used for another request.
        """
        known = self._by_key.get(key) if key else None
        if known is not None:
            if known.request != request:
                raise KeyReused("This idempotency key was used for another request")
            return known, False
        execution = Execution(self._channels, request)
        self._by_id[execution.id] = execution
        if key:
            self._by_key[key] = execution
        execution.begin(metadata)
        self._limit()
        return execution, True

    def forget(self, execution: Execution) -> None:
        """Its outputs are not needed any more; what runs goes on."""
        self._by_id.pop(execution.id, None)
        self._by_key = {key: each for key, each in self._by_key.items() if each is not execution}
        execution.forget()

    def _limit(self) -> None:
        over = [each for each in self._by_id.values() if each.over]
        for execution in over[: max(0, len(self._by_id) - KEPT)]:
            self.forget(execution)
