"""Notebooks run on the server: in order, on their sessions' kernels, one run of a notebook after the other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredLock, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from jupyterd.contents.notebook_steps import Step
from jupyterd.errors import Conflict, Invalid, JupyterdError, NotFound, TooManyRequests
from jupyterd.outputs import merge_steps as steps
from jupyterd.outputs.executions import clean
from jupyterd.outputs.runs.parameters import code_of, language_of
from jupyterd.outputs.runs.run import Order, Run, RunCell, choose
from jupyterd.outputs.written_cells import renamed_path

if TYPE_CHECKING:
    from jupyterd.kernels.channels.executions import Execution
    from jupyterd.kernels.channels.kernel_channels import KernelChannels
    from jupyterd.outputs.ledger import RunLedger

KEPT = 200
"""Runs that are remembered; those that ended longest ago are forgotten first."""

SCHEMA = "https://events.jupyter.org/jupyterd/notebook_run/v1"


class NoSuchRun(NotFound):
    """No run of that notebook has that id, or it is forgotten."""


class Notebooks(Protocol):
    """The contents, as far as runs need them."""

    async def read(self, path: str) -> dict[str, Any] | None:
        """A notebook's content; None where there is none."""

    async def change(self, path: str, step: Step) -> None:
        """See :meth:`jupyterd.contents.service.Contents.change`."""


class Kernels(Protocol):
    """Sessions and kernels, as far as runs need them."""

    async def session(self, path: str, kernel_name: str | None) -> tuple[str, str, bool]:
        """The session of a notebook: its id, its kernel's, and whether it is a new one."""

    def channels_of(self, kernel_id: str) -> KernelChannels:
        """The channels of a kernel."""

    async def interrupt(self, kernel_id: str) -> None:
        """Stop what a kernel runs."""

    async def end(self, session_id: str) -> None:
        """End a session and its kernel."""


