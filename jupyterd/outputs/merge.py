"""Notebook x recorded outputs -> notebook: what a person changed always wins over what a kernel said.

Three-way, by cell: a recorded output goes only where the cell's source is what was executed, and where the cell's
outputs are what they were when they were last known. What has no place is reported and waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any

import orjson

from jupyterd.outputs.executions import hash_of

Cell = dict[str, Any]
Notebook = dict[str, Any]


@dataclass
class Recorded:
    """What one execution said.

    :ivar known: states of the cell's outputs (:func:`state_of`) that may be replaced; None for any.
    :ivar over: no more will be said.
    """

    id: str
    cell_id: str | None
    code_hash: str
    count: int | None
    outputs: list[dict[str, Any]]
    over: bool = True
    known: list[str] | None = None


@dataclass
class Shown:
    """An execution that has ended and whose page is there: what that page saves is what its user wants.

    :ivar clearable: no outputs at all means that its user removed them, and not that the page had none yet.
    """

    id: str
    cell_id: str | None
    code_hash: str
    count: int | None
    clearable: bool = True


@dataclass
class Written:
    """A cell whose outputs were written into the file by the server.

    :ivar states: of its outputs before each time, and after the last.
    :ivar last: after the last.
    :ivar at: when, as a number that grows.
    """

    states: list[str]
    last: str
    at: int


@dataclass
class Report:
    """What became of it.

    :ivar held: executions whose outputs the notebook has, or whose user wants none.
    :ivar placed: for each execution whose outputs were put in: cell id ('' where it has none), state before, after.
    :ivar waiting: executions that have no place, and why.
    :ivar kept: ids of cells whose outputs on disk were kept although a client that did not know them saved others.
    """

    held: list[str] = field(default_factory=list)
    placed: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """For who asked, maybe in another process."""
        return {**asdict(self), "changed": bool(self.placed or self.kept)}

    @classmethod
    def of(cls, data: dict[str, Any]) -> Report:
        """From :meth:`as_json`."""
        placed = {key: (str(cell), str(old), str(new)) for key, (cell, old, new) in data["placed"].items()}
        return cls(data["held"], placed, data["waiting"], data["kept"])


def merge(notebook: Notebook, recorded: Iterable[Recorded], report: Report | None = None) -> Report:
    """Put recorded outputs into a notebook, which is changed; the later of two of one cell wins.

    :param recorded: in the order in which they were executed.
    """
    report = report or Report()
    cells = Cells(notebook)
    for each in recorded:
        _place(cells, each, report)
    return report


def _place(cells: Cells, recorded: Recorded, report: Report) -> None:
    cell = cells.find(recorded.cell_id, recorded.code_hash)
    if isinstance(cell, str):
        report.waiting[recorded.id] = cell
        return
    before, after = state_of(cell), state(recorded.count, recorded.outputs)
    if before == after:
        report.held.append(recorded.id)
    elif recorded.known is not None and before not in recorded.known:
        report.waiting[recorded.id] = "the outputs were changed"
    else:
        put(cell, recorded.count, recorded.outputs)
        report.placed[recorded.id] = (str(cell.get("id", "")), before, after)


def merge_save(
    notebook: Notebook,
    *,
    shown: Iterable[Shown],
    recorded: Iterable[Recorded],
    written: dict[str, Written],
    mark: int,
    on_disk: Callable[[], Notebook | None],
) -> Report:
    """Bring what a client saves together with what it may not know; the notebook is changed.

    :param shown: executions that a page which is there shows.
    :param recorded: executions that no page shows; see :func:`merge`.
    :param written: by cell id, what the server wrote into the file.
    :param mark: :data:`jupyterd.contents.notebook_steps.MARK` in what the client had read; 0 where there was none.
    :param on_disk: reads the file as it is.
    """
    report = Report()
    cells = Cells(notebook)
    for execution in shown:
        cell = cells.find(execution.cell_id, execution.code_hash, changed=True)
        if not isinstance(cell, str) and _is_held(cell, execution):
            report.held.append(execution.id)
    _keep_written(cells, unknown_to(mark, written), report, on_disk)
    return merge(notebook, recorded, report)


def unknown_to(mark: int, written: dict[str, Written]) -> dict[str, Written]:
    """What was written after a client's notebook was read."""
    return {cell_id: each for cell_id, each in written.items() if each.at > mark}


