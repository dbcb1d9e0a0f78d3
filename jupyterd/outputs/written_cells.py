"""Written cells: what the server wrote into notebooks by itself, so that a client that did not see it keeps it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jupyterd.outputs.merge import Report, Written

CELLS = 10_000
"""Cells that are remembered in all; those written longest ago are forgotten first."""

STATES = 16
"""States of one cell's outputs that are remembered."""


class WrittenCells:
    """By notebook and cell.

    :param seconds: the clock.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._cells: dict[tuple[str, str], Written] = {}
        self._paths: dict[str, set[str]] = {}
        self._last = 0

    def wrote(self, path: str, report: Report) -> None:
        """Outputs were put into a notebook."""
        at = self._next()
        for cell_id, before, after in report.placed.values():
            if cell_id:
                self._note(path, cell_id, before, after, at)

    def _next(self) -> int:
        """Milliseconds; grows, also from one daemon to the next."""
        self._last = max(self._last + 1, int(self._seconds() * 1000))
        return self._last

    def _note(self, path: str, cell_id: str, before: str, after: str, at: int) -> None:
        old = self._cells.pop((path, cell_id), None)
        states = [] if old is None else [state for state in [*old.states, old.last] if state != after]
        if before not in states and before != after:
            states.append(before)
        self._cells[path, cell_id] = Written(states[-STATES:], after, at)
        self._paths.setdefault(path, set()).add(cell_id)
        if len(self._cells) > CELLS:
            self.forget(*next(iter(self._cells)))

    def forget(self, path: str, cell_id: str) -> None:
        """A client has run the cell again: it knows."""
        if self._cells.pop((path, cell_id), None) is not None:
            self._paths[path].discard(cell_id)
            if not self._paths[path]:
                del self._paths[path]

    def of(self, path: str) -> dict[str, Written]:
        """By cell id."""
        return {cell_id: self._cells[path, cell_id] for cell_id in self._paths.get(path, ())}

    def known(self, path: str, cell_id: str | None) -> list[str] | None:
        """States of a cell's outputs that the server may replace; None where it wrote none."""
        written = None if cell_id is None else self._cells.get((path, cell_id))
        return None if written is None else [*written.states, written.last]

    def mark(self, path: str) -> int | None:
        """When something was last written into a notebook."""
        return max((each.at for each in self.of(path).values()), default=None)

    def moved(self, path: str, new_path: str) -> None:
        """A file or directory has another name."""
        for old, cell_id in list(self._cells):
            renamed = renamed_path(old, path, new_path)
            if renamed is not None:
                written = self._cells[old, cell_id]
                self.forget(old, cell_id)
                self._cells[renamed, cell_id] = written
                self._paths.setdefault(renamed, set()).add(cell_id)

    def as_json(self) -> list[Any]:
        """To be kept."""
        return [[path, cell_id, each.states, each.last, each.at] for (path, cell_id), each in self._cells.items()]

    def restore(self, kept: list[Any]) -> None:
        """From :meth:`as_json`."""
        for path, cell_id, states, last, at in kept:
            self._cells[path, cell_id] = Written(list(states), last, at)
            self._paths.setdefault(path, set()).add(cell_id)
            self._last = max(self._last, at)


def renamed_path(path: str, old: str, new: str) -> str | None:
    """What ``path`` is called when the file or directory ``old`` is called ``new``; None where it is none of it."""
    if path == old:
        return new
    return new + path[len(old) :] if path.startswith(old + "/") else None
