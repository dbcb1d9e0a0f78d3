"""One run of a notebook on the server: which cells, how far it is, how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from jupyterd.errors import Invalid
from jupyterd.outputs.merge import source_of
from jupyterd.outputs.runs.parameters import INJECTED, tags_of
from jupyterd.system.timestamps import isoformat

SKIPPED, MAY_RAISE = "skip-execution", "raises-exception"
"""Tags of cells that are not run, and of those whose exceptions are no failure. Source: nbclient."""


@dataclass(frozen=True)
class Order:
    """What is to be done.

    :ivar cells: ids or positions of the cells to run, in the notebook's order; None for all.
    :ivar begin: the id or position of the first cell; None for the first of all.
    :ivar parameters: see :mod:`jupyterd.outputs.runs.parameters`.
    :ivar kernel_name: the kernelspec, where the notebook has no session yet; None for the notebook's own.
    :ivar shut_down: end a kernel that was started for the run.
    """

    cells: tuple[str | int, ...] | None = None
    begin: str | int | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    kernel_name: str | None = None
    stop_on_error: bool = True
    shut_down: bool = False

    def __post_init__(self) -> None:
        if self.cells is not None and self.begin is not None:
            raise Invalid("cells and from exclude each other")


@dataclass(eq=False)
class RunCell:
    """A cell of a run.

    :ivar state: ``waiting``, ``running``, then ``ok``, ``error``, ``aborted``, ``skipped``, or ``unknown`` where the
        daemon has stopped meanwhile.
    """

    index: int
    cell_id: str | None
    source: str
    may_raise: bool = False
    state: str = "waiting"
    msg_id: str | None = None
    execution_count: int | None = None

    def model(self) -> dict[str, Any]:
        """As REST clients get it."""
        return {
            "index": self.index,
            "cell_id": self.cell_id,
            "state": self.state,
            "msg_id": self.msg_id,
            "execution_count": self.execution_count,
        }


def choose(notebook: dict[str, Any], order: Order) -> list[RunCell]:
    """The cells of a notebook that an order means: code that is not empty, nor tagged :data:`SKIPPED`.

    :raises Invalid: it names a cell that is not there.
    """
    cells = [cell if isinstance(cell, dict) else {} for cell in notebook.get("cells") or []]
    first = 0 if order.begin is None else _position(cells, order.begin)
    chosen = None if order.cells is None else {_position(cells, each) for each in order.cells}
    return [
        RunCell(index, cell.get("id"), source, MAY_RAISE in tags_of(cell))
        for index, cell in enumerate(cells)
        if cell.get("cell_type") == "code"
        and (source := source_of(cell)).strip()
        and SKIPPED not in tags_of(cell)
        and (
            (index >= first and (chosen is None or index in chosen)) or (order.parameters and INJECTED in tags_of(cell))
        )
    ]


def _position(cells: list[dict[str, Any]], wanted: str | int) -> int:
    for index, cell in enumerate(cells):
        if wanted == (index if isinstance(wanted, int) else cell.get("id")):
            return index
    raise Invalid(f"There is no cell {wanted!r}")


@dataclass(eq=False)
class Run:
    """One run.

    :ivar state: ``queued``, ``starting``, ``running``, then ``ok``, ``error`` or ``cancelled``.
    :ivar session: the session that ends with it; None where none does.
    :ivar error: what ended it: ``ename``, ``evalue``, ``traceback``, ``cell_id``, ``index``.
    :ivar recorded: all outputs are in the file; until then a page that is there has them, or the recorder.
    """

    path: str
    order: Order
    created: float
    key: str | None = None
    id: str = field(default_factory=lambda: uuid4().hex)
    state: str = "queued"
    kernel_id: str | None = None
    session: str | None = None
    cells: list[RunCell] = field(default_factory=list)
    started: float | None = None
    ended: float | None = None
    error: dict[str, Any] | None = None
    recorded: bool = False
    cancelled: bool = False

    @property
    def over(self) -> bool:
        """It has ended."""
        return self.ended is not None

    def end(self, state: str, when: float) -> None:
        """It ends; cells that wait are not run."""
        for cell in self.cells:
            cell.state = "skipped" if cell.state == "waiting" else cell.state
        self.state, self.ended = state, when

    def interrupt(self, when: float) -> None:
        """The daemon stops, or has stopped, and nobody can go on with it."""
        running = self.running
        begun = {} if running is None else {"cell_id": running.cell_id, "index": running.index}
        said = "The server was stopped before the run was over"
        if running is not None:
            running.state = "unknown"
            said += "; the cell that ran went on if its kernel did, and its outputs are recorded"
        self.error = {"ename": "ServerStopped", "evalue": said, "traceback": [], **begun}
        self.end("error", when)

    @property
    def running(self) -> RunCell | None:
        """The cell that runs."""
        return next((cell for cell in self.cells if cell.state == "running"), None)

    @property
    def done(self) -> int:
        """How many cells have ended."""
        return sum(cell.state not in ("waiting", "running") for cell in self.cells)

    def model(self) -> dict[str, Any]:
        """As REST clients get it."""
        return {
            "id": self.id,
            "path": self.path,
            "state": self.state,
            "kernel_id": self.kernel_id,
            "created": isoformat(self.created),
            "started": None if self.started is None else isoformat(self.started),
            "ended": None if self.ended is None else isoformat(self.ended),
            "done": self.done,
            "total": len(self.cells),
            "cells": [cell.model() for cell in self.cells],
            "error": self.error,
            "recorded": self.recorded,
            "parameters": self.order.parameters,
            "stop_on_error": self.order.stop_on_error,
        }