def is_stale(notebook: Notebook, written: dict[str, Written]) -> bool:
    """Some cell has the outputs that it had before the server wrote others."""
    cells = Cells(notebook)
    found = ((cells.by_id(cell_id), each) for cell_id, each in written.items())
    return any(cell is not None and state_of(cell) in each.states for cell, each in found)


def _is_held(cell: Cell, execution: Shown) -> bool:
    count = cell.get("execution_count")
    if count is not None:
        return bool(count == execution.count)
    is_empty = not cell.get("outputs") and hash_of(source_of(cell)) == execution.code_hash
    return is_empty and execution.clearable


def _keep_written(
    cells: Cells, written: dict[str, Written], report: Report, on_disk: Callable[[], Notebook | None]
) -> None:
    stale = {}
    for cell_id, each in written.items():
        cell = cells.by_id(cell_id)
        if cell is not None and state_of(cell) in each.states:
            stale[cell_id] = cell
    disk = on_disk() if stale else None
    if disk is None:
        return
    theirs = Cells(disk)
    for cell_id, cell in stale.items():
        kept = theirs.by_id(cell_id)
        if kept is None or source_of(kept) != source_of(cell) or state_of(kept) == state_of(cell):
            continue
        put(cell, kept.get("execution_count"), kept["outputs"], trusted=state_of(kept) == written[cell_id].last)
        report.kept.append(cell_id)


class Cells:
    """The code cells of a notebook. What is none, in a notebook that a client made, is not found."""

    def __init__(self, notebook: Notebook) -> None:
        cells = notebook.get("cells")
        self._code = [cell for cell in cells if _is_code(cell)] if isinstance(cells, list) else []
        self._ids: dict[str, list[Cell]] = {}
        for cell in self._code:
            if isinstance(cell.get("id"), str):
                self._ids.setdefault(cell["id"], []).append(cell)

    def by_id(self, cell_id: str) -> Cell | None:
        """The one cell of an id."""
        found = self._ids.get(cell_id, [])
        return found[0] if len(found) == 1 else None

    def find(self, cell_id: str | None, code_hash: str, changed: bool = False) -> Cell | str:
        """The cell that was executed, or why there is none.

        By its id; where the request or the notebook has no ids, the one cell with the code that ran.

        :param changed: its source may be another by now.
        """
        if cell_id is not None and self._ids:
            found = self._ids.get(cell_id, [])
            if not found:
                return "the cell is gone"
            same = found if changed else [cell for cell in found if hash_of(source_of(cell)) == code_hash]
            if not same:
                return "the cell was changed"
        else:
            same = [cell for cell in self._code if hash_of(source_of(cell)) == code_hash]
            if not same:
                return "no cell has the code that ran"
        return same[0] if len(same) == 1 else "several cells have the code that ran"


def _is_code(cell: Any) -> bool:
    return isinstance(cell, dict) and cell.get("cell_type") == "code" and isinstance(cell.get("outputs", []), list)


def put(cell: Cell, count: int | None, outputs: list[dict[str, Any]], trusted: bool = True) -> None:
    """Give a cell outputs and execution count.

    :param trusted: they came from a kernel of ours.
    """
    cell["outputs"], cell["execution_count"] = outputs, count
    if trusted and isinstance(metadata := cell.setdefault("metadata", {}), dict):
        metadata["trusted"] = True


def source_of(cell: Cell) -> str:
    """The source of a cell."""
    return str(_joined(cell.get("source", "")))


def state_of(cell: Cell) -> str:
    """Execution count and outputs of a cell, as a hash."""
    return state(cell.get("execution_count"), cell.get("outputs") or [])


def state(count: Any, outputs: list[Any]) -> str:
    """The same of these; text is the same in one piece and in lines."""
    said = orjson.dumps([count, [_plain(each) for each in outputs]], default=str, option=_SORTED)
    return sha256(said).hexdigest()


_SORTED = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS


def _plain(output: Any) -> Any:
    if not isinstance(output, dict):
        return output
    plain = {key: value for key, value in output.items() if key != "transient"}
    if "text" in plain:
        plain["text"] = _joined(plain["text"])
    if isinstance(data := plain.get("data"), dict):
        plain["data"] = {mime: _joined(value) if isinstance(value, list) else value for mime, value in data.items()}
    return plain


def _joined(value: Any) -> Any:
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "".join(value)
    return value
