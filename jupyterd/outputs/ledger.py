"""Executions and runs in the state file: written down as they go on, found again by the server's next daemon."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from jupyterd.outputs.executions import Execution
from jupyterd.outputs.runs.run import Order, Run, RunCell

if TYPE_CHECKING:
    from jupyterd.state.store import Execution as Row
    from jupyterd.state.store import StateStore
    from jupyterd.system.threads import InThread

KEPT = (
    "count", "started", "ended", "replied", "idle", "asked", "recorded", "superseded", "in_file",
)  # fmt: skip
"""Attributes of an execution that are written down as they are."""


DELAY = 0.5
"""Seconds in which what the kernel's log tells as well is written together: that an execution has begun or ended."""

Key = tuple[str, str]
"""Ids of a kernel and of an execution."""


class ExecutionLedger:
    """One daemon's.

    What the next daemon can not find elsewhere is written at once, the rest with it or within :data:`DELAY`.

    :param clock: the reactor's.
    :param in_thread: one thread, so that writes stay in order.
    """

    log = Logger()

    def __init__(self, store: Callable[[], StateStore], in_thread: InThread, clock: IReactorTime) -> None:
        self._store, self._in_thread, self._clock = store, in_thread, clock
        self._lock = Lock()
        self._changes: dict[Key, Row | None] = {}
        self._late: dict[Key, Execution] = {}
        self._is_called = self._closed = False
        self._timer: IDelayedCall | None = None

    def remember(self, kernel_id: str, execution: Execution, at_once: bool = True) -> None:
        """As it is now.

        :param at_once: the log does not tell it.
        """
        key = (kernel_id, execution.id)
        if at_once or self._closed:
            self._change(key, row_of(kernel_id, execution))
            return
        self._late[key] = execution
        if self._timer is None:
            self._timer = self._clock.callLater(DELAY, self._write_soon)

    def forget(self, kernel_id: str, msg_id: str) -> None:
        """A file holds its outputs, or nobody wants them."""
        self._late.pop((kernel_id, msg_id), None)
        self._change((kernel_id, msg_id), None)

    def leave_out(self, kernel_id: str) -> None:
        """The kernel is gone, and with it what is written of its executions: write no more of them."""
        self._late = {key: each for key, each in self._late.items() if key[0] != kernel_id}
        with self._lock:
            self._changes = {key: row for key, row in self._changes.items() if key[0] != kernel_id}

    def close(self) -> None:
        """The daemon ends: write what waits, and all else at once."""
        self._closed = True
        self._write_soon()

    def _change(self, key: Key, row: Row | None) -> None:
        with self._lock:
            self._changes[key] = row
        self._write_soon()

    def _write_soon(self) -> None:
        """In the thread; what changes until it gets there is written with it."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        rows = {key: row_of(key[0], each) for key, each in self._late.items()}
        self._late.clear()
        with self._lock:
            self._changes.update(rows)
            called, self._is_called = self._is_called, bool(self._changes)
        if self._changes and not called:
            self._in_thread(self._write).addErrback(self._not_written)

    def _write(self) -> None:
        with self._lock:
            changes, self._changes, self._is_called = self._changes, {}, False
        if changes:
            gone = [key for key, row in changes.items() if row is None]
            self._store().change_executions([row for row in changes.values() if row is not None], gone)

    async def recall(self, kernel_id: str) -> list[Execution]:
        """What a former daemon wrote down of a kernel, oldest first; nothing of what can not be read."""
        self._write_soon()
        found = []
        for row in await self._in_thread(lambda: self._store().executions(kernel_id)):
            try:
                found.append(execution_of(row))
            except (KeyError, TypeError, ValueError):
                self.log.warn("execution {id} can not be read from the state file", id=row.msg_id)
        return sorted(found, key=lambda execution: execution.asked)

    def _not_written(self, failure: Any) -> None:
        self._is_called = False  # there was no thread, maybe: the next change is written with these
        self.log.failure("an execution can not be written down", failure)


class RunLedger:
    """Runs of notebooks, of one daemon.

    :param exists: whether there is a state file; called in the thread.
    :param in_thread: one thread, so that writes stay in order.
    """

    log = Logger()

    def __init__(self, store: Callable[[], StateStore], exists: Callable[[], bool], in_thread: InThread) -> None:
        self._store, self._exists, self._in_thread = store, exists, in_thread

    def remember(self, run: Run) -> Deferred[None]:
        """As it is now; fires when that is written, and does not fail."""
        record = record_of(run)
        return self._in_thread(lambda: self._store().put_run(run.id, record)).addErrback(self._not_written)

    def forget(self, run: Run) -> None:
        """Nobody wants to know of it."""
        self._in_thread(lambda: self._store().remove_run(run.id)).addErrback(self._not_written)

    async def recall(self) -> list[Run]:
        """What a former daemon wrote down, oldest first; nothing of what can not be read."""
        found = []
        for record in await self._in_thread(lambda: self._store().runs() if self._exists() else []):
            try:
                found.append(run_of(record))
            except (KeyError, TypeError, ValueError):
                self.log.warn("a run can not be read from the state file")
        return found

    def _not_written(self, failure: Any) -> None:
        self.log.failure("a run can not be written down", failure)


def record_of(run: Run) -> dict[str, Any]:
    """A run as the state file has it; the code of its cells as long as they may have to be run."""
    cells = [[each.index, each.cell_id, each.state, each.msg_id, each.execution_count] for each in run.cells]
    code = None if run.over else [[each.source, each.may_raise] for each in run.cells]
    return {**vars(run), "order": vars(run.order), "cells": cells, "code": code}


def run_of(record: dict[str, Any]) -> Run:
    """The same back."""
    fields = dict(record)
    order = dict(fields["order"])
    order["cells"] = None if order["cells"] is None else tuple(order["cells"])
    code = fields.pop("code", None) or [["", False]] * len(fields["cells"])
    cells = [
        RunCell(index, cell_id, source, may_raise, state, msg_id, count)
        for (index, cell_id, state, msg_id, count), (source, may_raise) in zip(fields["cells"], code, strict=True)
    ]
    return Run(**{**fields, "order": Order(**order), "cells": cells})


def row_of(kernel_id: str, execution: Execution) -> Row:
    """An execution as the state file has it."""
    from jupyterd.state.store import Execution as Row

    record: dict[str, Any] = {name: getattr(execution, name) for name in KEPT}
    record["clients"] = sorted(execution.clients)
    record["header"] = execution.header.decode("utf-8", "replace")
    record["code_hash"], record["visible"] = execution.code_hash, execution.visible
    return Row(kernel_id, execution.id, execution.first, execution.path, execution.cell_id, execution.state, record)


def execution_of(row: Row) -> Execution:
    """The same back."""
    record = row.record or {}
    execution = Execution(row.msg_id, row.cell_id, row.path, row.position, record["header"].encode(), b"")
    execution.know(record["code_hash"], record["visible"])
    execution.state = row.state
    execution.clients = set(record["clients"])
    for name in KEPT:
        setattr(execution, name, record[name])
    return execution
