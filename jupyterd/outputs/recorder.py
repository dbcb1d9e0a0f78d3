"""Recorder of all kernels' outputs: which are not in their notebooks yet, and when they are written there.

They are written when the pages that show them are gone for longer than their grace, when another page opens the
notebook, when the kernel ends and when the daemon stops. While such a page is there it saves them itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from jupyterd.contents.notebook_steps import Step
from jupyterd.errors import NotFound
from jupyterd.outputs import merge_steps as steps
from jupyterd.outputs.executions import Execution, clean
from jupyterd.outputs.kernel_record import KernelRecord
from jupyterd.outputs.merge import Recorded, Report, Shown
from jupyterd.outputs.said.messages_to_outputs import Said
from jupyterd.outputs.written_cells import WrittenCells, renamed_path
from jupyterd.system.timestamps import isoformat

if TYPE_CHECKING:
    from jupyterd.kernels.channels.kernel_channels import KernelChannels
    from jupyterd.outputs.ledger import ExecutionLedger
    from jupyterd.outputs.settings import OutputRecorder
    from jupyterd.system.threads import InThread

OPENING = 30.0
"""Seconds that a page which has just read a notebook has to ask which of its cells run."""

NOTEBOOK = ".ipynb"

SETTLING = 0.5
"""Seconds in which changes are taken together."""

UNKNOWN = 10.0
"""Seconds after which it is asked again which notebooks run on a kernel, where none was known: sessions come later."""

SLOWEST_RETRY = 3600.0
"""Seconds between the last attempts to write a file."""

SCHEMA = "https://events.jupyter.org/jupyterd/outputs/v1"

Change = Callable[[str, Step], Awaitable[None]]
Pending = tuple[KernelRecord, Execution]


class Recorder(Service):
    """All kernels' records; a :class:`jupyterd.contents.notebook_steps.CellOutputs`.

    :param notebooks: the paths of the notebooks that run on a kernel, by its id.
    :param change: lets a step change a notebook on disk.
    :param emit: the event bus.
    :param ledger: writes down what the next daemon is to find again; nothing where it is None.
    :param kernels_stay: whether kernels go on when the daemon stops: pages that are there come back to them.
    :ivar followers: who else is told that a file or directory has another name.
    """

    log = Logger()

    def __init__(
        self,
        settings: OutputRecorder,
        clock: IReactorTime,
        in_thread: InThread,
        *,
        notebooks: Callable[[str], Awaitable[list[str]]],
        change: Change,
        emit: Callable[[str, dict[str, Any]], None],
        ledger: ExecutionLedger | None = None,
        kernels_stay: Callable[[], bool] = lambda: False,
    ) -> None:
        self._ledger, self._kernels_stay = ledger, kernels_stay
        self._settings, self._clock, self._in_thread = settings, clock, in_thread
        self._notebooks, self._change, self._emit = notebooks, change, emit
        self._records: dict[str, KernelRecord] = {}
        self._gone: list[KernelRecord] = []
        self._timer: IDelayedCall | None = None
        self._soon: IDelayedCall | None = None
        self._stopped = False
        self._tries: dict[str, int] = {}
        self._not_before: dict[str, float] = {}
        self.written = WrittenCells(clock.seconds)
        self.followers: list[Callable[[str, str], None]] = []

    # -- for kernels

    def of(self, channels: KernelChannels) -> KernelRecord:
        """The record of a new kernel."""
        record = KernelRecord(channels, self, self._settings, self._in_thread, self._clock.seconds, self._ledger)
        self._records[record.kernel_id] = record
        return record

    async def paths_of(self, kernel_id: str) -> list[str]:
        """See :class:`jupyterd.outputs.kernel_record.Overseer`."""
        return [clean(path) for path in await self._notebooks(kernel_id)]

    def asked(self, record: KernelRecord, execution: Execution) -> None:
        """See :class:`jupyterd.outputs.kernel_record.Overseer`."""
        if execution.cell_id is None:
            return
        paths = _paths_of(record, execution)
        for path in paths:
            self.written.forget(path, execution.cell_id)
        for other in self._all():
            for old in list(other.executions.values()):
                same = old.cell_id == execution.cell_id and old is not execution
                if same and (other is record or paths & _paths_of(other, old)):
                    other.supersede(old)

    def changed(self, record: KernelRecord) -> None:
        """See :class:`jupyterd.outputs.kernel_record.Overseer`."""
        self._schedule()

    def closing(self, record: KernelRecord) -> Deferred[None]:
        """See :class:`jupyterd.outputs.kernel_record.Overseer`."""
        if self._records.get(record.kernel_id) is record:
            del self._records[record.kernel_id]
        if not record.executions:
            return Deferred.fromCoroutine(record.finish())
        self._gone.append(record)
        return Deferred.fromCoroutine(self._close(record))

    async def _close(self, record: KernelRecord) -> None:
        try:
            await record.refresh_paths()
        finally:
            await record.finish()
            self._schedule()

    # -- what is where

    def _all(self) -> list[KernelRecord]:
        return [*self._gone, *self._records.values()]

    def _of_path(self, path: str) -> list[Pending]:
        """Executions that may be of a notebook, in the order in which they were asked for."""
        found = [(record, each) for record in self._all() for each in record.of_path(path)]
        return sorted(found, key=lambda pending: pending[1].asked)

    async def _refresh(self) -> None:
        for record in self._all():
            if record.executions and not record.gone:
                await record.refresh_paths()

    # -- when

    def _schedule(self) -> None:
        """Something has changed: see soon what is due when."""
        if self._soon is None and not self._stopped:
            self._soon = self._clock.callLater(SETTLING, self._reckon)

    def _reckon(self) -> None:
        """Look again when the next is due."""
        self._soon = None
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        self._gone = [record for record in self._gone if record.executions]
        times = [
            when for record in self._all() for each in record.executions.values() for when in self._times(record, each)
        ]
        if times and self._settings.enabled:
            self._timer = self._clock.callLater(max(0.0, min(times) - self._clock.seconds()), self._look)

    def _times(self, record: KernelRecord, execution: Execution) -> Iterable[float]:
        """When something is to be done about an execution."""
        if execution.over and execution.ended is not None and not record.is_attended(execution):
            yield execution.ended + self._settings.unplaced_timeout
        due = record.due(execution)
        if due is not None and not record.gone and not _paths_of(record, execution):
            yield max(due, self._clock.seconds() + UNKNOWN)
        for path in self._paths(record, execution):
            if due is not None and path not in execution.waiting:
                yield max(due, self._not_before.get(path, 0.0))

    def _paths(self, record: KernelRecord, execution: Execution) -> list[str]:
        paths = _paths_of(record, execution)
        return [path for path in paths if path.endswith(NOTEBOOK)] if execution.visible else []

    def _look(self) -> None:
        self._timer = None
        Deferred.fromCoroutine(self._write_due()).addErrback(lambda failure: self.log.failure("outputs", failure))

    async def _write_due(self) -> None:
        now = self._clock.seconds()
        await self._refresh()
        due: dict[str, None] = {}
        for record in self._all():
            for execution in list(record.executions.values()):
                if execution.ended is None or record.is_attended(execution):
                    continue
                if now >= execution.ended + self._settings.unplaced_timeout:
                    self.log.warn("outputs of {id} found no place and are forgotten", id=execution.id)
                    record.forget(execution)
                    continue
                when = record.due(execution)
                if when is not None and now >= when:
                    due.update(
                        (path, None)
                        for path in self._paths(record, execution)
                        if path not in execution.waiting and now >= self._not_before.get(path, 0.0)
                    )
        for path in due:
            await self.write(path, running=False)
        self._schedule()

    def is_pending(self, msg_id: str) -> bool:
        """No file is known to hold the outputs of this execution."""
        return any(msg_id in record.executions for record in self._all())

    def _may_write(self, path: str) -> bool:
        """In other files (scripts that are opened as notebooks) outputs have no place."""
        return self._settings.enabled and path.endswith(NOTEBOOK)

    # -- into the file

    async def write(self, path: str, whoever_is_there: bool = False, running: bool = True) -> None:
        """Write into a notebook what its executions have said and nobody who is there shows. Never fails.

        :param whoever_is_there: also what pages show that are there.
        :param running: also what cells have said so far that still run.
        """
        pending = [
            (record, each)
            for record, each in self._of_path(path)
            if each.recorded and (each.over or (running and each.started is not None))
            if whoever_is_there or not (record.is_attended(each) or record.may_be_taken_over(each))
        ]
        if not pending or not self._may_write(path):
            return
        over = {each.id for _, each in pending if each.over}
        step = Step(steps.WRITE, {"recorded": [vars(each) for each in await self._recorded(path, pending)]})
        step.size = sum(record.size(each) for record, each in pending)
        try:
            await self._change(path, step)
        except NotFound:
            self._note_waiting(path, {each.id: "the notebook is gone" for _, each in pending}, pending)
        except Exception as error:  # noqa: BLE001 - whatever it is, the outputs are kept and it is tried again
            self._not_written(path, error)
        else:
            self._tries.pop(path, None)
            self._not_before.pop(path, None)
            self._settle(path, Report.of(step.report or Report().as_json()), pending, over)

    async def _recorded(self, path: str, pending: list[Pending]) -> list[Recorded]:
        found = []
        over = {each.id for _, each in pending if each.over}
        said: dict[str, Any] = {}
        for record in {id(record): record for record, _ in pending}.values():
            said.update(await record.outputs([each for owner, each in pending if owner is record]))
        for _, each in pending:
            if each.id in said:
                outputs, count, *_ = said[each.id]
                is_over = each.id in over
                shown = (each.count if each.count is not None else count) if is_over else None
                known = self.written.known(path, each.cell_id)
                found.append(Recorded(each.id, each.cell_id, each.code_hash, shown, outputs, is_over, known))
        return found

    def _not_written(self, path: str, error: Exception) -> None:
        tries = self._tries[path] = self._tries.get(path, 0) + 1
        pause = min(self._settings.retry_interval * 2 ** (tries - 1), SLOWEST_RETRY)
        self._not_before[path] = self._clock.seconds() + pause
        text = "outputs could not be written into {path}, and are kept: {error}. Tried again in {pause:.0f} s"
        self.log.error(text, path=path, error=str(error), pause=pause)
        self._emit(SCHEMA, {"action": "failed", "path": path, "message": str(error), "cells": []})

    def _settle(self, path: str, report: Report, pending: list[Pending], over: set[str]) -> None:
        """Outputs are in the file, or have no place there."""
        self.written.wrote(path, report)
        done = {*report.held, *report.placed}
        for record, each in pending:
            if each.id not in done:
                continue
            each.waiting.clear()
            if each.id in over:
                record.forget(each)
            else:
                each.in_file = True
        cells = [each.cell_id for _, each in pending if each.id in report.placed]
        if cells:
            self.log.info("outputs of {count} cells are written into {path}", count=len(cells), path=path)
            self._emit(SCHEMA, {"action": "written", "path": path, "cells": cells})
        self._note_waiting(path, report.waiting, pending)

    def _note_waiting(self, path: str, waiting: dict[str, str], pending: list[Pending]) -> None:
        for _, each in pending:
            if each.id in waiting and each.over:
                each.waiting[path] = waiting[each.id]
        new = [each for _, each in pending if path in each.waiting and each.told.get(path) != each.waiting[path]]
        for each in new:
            each.told[path] = each.waiting[path]
            self.log.warn(
                "outputs of cell {cell} have no place in {path}: {why}",
                cell=each.cell_id,
                path=path,
                why=each.waiting[path],
            )
        if new:
            cells = [each.cell_id for each in new]
            self._emit(SCHEMA, {"action": "waiting", "path": path, "message": new[0].waiting[path], "cells": cells})

    # -- for contents

    def mark(self, path: str) -> int | None:
        """See :class:`jupyterd.contents.notebook_steps.CellOutputs`."""
        return self.written.mark(path)

    async def opening(self, path: str) -> None:
        """See :class:`jupyterd.contents.notebook_steps.CellOutputs`."""
        if not any(record.executions for record in self._all()):
            return
        await self._refresh()
        pending = self._of_path(path)
        if not pending:
            return
        for record, each in pending:
            record.opened = self._clock.seconds() + OPENING
            each.waiting.pop(path, None)
        await self.write(path)
        self._schedule()

    async def saving(self, path: str) -> Step | None:
        """See :class:`jupyterd.contents.notebook_steps.CellOutputs`."""
        written = self.written.of(path)
        if not written and not any(record.executions for record in self._all()):
            return None
        await self._refresh()
        pending = self._of_path(path)
        if not pending and not written:
            return None
        there = {each.id for record, each in pending if record.is_shown(each)}
        away = [
            (record, each)
            for record, each in pending
            if each.id not in there and each.recorded and each.started is not None and self._may_write(path)
        ]
        shown = [
            Shown(each.id, each.cell_id, each.code_hash, each.count, not each.in_file)
            for _, each in pending
            if each.id in there and each.over
        ]
        recorded = await self._recorded(path, away) if away else []
        return Step(
            steps.SAVE,
            {
                "shown": [vars(each) for each in shown],
                "recorded": [vars(each) for each in recorded],
                "written": {cell_id: vars(each) for cell_id, each in written.items()},
                "over": [*(each.id for each in recorded if each.over), *(each.id for each in shown)],
            },
        )

    def saved(self, path: str, step: Step) -> None:
        """See :class:`jupyterd.contents.notebook_steps.CellOutputs`."""
        if step.report is not None:
            pending = self._of_path(path)
            for _, each in pending:
                each.waiting.pop(path, None)
            self._settle(path, Report.of(step.report), pending, {*step.given["over"]})
            self._schedule()

    def moved(self, path: str, new_path: str) -> None:
        """See :class:`jupyterd.contents.notebook_steps.CellOutputs`."""
        self.written.moved(path, new_path)
        for follow in self.followers:
            follow(path, new_path)
        for record in self._all():
            record.paths = [renamed_path(each, path, new_path) or each for each in record.paths]
            for execution in record.executions.values():
                execution.waiting.clear()
                if execution.path is not None:
                    execution.path = renamed_path(execution.path, path, new_path) or execution.path
        self._schedule()

    # -- for pages

    async def executions(self, kernel_id: str, path: str | None, client: str | None) -> dict[str, Any]:
        """What runs, waits or has ended and is in no file yet; see the documentation's page on outputs.

        :param path: of this notebook alone.
        :param client: the session of a page that shows them from now on.
        """
        record = self._records[kernel_id]
        await record.refresh_paths()
        wanted = [each for each in record.executions.values() if each.visible and each.cell_id is not None]
        if path is not None:
            of_path = record.of_path(clean(path))
            wanted = [each for each in wanted if each in of_path]
        fence = None
        if client:
            record.follow(client)
            for execution in wanted:
                record.attend(client, execution)
            fence = record.fence(client)
        said, widgets = await record.shown(wanted)
        models = [record.model(each, said.get(each.id, Said([]))) for each in wanted]
        for model, execution in zip(models, wanted, strict=True):
            model["yours"] = client is not None and execution.saver == client
            for name in ("started", "ended"):
                model[name] = None if model[name] is None else isoformat(model[name])
        self._schedule()
        return {"kernel_id": kernel_id, "fence": fence, "executions": models, "widgets": widgets if client else []}

    # -- the end

    def stopService(self) -> Deferred[None]:
        """Write all that is in no file: nobody will, but for pages that come back to a kernel that goes on."""
        super().stopService()
        self._stopped = True
        for timer in (self._timer, self._soon):
            if timer is not None and timer.active():
                timer.cancel()
        if self._ledger is not None:
            self._ledger.close()
        return Deferred.fromCoroutine(self._write_all())

    async def _write_all(self) -> None:
        await self._refresh()
        paths: dict[str, None] = {}
        for record in self._all():
            for execution in record.executions.values():
                paths.update((path, None) for path in self._paths(record, execution))
        for path in paths:
            await self.write(path, whoever_is_there=not self._kernels_stay())


def _paths_of(record: KernelRecord, execution: Execution) -> set[str]:
    return {execution.path} if execution.path is not None else set(record.paths)
