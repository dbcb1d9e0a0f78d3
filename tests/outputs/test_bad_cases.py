"""Cells' outputs where something is wrong: with the file, with what the kernel says, with what the request says."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import nbformat
import orjson
import pytest

from tests.outputs.daemon_in_memory import PATH, Kit, Page, cell

CLOSED = 60.0
BAD_BOOK = '{"cells": '


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    made = Kit(tmp_path)
    made.put(cell("c1"), cell("c2", "2"))
    return made


def runs_and_leaves(kit: Kit, cell_id: str = "c1", source: str = "1") -> bytes:
    """A page runs a cell and is closed; the request's header."""
    page = Page(kit, "one")
    header = page.run(cell_id, source)
    page.leave()
    return header


def actions(kit: Kit) -> list[str]:
    return [data["action"] for schema, data in kit.events if "outputs/v1" in schema]


def test_a_notebook_that_can_not_be_read_keeps_the_outputs_until_it_can(kit: Kit) -> None:
    header = runs_and_leaves(kit)
    good = (kit.root / "a.ipynb").read_text()
    (kit.root / "a.ipynb").write_text(BAD_BOOK)
    kit.ran(header, "x")
    kit.pass_time(CLOSED + 100)
    assert (kit.root / "a.ipynb").read_text() == BAD_BOOK, "what somebody may want to repair is left alone"
    assert set(actions(kit)) == {"failed"}
    assert kit.executions()[0]["outputs"][0]["text"] == "x"
    (kit.root / "a.ipynb").write_text(good)
    kit.pass_time(1000)
    assert kit.disk()[0] == (1, ["x"])
    assert actions(kit)[-1] == "written"


def test_on_a_full_disk_outputs_are_kept_tried_again_and_told(kit: Kit) -> None:
    header = runs_and_leaves(kit)
    kit.failure = OSError(errno.ENOSPC, "No space left on device", "a.ipynb")
    kit.ran(header, "x")
    kit.pass_time(CLOSED + 100)
    failed = [data for schema, data in kit.events if "outputs/v1" in schema]
    assert failed
    assert all((data["action"], "No space left" in data["message"]) == ("failed", True) for data in failed)
    assert kit.executions()[0]["outputs"][0]["text"] == "x"
    kit.failure = None
    kit.pass_time(1000)
    assert kit.disk()[0] == (1, ["x"])


def test_of_very_much_output_the_file_has_the_ends_and_a_line_that_says_so(tmp_path: Path) -> None:
    kit = Kit(tmp_path, max_cell_bytes=100_000)
    kit.put(cell("c1"))
    header = runs_and_leaves(kit)
    kit.begin(header)
    for number in range(500):
        kit.say(header, f"{number}{'x' * 1000}\n")
    for _ in range(5):
        kit.kernel.say("display_data", {"data": {"image/png": "A" * 40_000}, "metadata": {}}, header)
    kit.finish(header)
    kit.pass_time(CLOSED + 10)
    ((count, _),) = [(each["execution_count"], each["outputs"]) for each in cells(kit)]
    texts = "".join("".join(each["text"]) for each in cells(kit)[0]["outputs"] if each["output_type"] == "stream")
    assert count == 1
    assert "0xxx" in texts[:10]
    assert "\n499xxx" in texts
    assert "characters are left out here" in texts
    assert "outputs are left out here" in texts
    assert (kit.root / "a.ipynb").stat().st_size < 300_000


def cells(kit: Kit) -> list[dict[str, Any]]:
    return list(json.loads((kit.root / "a.ipynb").read_text())["cells"])


def test_of_very_many_updates_of_a_display_the_file_has_the_last(kit: Kit) -> None:
    header = runs_and_leaves(kit)
    kit.begin(header)
    shown = {"metadata": {}, "transient": {"display_id": "d"}}
    kit.kernel.say("display_data", {"data": {"text/plain": "0"}, **shown}, header)
    for number in range(1, 10_000):
        kit.kernel.say("update_display_data", {"data": {"text/plain": str(number)}, **shown}, header)
    kit.finish(header)
    kit.pass_time(CLOSED + 10)
    assert kit.disk()[0] == (1, ["9999"])


