"""Reader of a kernel's log: what its executions have said, computed when somebody asks and no oftener."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.defer import DeferredLock

from jupyterd.kernels.log.chunk import EVERYBODY
from jupyterd.kernels.messages.websocket_codec import Parts
from jupyterd.outputs.said.messages_to_outputs import Replay

if TYPE_CHECKING:
    from jupyterd.kernels.log.message_log import MessageLog
    from jupyterd.outputs.executions import Execution
    from jupyterd.system.threads import InThread

T = TypeVar("T")

BATCH = 256 * 1024
"""Bytes of messages that are replayed in one go."""

INLINE = 16 * 1024
"""So many are not worth a thread."""


class LogReader:
    """One kernel's.

    :param executions: those whose outputs are wanted, by message id; its owner changes it.
    :param limit: bytes, roughly, that the outputs of one execution may have.
    """

    def __init__(self, log: MessageLog, executions: dict[str, Execution], in_thread: InThread, limit: int) -> None:
        self._log, self._executions, self._in_thread = log, executions, in_thread
        self._replay = Replay(limit)
        self._had: dict[str, Any] | None = None
        self._position = 0
        self._lock = DeferredLock()
        self._forgotten: list[str] = []
        self._ended = False

    def begin(self, had: dict[str, Any]) -> None:
        """Something is kept in the log from now on.

        :param had: what each output widget has now, by comm id.
        """
        self._had = had

    async def read(self, now: Callable[[Replay], T]) -> T:
        """What ``now`` makes of all that was said until now; nobody reads on meanwhile."""
        upto = self._log.next
        await self._lock.acquire()
        try:
            if not self._ended:
                await self._read(upto)
            return now(self._replay)
        finally:
            for msg_id in self._forgotten:
                self._replay.forget(msg_id)
            self._forgotten.clear()
            self._lock.release()

    async def _read(self, upto: int) -> None:
        """Replay the log up to the message of this number."""
        begin = min([each.first for each in self._executions.values()], default=upto)
        self._begin()
        position = max(self._position, begin)
        batch: list[Parts] = []
        size = 0
        async for chunk in self._log.since(position, None):
            if chunk.first >= upto:
                break
            self._position = chunk.end
            if chunk.channel == b"iopub" and chunk.to == EVERYBODY:
                batch += chunk.messages
                size += chunk.size
            if size > BATCH:
                await self._in_thread(self._replay.feed, batch)
                batch, size = [], 0
        if size > INLINE:
            await self._in_thread(self._replay.feed, batch)
        else:
            self._replay.feed(batch)
        self._position = max(self._position, upto)

    def _begin(self) -> None:
        had, self._had = self._had, None
        if had is not None:
            self._replay.captured.begin(had)
        for execution in self._executions.values():
            if not execution.superseded:
                self._replay.begin(execution.id)

    def size(self, msg_id: str) -> int:
        """Bytes, roughly, of what was read of an execution."""
        return self._replay[msg_id].size if msg_id in self._replay else 0

    def forget(self, msg_id: str) -> None:
        """The outputs of an execution are not wanted any more."""
        if self._lock.locked:  # a thread may be at it
            self._forgotten.append(msg_id)
        else:
            self._replay.forget(msg_id)

    def end(self) -> None:
        """The log is gone: what was read is all there is."""
        self._ended = True
