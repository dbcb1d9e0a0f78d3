"""Executions over REST, without a websocket: code handed in once, its outputs read later, from the kernel's log.

An execution has a cursor of its own: the log keeps, in memory or on disk, what was said from the moment it was
handed in. Once it is done and small, its messages are copied and the log is free to go on. Each is written down
(:mod:`jupyterd.kernels.recovery.execution_files`), and gone on with by the next daemon where the kernel is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

import orjson
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from jupyterd.errors import Conflict, Forbidden, Invalid, NotFound, TooManyRequests
from jupyterd.kernels.log.chunk import Chunk
from jupyterd.kernels.log.rest_entries import Entry, decoded, entries
from jupyterd.kernels.log.settling import Place
from jupyterd.kernels.messages.server_session import PROTOCOL_VERSION
from jupyterd.kernels.messages.websocket_codec import Parts, read_parent, read_type

if TYPE_CHECKING:
    from jupyterd.kernels.log.cursor import Cursor
    from jupyterd.kernels.log.message_log import MessageLog
    from jupyterd.kernels.recovery.execution_files import ExecutionFiles, Record

KEPT = 256
"""How many executions one kernel remembers; those that are done longest are forgotten first."""

COPIED = 256 * 1024
"""The messages of an execution that is done are copied out of the log up to so many bytes."""

WRITTEN = {"id", "key", "asked", "request", "status", "reply", "cursor", "start", "records", "copy"}
"""What is written down of each."""

OPTIONS = {
    "silent": False,
    "store_history": True,
    "user_expressions": {},
    "stop_on_error": True,
    "allow_stdin": False,
}
"""What an ``execute_request`` may say beside its code, and what it says where the client does not."""


class Channels(Protocol):
    """What executions use of their kernel's channels; see
    :class:`jupyterd.kernels.channels.kernel_channels.KernelChannels`."""

    kernel_id: str
    messages: MessageLog

    @property
    def watchers(self) -> dict[str, Callable[[str, Parts | None], None]]:
        """Who is told of each message in answer to a request, by its id."""

    def send(self, cursor: Cursor, channel: str, parts: Parts) -> bool:
        """Hand a message to the kernel; whether it is taken."""

    def now(self) -> str:
        """The time as headers have it."""


class NoSuchExecution(NotFound):
    """Nothing of that id was handed in, or it is forgotten."""


class KeyReused(Conflict):
    """The same idempotency key with another request."""


class Execution:
    """One request's way: ``queued``, ``running``, then ``done``, or ``lost`` with its kernel.

    :param over: called when nothing more will be said for it.
    :param settled: called when its messages are copied, or too many to be.
    :ivar id: also the id of its ``execute_request``.
    :ivar asked: when it was handed in.
    :ivar reply: the content of the ``execute_reply``, once it is there.
    :ivar input: what the code waits for: the content of its ``input_request``, until it is answered.
    """

    def __init__(
        self,
        channels: Channels,
        request: dict[str, Any],
        cursor: Cursor,
        *,
        over: Callable[[], None],
        settled: Callable[[], None],
        execution_id: str | None = None,
    ) -> None:
        self.id = execution_id or uuid4().hex
        self.asked = channels.now()
        self.status = "queued"
        self.reply: Any = None
        self.input: Any = None
        self.request = request
        self._asked_by = b"{}"
        self._channels = channels
        self._over, self._settled = over, settled
        self._idle = False
        self._copy: list[Entry] | None = None
        self._changes: list[Deferred[None]] = []
        self.cursor = cursor
        self._start = cursor.position

    @property
    def over(self) -> bool:
        """Nothing more will be said for it."""
        return self.status in ("done", "lost")

    def begin(self, metadata: dict[str, Any]) -> None:
        """Hand it to the kernel.

        :raises Forbidden: clients may not send such a request.
        :raises Invalid: kernels can not be sent such values.
        """
        content = {**OPTIONS, **self.request}
        self._channels.watchers[self.id] = self.heard
        if not self._send("shell", "execute_request", self.id, content, _packed(metadata)):
            raise Forbidden("execute_request is not among the allowed message types")

    def answer(self, value: str) -> None:
        """What the code asked for.

        :raises Conflict: it asks for nothing.
        :raises Forbidden: clients may not answer.
        """
        if self.input is None:
            raise Conflict("This execution does not wait for input")
        if not self._send("stdin", "input_reply", uuid4().hex, {"value": value}, parent=self._asked_by):
            raise Forbidden("input_reply is not among the allowed message types")
        self.input = None

    def _send(
        self, channel: str, kind: str, msg_id: str, content: Any, metadata: bytes = b"{}", parent: bytes = b"{}"
    ) -> bool:
        header = {
            "msg_id": msg_id,
            "msg_type": kind,
            "session": self.id,
            "username": "",
            "date": self._channels.now(),
            "version": PROTOCOL_VERSION,
        }
        return self._channels.send(self.cursor, channel, [_packed(header), parent, metadata, _packed(content)])

    def heard(self, msg_type: str, parts: Parts | None) -> None:
        """The kernel said something in answer to it; None when the kernel is gone."""
        if parts is None:
            self._ended("lost")
        elif msg_type == "execute_reply":
            self.reply = decoded(parts[3])
            self.input = None
        elif msg_type == "input_request":
            self.input, self._asked_by = decoded(parts[3]), bytes(parts[0])
        elif msg_type == "status":
            state = (decoded(parts[3]) or {}).get("execution_state")
            self._idle = self._idle or state == "idle"
            self.status = "running" if state == "busy" else self.status
        if self.reply is not None and self._idle:
            self._ended("done")
        self._changed()

    def _ended(self, status: str) -> None:
        if not self.over:
            self.status, self.input = status, None
            self._over()
            self._channels.watchers.pop(self.id, None)
            Deferred.fromCoroutine(self._settle()).addErrback(
                lambda failure: Executions.log.failure("an execution's messages can not be copied", failure)
            )

    async def _settle(self) -> None:
        self._copy = await self._copied()
        if self._copy is not None:
            self._channels.messages.forget(self.cursor)
        self._settled()

    async def _copied(self) -> list[Entry] | None:
        copy: list[Entry] = []
        size = 0
        async for chunk in self._said(self._start):
            size += chunk.size
            if size > COPIED:
                return None
            copy += [each for each in entries(chunk, self._start) if self._is_mine(each)]
        return copy

    # -- for the next daemon, and from the former one

    def record(self) -> Record:
        """All of it that is not in the kernel's log."""
        fields = {name: getattr(self, name) for name in ("id", "asked", "request", "status", "reply")}
        return {
            **fields,
            "cursor": self.cursor.number,
            "start": self._start,
            "records": self.cursor.records,
            "copy": self._copy,
        }

    def recall(self, record: Record) -> None:
        """What a former daemon knew of it; :meth:`catch_up` follows where it was not over."""
        self.asked = record["asked"]
        self.cursor.records = record["records"]
        if record["status"] in ("done", "lost"):
            self.status, self.reply, self._copy = record["status"], record["reply"], record["copy"]
            if self._copy is not None:
                self._channels.messages.forget(self.cursor)

    async def catch_up(self) -> None:
        """Hear again what the log of the former daemon has for it, then what follows."""
        async for chunk in self._said(self._start):
            for parts in chunk.messages:
                self.heard(read_type(parts[0]).msg_type, parts)
        if not self.over:
            self._channels.watchers[self.id] = self.heard

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
        return {
            "id": self.id,
            "kernel_id": self._channels.kernel_id,
            "status": self.status,
            "input": self.input,
            "reply": self.reply,
        }

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
    """The executions of one kernel.

    :param clock: the reactor's.
    :param grace: seconds for which the result of one that is over is kept.
    :param files: where they are written down for the next daemon; None where they end with this one.
    """

    log = Logger()

    def __init__(
        self, channels: Channels, clock: IReactorTime, grace: float, files: ExecutionFiles | None = None
    ) -> None:
        self._channels, self._clock, self._grace, self._files = channels, clock, grace, files
        self._by_id: dict[str, Execution] = {}
        self._by_key: dict[str, Execution] = {}
        self._expiries: dict[str, IDelayedCall] = {}

    def __getitem__(self, execution_id: str) -> Execution:
        """:raises NoSuchExecution: it is not known."""
        if execution_id not in self._by_id:
            raise NoSuchExecution(f"Execution does not exist: {execution_id}")
        return self._by_id[execution_id]

    def all(self) -> list[Execution]:
        """Oldest first."""
        return list(self._by_id.values())

    def add(
        self,
        request: dict[str, Any],
        metadata: dict[str, Any],
        key: str | None = None,
        *,
        records: bool = True,
        execution_id: str | None = None,
    ) -> tuple[Execution, bool]:
        """Hand in code.

        :param request: ``code`` and any of :data:`OPTIONS`.
        :param records: its outputs may be written into a notebook.
        :param execution_id: of the new one; None for any.
        :param key: the same key with the same request is the same execution, however often it is handed in.
        :returns: the execution, and whether it is a new one.
        :raises KeyReused: the key was used for another request.
        :raises TooManyRequests: as many as are remembered are not over.
        :raises Forbidden: clients may not send such a request.
        :raises Invalid: kernels can not be sent such values.
        """
        known = self._by_key.get(key) if key else None
        if known is not None:
            if known.request != request:
                raise KeyReused("This idempotency key was used for another request")
            return known, False
        self._make_room()
        execution = self._made(request, self._channels.messages.open(), key, execution_id)
        execution.cursor.records = records
        try:
            execution.begin(metadata)
        except (Forbidden, Invalid):
            execution.forget()
            raise
        self._know(execution, key)
        self._write(execution, key)
        return execution, True

    def _made(
        self, request: dict[str, Any], cursor: Cursor, key: str | None, execution_id: str | None = None
    ) -> Execution:
        def settled() -> None:
            if execution.id in self._by_id:
                self._write(execution, key)

        execution = Execution(
            self._channels,
            request,
            cursor,
            over=lambda: self._expire_later(execution),
            settled=settled,
            execution_id=execution_id,
        )
        return execution

    def _know(self, execution: Execution, key: str | None) -> None:
        self._by_id[execution.id] = execution
        if key:
            self._by_key[key] = execution

    def _write(self, execution: Execution, key: str | None) -> None:
        if self._files is not None:
            self._files.put(execution.id, lambda: {**execution.record(), "key": key})

    async def written(self) -> None:
        """Wait until the next daemon would know all that there are."""
        if self._files is not None:
            await self._files.settled()

    async def recall(self) -> list[Record]:
        """What a former daemon has written down of them."""
        return [] if self._files is None else await self._files.read()

    def restore(self, records: Iterable[Record]) -> None:
        """Know them again. The log of the former daemon is there, and nothing of it is let go of yet."""
        for record in records:
            if record.keys() >= WRITTEN:
                self._restore(record)
            else:
                self.log.warn("what is written down of an execution can not be read")

    def _restore(self, record: Record) -> None:
        messages = self._channels.messages
        position = min(max(record["start"], messages.oldest), messages.next)
        cursor = messages.reopen(record["cursor"], "", Place(position))
        execution = self._made(record["request"], cursor, record["key"], record["id"])
        execution.recall(record)
        self._know(execution, record["key"])
        if execution.over:
            self._expire_later(execution)

    async def catch_up(self) -> None:
        """Hear what the former daemon heard for those that were not over."""
        for execution in self.all():
            if not execution.over:
                await execution.catch_up()

    def forget(self, execution: Execution) -> None:
        """Its outputs are not needed any more; what runs goes on."""
        self._by_id.pop(execution.id, None)
        self._by_key = {key: each for key, each in self._by_key.items() if each is not execution}
        expiry = self._expiries.pop(execution.id, None)
        if expiry is not None and expiry.active():
            expiry.cancel()
        execution.forget()
        if self._files is not None:
            self._files.remove(execution.id)

    def close(self) -> None:
        """The kernel is gone for good."""
        for execution in self.all():
            execution.heard("", None)
        self.leave()

    def leave(self) -> None:
        """Nothing more is said here; what is written down stays."""
        if self._files is not None:
            self._files.close()
        for expiry in self._expiries.values():
            if expiry.active():
                expiry.cancel()
        self._expiries.clear()

    def _expire_later(self, execution: Execution) -> None:
        self._expiries[execution.id] = self._clock.callLater(self._grace, self.forget, execution)

    def _make_room(self) -> None:
        while len(self._by_id) >= KEPT:
            over = next((each for each in self._by_id.values() if each.over), None)
            if over is None:
                raise TooManyRequests(f"{KEPT} executions of this kernel are waiting or running")
            self.forget(over)


def _packed(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError as error:  # half of a character, a number of more than 64 bits, too many levels
        raise Invalid(f"Kernels can not be sent this: {error}") from None