def test_data_of_any_kind_becomes_a_valid_notebook(kit: Kit) -> None:
    header = runs_and_leaves(kit)
    kit.begin(header)
    data = {
        "image/png": "iVBORw0KGgo=\n", "application/json": [1, {"a": None}], "application/x.y+json": "text",
        "text/html": ["<b>", "</b>"], "application/octet-stream": 5, "text/plain": None,
        "image/svg+xml": {"not": "text"},
    }  # fmt: skip
    kit.kernel.say("display_data", {"data": data, "metadata": {"image/png": {"width": 5}}}, header, [b"\x00\xff" * 9])
    kit.kernel.say("display_data", {"data": "none", "metadata": 5}, header)
    kit.kernel.say("stream", {"name": None, "text": 5}, header)
    kit.kernel.say("error", {"ename": 1, "evalue": None, "traceback": "x"}, header)
    kit.finish(header)
    kit.pass_time(CLOSED + 10)
    book = nbformat.read(str(kit.root / "a.ipynb"), as_version=nbformat.NO_CONVERT)
    nbformat.validate(book)
    shown = book["cells"][0]["outputs"][0]["data"]
    assert (shown["application/json"], shown["application/x.y+json"]) == ([1, {"a": None}], "text")
    assert len(book["cells"][0]["outputs"]) == 4


@pytest.mark.parametrize(
    ("metadata", "place"),
    [
        ({"cellId": "c2"}, None),  # another cell's
        ({"cellId": "md"}, None),  # no code cell's
        ({"cellId": "nobody's"}, None),
        ({"cellId": "x" * 65}, "c1"),  # none that a notebook can have: as if there were none
        ({"cellId": 5}, "c1"),
        ({"cellId": {"a": []}}, "c1"),
        ([], "c1"),
        (None, "c1"),
    ],
)
def test_a_cell_id_that_is_a_lie_puts_no_output_elsewhere(kit: Kit, metadata: Any, place: str | None) -> None:
    kit.put(cell("c1"), cell("c2", "2"), {"id": "md", "cell_type": "markdown", "metadata": {}, "source": "1"})
    page = Page(kit, "one")
    header = orjson.dumps({"msg_id": "m", "msg_type": "execute_request", "session": "one"})
    kit.channels.recording.paths.append("a.ipynb")  # type: ignore[union-attr]
    kit.channels.send(page.cursor, "shell", [header, b"{}", orjson.dumps(metadata), b'{"code": "1"}'])
    page.leave()
    kit.ran(header, "x")
    kit.pass_time(CLOSED + 10)
    assert [each["id"] for each in cells(kit) if each.get("outputs")] == ([place] if place else [])


def test_a_directory_that_is_renamed_while_a_cell_runs_takes_its_outputs_along(kit: Kit) -> None:
    (kit.root / "old").mkdir()
    assert kit.site.request("PATCH", PATH, json_body={"path": "old/a.ipynb"}).status == 200
    kit.paths[:] = ["old/a.ipynb"]
    header = runs_and_leaves(kit)
    kit.begin(header)
    assert kit.site.request("PATCH", "/api/contents/old", json_body={"path": "new"}).status == 200
    kit.paths[:] = ["new/a.ipynb"]
    kit.say(header, "x")
    kit.finish(header)
    kit.pass_time(CLOSED + 10)
    assert kit.disk("new/a.ipynb")[0] == (1, ["x"])


def test_outputs_follow_a_cell_that_is_moved_and_wait_for_one_that_is_deleted(kit: Kit) -> None:
    page = Page(kit, "one")
    first, second = page.run("c1"), page.run("c2", "2")
    kit.put(cell("c2", "2"), cell("new", ""))
    page.leave()
    kit.ran(first, "x")
    kit.ran(second, "y", 2)
    kit.pass_time(CLOSED + 10)
    assert kit.disk() == [(2, ["y"]), (None, [])]
    assert [each["no_place"] for each in kit.executions()] == ["the cell is gone"]
    kit.put(cell("c2", "2"), cell("c1"), mark=kit.mark())
    assert kit.disk()[1] == (1, ["x"]), "it came back"


def test_what_a_thread_says_after_the_end_is_in_the_file_if_it_came_before(kit: Kit) -> None:
    header = runs_and_leaves(kit)
    kit.ran(header, "x")
    kit.say(header, "from a thread")
    kit.pass_time(CLOSED + 10)
    assert kit.disk()[0] == (1, ["xfrom a thread"])
    kit.say(header, "too late")
    kit.pass_time(CLOSED + 10)
    assert kit.disk()[0] == (1, ["xfrom a thread"])