class Runs(Service):
    """All runs.

    :param write: writes into a notebook what no page shows; see :meth:`jupyterd.outputs.recorder.Recorder.write`.
    :param is_pending: whether the outputs of an execution are in no file yet, by its id.
    :param emit: the event bus.
    :param ledger: writes down what the next daemon is to go on with; nothing where it is None.
    :param kernels_stay: whether kernels go on when the daemon stops.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        notebooks: Notebooks,
        kernels: Kernels,
        *,
        write: Callable[[str], Awaitable[None]],
        is_pending: Callable[[str], bool],
        emit: Callable[[str, dict[str, Any]], None],
        ledger: RunLedger | None = None,
        kernels_stay: Callable[[], bool] = lambda: False,
    ) -> None:
        self._kernels_stay, self._left = kernels_stay, False
        self._ledger, self._recalled, self._recalling = ledger, ledger is None, DeferredLock()
        self._clock, self._notebooks, self._kernels = clock, notebooks, kernels
        self._write, self._is_pending, self._emit = write, is_pending, emit
        self._runs: dict[str, Run] = {}
        self._turns: dict[str, DeferredLock] = {}

    # -- from one daemon to the next

    async def recall(self) -> None:
        """Know what the daemon before this one has run, and go on with what was not over, where its kernel has."""
        if self._recalled or self._ledger is None:
            return
        await self._recalling.acquire()
        try:
            if self._recalled:
                return
            for run in await self._ledger.recall():
                self._runs[run.id] = run
                if run.over:
                    continue
                if self._can_go_on(run):
                    self._start(run)
                else:
                    run.interrupt(self._clock.seconds())
                    self._tell(run)
            self._recalled = True
        finally:
            self._recalling.release()

    def _can_go_on(self, run: Run) -> bool:
        if run.kernel_id is None:  # none of its cells was run
            return True
        try:
            executions = self._kernels.channels_of(run.kernel_id).executions
            if run.running is not None:
                _ = executions[run.running.msg_id or ""]
        except JupyterdError:
            return False
        return all(cell.source for cell in run.cells if cell.state == "waiting")

    def stopService(self) -> None:
        """Nothing more is begun. What is not over is left to the next daemon where kernels are, and ends elsewhere."""
        super().stopService()
        self._left = self._ledger is not None and self._kernels_stay()
        for run in self._runs.values():
            if not run.over and not self._left:
                run.interrupt(self._clock.seconds())
                self._tell(run)

    # -- which there are

    def all(self, path: str | None = None) -> list[Run]:
        """Those of a notebook, or all; oldest first."""
        return [run for run in self._runs.values() if path is None or run.path == clean(path)]

    def get(self, path: str, run_id: str) -> Run:
        """:raises NoSuchRun: it is not known."""
        run = self._runs.get(run_id)
        if run is None or run.path != clean(path):
            raise NoSuchRun(f"Run does not exist: {run_id}")
        return run

    # -- what is done with them

    async def add(self, path: str, order: Order, key: str | None = None) -> tuple[Run, bool]:
        """Run a notebook, after the runs of it that wait.

        :param key: the same key with the same order is the same run, however often it is asked for.
        :returns: the run, and whether it is a new one.
        :raises NotFound: there is no such notebook.
        :raises Invalid: it has no such cells, or can not be given such parameters.
        :raises Conflict: the key was used for another order.
        :raises TooManyRequests: as many as are remembered are not over.
        """
        path = clean(path)
        known = self._known(path, order, key)
        if known is not None:
            return known, False
        content = await self._notebooks.read(path)
        if content is None:
            raise NotFound(f"Notebook does not exist: {path}")
        if order.parameters:
            code_of(order.parameters, language_of(content))
        run = Run(path, order, self._clock.seconds(), key)
        run.cells = choose(content, order)
        known = self._known(path, order, key)  # somebody else's, that came while the file was read
        if known is not None:
            return known, False
        self._make_room()
        self._runs[run.id] = run
        self._tell(run)
        self._start(run)
        return run, True

    def _known(self, path: str, order: Order, key: str | None) -> Run | None:
        known = next((run for run in self.all(path) if run.key == key), None) if key else None
        if known is not None and known.order != order:
            raise Conflict("This idempotency key was used for another request")
        return known

    def _make_room(self) -> None:
        while len(self._runs) >= KEPT:
            over = next((run for run in self._runs.values() if run.over), None)
            if over is None:
                raise TooManyRequests(f"{KEPT} runs are waiting or running")
            self._forget(over)

    async def cancel(self, run: Run) -> None:
        """Stop it; a run that is over is forgotten."""
        if run.over:
            self._forget(run)
            return
        run.cancelled = True
        self._remember(run)
        if run.state == "queued":
            self._end(run, "cancelled")
        elif run.kernel_id is not None and any(cell.state == "running" for cell in run.cells):
            await self._interrupt(run)

    def _forget(self, run: Run) -> None:
        if self._runs.pop(run.id, None) is not None and self._ledger is not None:
            self._ledger.forget(run)

    async def _interrupt(self, run: Run) -> None:
        try:
            await self._kernels.interrupt(run.kernel_id or "")
        except JupyterdError as error:  # it is gone, or starts: then nothing runs
            self.log.info("a cancelled run's kernel was not interrupted: {error}", error=str(error))

    def moved(self, path: str, new_path: str) -> None:
        """A file or directory has another name."""
        for run in self._runs.values():
            run.path = renamed_path(run.path, path, new_path) or run.path

    # -- a run

    def _start(self, run: Run) -> None:
        Deferred.fromCoroutine(self._in_turn(run))

    async def _in_turn(self, run: Run) -> None:
        turn = self._turns.setdefault(run.path, DeferredLock())
        await turn.acquire()
        try:
            if not run.over and not self._left:
                await self._run(run)
        except Exception:  # noqa: BLE001 - the next has its turn all the same
            self.log.failure("the run of {path} failed", path=run.path)
        turn.release()
        if not turn.locked and self._turns.get(run.path) is turn:
            del self._turns[run.path]

    async def _run(self, run: Run) -> None:
        state = "error"
        try:
            if run.kernel_id is None:
                await self._begin(run)
            state = await self._run_cells(run)
        except JupyterdError as error:
            run.error = run.error or {"ename": type(error).__name__, "evalue": error.message, "traceback": []}
        except Exception as error:
            run.error = run.error or {"ename": type(error).__name__, "evalue": str(error), "traceback": []}
            raise
        finally:
            if not self._left:
                await self._finish(run, state)

    async def _begin(self, run: Run) -> None:
        """Find its cells and its kernel."""
        run.state, run.started = "starting", self._clock.seconds()
        self._tell(run)
        kernel_name = await self._prepare(run)
        session, run.kernel_id, is_new = await self._kernels.session(run.path, kernel_name)
        run.session = session if is_new and run.order.shut_down else None
        if not run.over:
            run.state = "running"
            self._tell(run)

    async def _prepare(self, run: Run) -> str | None:
        """The notebook as it is now, with its parameters; the name of its kernelspec, if it has one."""
        if run.order.parameters:
            await self._notebooks.change(run.path, Step(steps.INJECT, {"parameters": run.order.parameters}))
        content = await self._notebooks.read(run.path)
        if content is None:
            raise NotFound(f"Notebook does not exist: {run.path}")
        run.cells = choose(content, run.order)
        return run.order.kernel_name or _kernel_of(content)

    async def _run_cells(self, run: Run) -> str:
        state = "ok" if run.error is None else "error"
        for cell in run.cells:
            if cell.state not in ("waiting", "running"):
                continue  # before the daemon before this one stopped
            if self._left:
                break
            if cell.state == "waiting" and (
                run.over or run.cancelled or (state == "error" and run.order.stop_on_error)
            ):
                cell.state = "skipped"
            elif not await self._run_cell(run, cell):
                state = "error"
        return "cancelled" if run.cancelled else state

    async def _run_cell(self, run: Run, cell: RunCell) -> bool:
        """Whether the run may say that all went well."""
        executions = self._kernels.channels_of(run.kernel_id or "").executions
        if cell.state == "waiting":
            # Written down before it is asked for: whatever happens to the daemon, no cell is run twice.
            cell.state, cell.msg_id = "running", uuid4().hex
            await self._tell(run)
            metadata = {"notebook_path": run.path, **({} if cell.cell_id is None else {"cellId": cell.cell_id})}
            execution, _ = executions.add({"code": cell.source}, metadata, execution_id=cell.msg_id)
        else:
            execution = executions[cell.msg_id or ""]
        await self._until_over(run, execution)
        well = not run.over and self._note(run, cell, execution)
        if not run.over:
            await self._tell(run)
        executions.forget(execution)
        return well

    async def _until_over(self, run: Run, execution: Execution) -> None:
        interrupted = False
        while not execution.over:
            if run.cancelled and execution.status == "running" and not interrupted:
                interrupted = True
                await self._interrupt(run)
            if not execution.over:
                await execution.change()

    def _note(self, run: Run, cell: RunCell, execution: Execution) -> bool:
        reply = execution.reply if isinstance(execution.reply, dict) else {}
        status = reply.get("status")
        cell.state = status if status in ("ok", "error", "aborted") else "error"
        count = reply.get("execution_count")
        cell.execution_count = count if isinstance(count, int) else None
        if cell.state == "ok" or (cell.may_raise and status == "error"):
            return True
        lost = {"ename": "DeadKernelError", "evalue": "The kernel ended"}
        said = {key: reply.get(key) for key in ("ename", "evalue", "traceback")} if status == "error" else lost
        run.error = run.error or {"traceback": [], **said, "cell_id": cell.cell_id, "index": cell.index}
        return False

    async def _finish(self, run: Run, state: str) -> None:
        """Write what it said, if nobody shows it; end its kernel, if it is its own."""
        await self._write(run.path)
        run.recorded = not any(cell.msg_id is not None and self._is_pending(cell.msg_id) for cell in run.cells)
        try:
            if run.session is not None:
                await self._kernels.end(run.session)
        except JupyterdError as error:
            self.log.warn("the kernel of a run was not ended: {error}", error=str(error))
        finally:
            self._end(run, state)

    def _end(self, run: Run, state: str) -> None:
        if run.over:
            self._remember(run)  # the daemon stops: its outputs may be in the file all the same
            return
        run.end(state, self._clock.seconds())
        self._tell(run)

    def _remember(self, run: Run) -> Deferred[None]:
        return succeed(None) if self._ledger is None else self._ledger.remember(run)

    def _tell(self, run: Run) -> Deferred[None]:
        """Everybody, and the next daemon; fires when that will know."""
        data = {"path": run.path, "run_id": run.id, "state": run.state, "done": run.done, "total": len(run.cells)}
        self._emit(SCHEMA, data)
        return self._remember(run)


def _kernel_of(notebook: dict[str, Any]) -> str | None:
    metadata = notebook.get("metadata")
    spec = metadata.get("kernelspec") if isinstance(metadata, dict) else None
    name = spec.get("name") if isinstance(spec, dict) else None
    return name if isinstance(name, str) and name else None


def order_of(body: dict[str, Any]) -> Order:
    """The order in a request's body.

    :raises Invalid: a field is not known, or of the wrong type.
    """
    known = {"cells", "from", "parameters", "kernel_name", "stop_on_error", "shut_down"}
    for name in body:
        if name not in known:
            raise Invalid(f"{name} is not known")
    cells, begin, parameters = body.get("cells"), body.get("from"), body.get("parameters", {})
    if cells is not None and not (isinstance(cells, list) and all(map(_names_a_cell, cells))):
        raise Invalid("cells must be a list of cells' ids or positions")
    if begin is not None and not _names_a_cell(begin):
        raise Invalid("from must be a cell's id or position")
    if not isinstance(parameters, dict):
        raise Invalid("parameters must be an object")
    kernel_name, flags = body.get("kernel_name"), {"stop_on_error": True, "shut_down": False}
    if kernel_name is not None and not isinstance(kernel_name, str):
        raise Invalid("kernel_name must be a string")
    for name in flags:
        flags[name] = body.get(name, flags[name])
        if not isinstance(flags[name], bool):
            raise Invalid(f"{name} must be true or false")
    return Order(None if cells is None else tuple(cells), begin, parameters, kernel_name, **flags)


def _names_a_cell(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool))
