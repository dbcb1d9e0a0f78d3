"""What a person edits always wins, and an output that has a place gets there."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyterd.outputs.executions import hash_of
from jupyterd.outputs.merge import Recorded, Shown, Written, merge, merge_save, state_of


def stream(text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": text}


def code(cell_id: str | None, source: Any = "1", outputs: Any = (), count: int | None = None) -> dict[str, Any]:
    named = {} if cell_id is None else {"id": cell_id}
    return {
        **named,
        "cell_type": "code",
        "metadata": {},
        "source": source,
        "outputs": [*outputs],
        "execution_count": count,
    }


def notebook(*cells: dict[str, Any]) -> dict[str, Any]:
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [*cells]}


def said(cell_id: str | None = "a", source: str = "1", text: str = "new", **more: Any) -> Recorded:
    return Recorded(
        **{"id": "m", "cell_id": cell_id, "code_hash": hash_of(source), "count": 3, "outputs": [stream(text)], **more}
    )


def test_outputs_and_count_go_to_the_cell_that_was_run_and_are_trusted() -> None:
    book = notebook(code("b"), code("a", ["1"], [stream("old")], 1))
    report = merge(book, [said()])
    assert book["cells"][1] == {**code("a", ["1"], [stream("new")], 3), "metadata": {"trusted": True}}
    assert book["cells"][0] == code("b")
    assert list(report.placed) == ["m"]
    again = merge(book, [said()])
    assert (again.held, again.placed) == (["m"], {})


@pytest.mark.parametrize(
    ("cells", "recorded", "why"),
    [
        ([code("a", "2")], said(), "the cell was changed"),
        ([code("b")], said(), "the cell is gone"),
        ([{**code("a"), "cell_type": "markdown"}], said(), "no cell has the code that ran"),
        ([code("b"), code("c")], said(None), "several cells have the code that ran"),
        ([code("b", "2")], said(None), "no cell has the code that ran"),
        ([code("a"), code("a")], said(), "several cells have the code that ran"),
        ([code("a", "1", [stream("mine")])], said(known=["other"]), "the outputs were changed"),
    ],
)
def test_what_has_no_place_waits_and_nothing_is_changed(cells: Any, recorded: Recorded, why: str) -> None:
    book = notebook(*cells)
    before = copy.deepcopy(book)
    assert merge(book, [recorded]).waiting == {"m": why}
    assert book == before


def test_without_ids_the_one_cell_with_the_code_is_meant() -> None:
    old = notebook(code(None, "1"), code(None, "2"))  # format 4.4
    assert list(merge(old, [said("invented-by-the-page", "2")]).placed) == ["m"]
    assert old["cells"][1]["outputs"] == [stream("new")]
    assert list(merge(notebook(code("x", "2")), [said(None, "2")]).placed) == ["m"]


def test_the_later_of_two_executions_of_a_cell_wins() -> None:
    book = notebook(code("a"))
    merge(book, [said(id="1", text="first"), said(id="2", text="second", count=4)])
    assert (book["cells"][0]["outputs"], book["cells"][0]["execution_count"]) == ([stream("second")], 4)


def test_a_notebook_that_is_none_is_left_alone() -> None:
    for wrong in ({}, {"cells": 1}, {"cells": [1, {"cell_type": "code", "outputs": 5}]}):
        assert merge(wrong, [said()]).placed == {}


# -- saves


def save(book: Any, disk: Any = None, **given: Any) -> Any:
    rest: dict[str, Any] = {"shown": [], "recorded": [], "written": {}, "mark": 0, **given}
    return merge_save(book, on_disk=lambda: disk, **rest)


SHOWN = Shown("m", "a", hash_of("1"), 3)


@pytest.mark.parametrize(
    ("cell", "held"),
    [
        (code("a", "1", [stream("new")], 3), True),
        (code("a", "edited since", [stream("new")], 3), True),
        (code("a", "1", [], None), True),  # cleared by its user
        (code("a", "edited since", [], None), False),
        (code("a", "1", [stream("old")], 2), False),
        (code("b", "1", [stream("new")], 3), False),
    ],
)
def test_a_page_that_shows_an_output_holds_it_or_clears_it(cell: Any, held: bool) -> None:
    book = notebook(cell)
    before = copy.deepcopy(book)
    assert save(book, shown=[SHOWN]).held == (["m"] if held else [])
    assert book == before


def test_a_page_that_had_no_output_yet_did_not_clear_it() -> None:
    assert save(notebook(code("a")), shown=[Shown("m", "a", hash_of("1"), 3, clearable=False)]).held == []


def written(before: Any, after: Any, at: int = 10) -> dict[str, Written]:
    return {before["id"]: Written([state_of(before)], state_of(after), at)}


def test_a_stale_save_keeps_what_was_written_meanwhile_and_its_own_edits() -> None:
    before, after = code("a"), code("a", "1", [stream("new")], 3)
    stale = notebook(code("a"), code("b", "an edit"))
    report = save(stale, notebook(after, code("b")), written=written(before, after))
    assert report.kept == ["a"]
    assert stale["cells"][0]["outputs"] == [stream("new")]
    assert stale["cells"][1]["source"] == "an edit"


@pytest.mark.parametrize(
    ("cell", "mark"),
    [
        (code("a"), 10),  # it had read them and cleared them
        (code("a", "1", [stream("run here")], 7), 0),
        (code("a", "edited"), 0),
    ],
)
def test_a_save_that_knows_or_has_something_else_wins(cell: Any, mark: int) -> None:
    before, after = code("a"), code("a", "1", [stream("new")], 3)
    book = notebook(cell)
    expected = copy.deepcopy(book)
    assert save(book, notebook(after), written=written(before, after), mark=mark).kept == []
    assert book == expected


def test_what_another_page_saved_since_is_kept_and_not_what_was_written_first() -> None:
    before, after = code("a"), code("a", "1", [stream("new")], 3)
    stale = notebook(code("a"))
    save(stale, notebook(code("a", "1", [stream("newer")], 9)), written=written(before, after))
    assert stale["cells"][0]["outputs"] == [stream("newer")]
    assert "trusted" not in stale["cells"][0]["metadata"], "nobody knows where it came from"


# -- any order of what people and kernels do


class World:
    """A file, two pages and a kernel; what the recorder would remember of them."""

    def __init__(self) -> None:
        self.file = notebook(code("a", "s0"), code("b", "s0"))
        self.pages = [copy.deepcopy(self.file), copy.deepcopy(self.file)]
        self.marks = [0, 0]
        self.pending: dict[str, Recorded] = {}
        self.written: dict[str, Written] = {}
        self.clock = 0
        self.count = 0

    def edit(self, page: int, cell: int) -> None:
        self.clock += 1
        self.pages[page]["cells"][cell]["source"] = f"s{self.clock % 3}"

    def clear(self, page: int, cell: int) -> None:
        self.pages[page]["cells"][cell].update(outputs=[], execution_count=None)

    def run_unseen(self, page: int, cell: int) -> None:
        """The page asks, and is gone: the kernel alone knows what was said."""
        self.count += 1
        asked = self.pages[page]["cells"][cell]
        self.written.pop(asked["id"], None)
        self.pending = {key: each for key, each in self.pending.items() if each.cell_id != asked["id"]}
        self.pending[f"m{self.count}"] = Recorded(
            f"m{self.count}", asked["id"], hash_of(asked["source"]), self.count, [stream(f"said {self.count}")]
        )

    def open(self, page: int, _: int) -> None:
        self._write(self.file)
        self.pages[page] = copy.deepcopy(self.file)
        self.marks[page] = max((each.at for each in self.written.values()), default=0)

    def save(self, page: int, _: int) -> None:
        incoming, theirs = copy.deepcopy(self.pages[page]), copy.deepcopy(self.pages[page])
        recorded = list(self.pending.values())
        report = merge_save(
            incoming,
            shown=[],
            recorded=recorded,
            written=self.written,
            mark=self.marks[page],
            on_disk=lambda: self.file,
        )
        for mine, sent in zip(incoming["cells"], theirs["cells"], strict=True):
            assert mine["source"] == sent["source"], "an edit is lost"
        before = self.file
        self.file = incoming
        self._note(report)
        for cell, old, sent in zip(self.file["cells"], before["cells"], theirs["cells"], strict=True):
            known = self.written.get(cell["id"])
            stale = known and known.at > self.marks[page] and state_of(sent) in known.states
            if stale and old["source"] == sent["source"] and not report.placed:
                assert state_of(cell) == state_of(old), "a stale page erased outputs"

    def _write(self, book: Any) -> None:
        for each in self.pending.values():
            known = self.written.get(each.cell_id or "")
            each.known = None if known is None else [*known.states, known.last]
        places = {each.id: _has_place(book, each) for each in self.pending.values()}
        report = merge(book, list(self.pending.values()))
        for msg_id, has_place in places.items():
            assert (msg_id in report.placed or msg_id in report.held) == has_place, "an output that had a place is lost"
        self._note(report)

    def _note(self, report: Any) -> None:
        self.clock += 1
        for cell_id, before, after in report.placed.values():
            old = self.written.get(cell_id)
            states = [*(old.states if old else []), *([old.last] if old else []), before]
            self.written[cell_id] = Written([each for each in states if each != after], after, self.clock)
        for msg_id in [*report.placed, *report.held]:
            self.pending.pop(msg_id, None)


def _has_place(book: Any, each: Recorded) -> bool:
    cell = next(cell for cell in book["cells"] if cell["id"] == each.cell_id)
    return hash_of(cell["source"]) == each.code_hash and (each.known is None or state_of(cell) in each.known)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["edit", "clear", "run_unseen", "open", "save"]), st.integers(0, 1), st.integers(0, 1)
        ),
        max_size=25,
    )
)
def test_no_edit_and_no_output_is_lost_in_whatever_order(steps: list[tuple[str, int, int]]) -> None:
    world = World()
    for action, page, cell in steps:
        getattr(world, action)(page, cell)
