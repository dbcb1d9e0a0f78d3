"""Outputs reach the file when nobody who shows them is there, and never before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from jupyterd.errors import Forbidden
from jupyterd.testing.deferreds import result_of
from tests.outputs.daemon_in_memory import CLOSED, PATH, Kit, Page, cell


def test_the_kernel_ends_and_what_it_said_is_written(kit: Kit) -> None:
    page = Page(kit, "one")
    header = page.run("c1")
    kit.begin(header)
    kit.say(header, "last words")
    page.leave()
    kit.pass_time(CLOSED + 10)
    kit.channels.close("culled")
    kit.pass_time(CLOSED + 10)
    assert kit.disk()[0] == (1, ["last words"])


def test_the_kernel_ends_under_a_page_which_saves_by_itself(kit: Kit) -> None:
    page = Page(kit, "one")
    kit.ran(page.run("c1"), "x")
    kit.channels.close("shut down")
    page.leave()
    kit.pass_time(100)
    assert kit.disk()[0] == (None, []), "a page without a kernel saves as well"
    kit.put(cell("c1"), cell("c2"))  # cleared
    kit.pass_time(1000)
    assert kit.disk()[0] == (None, [])


def test_a_kernel_that_is_restarted_ends_what_it_ran(kit: Kit) -> None:
    page = Page(kit, "one")
    first, second = page.run("c1"), page.run("c2")
    kit.begin(first)
    kit.say(first, "x")
    kit.channels.disconnect()
    assert [each["state"] for each in kit.executions()] == ["error", "aborted"]
    assert second
    kit.channels.connect({**kit.kernel.info, "shell_port": 2})
    kit.kernel.answer_kernel_info()
    page.leave()
    kit.pass_time(CLOSED + 10)
    assert kit.disk()[0] == (1, ["x"])


def test_two_kernels_had_the_notebook_and_the_later_run_of_a_cell_wins(kit: Kit, tmp_path: Path) -> None:
    page = Page(kit, "one")
    old = page.run("c1")
    other = page.run("c2")
    page.leave()
    kit.ran(old, "old")
    kit.ran(other, "other", 2)
    kit.channels.close("gone")
    kit.channels = kit.new_channels(tmp_path / "spill2")
    second = Page(kit, "two")
    new = second.run("c1")
    second.leave()
    kit.ran(new, "new")
    kit.pass_time(CLOSED + 10)
    assert kit.disk() == [(1, ["new"]), (2, ["other"])]


def test_the_daemon_stops_and_writes_what_is_in_no_file(kit: Kit) -> None:
    page = Page(kit, "one")
    header = page.run("c1")
    kit.begin(header)
    kit.say(header, "so far")
    result_of(kit.recorder.stopService())
    assert kit.disk()[0] == (None, ["so far"])
    assert page


def test_a_file_that_can_not_be_written_is_tried_again_ever_more_slowly(kit: Kit) -> None:
    page = Page(kit, "one")
    header = page.run("c1")
    page.leave()
    kit.ran(header, "x")
    kit.failure = Forbidden("Permission denied: a.ipynb")
    kit.pass_time(CLOSED + 300)
    failed = [data for _, data in kit.events if data.get("action") == "failed"]
    assert 2 <= len(failed) <= 5
    assert failed[0]["message"] == "Permission denied: a.ipynb"
    assert kit.get()["content"]["cells"][0]["outputs"] == [], "it is opened all the same"
    assert len(kit.executions()) == 1
    kit.failure = None
    kit.pass_time(2000)
    assert kit.disk()[0] == (1, ["x"])
    assert kit.executions() == []


def test_a_notebook_that_is_deleted_or_renamed_meanwhile(kit: Kit) -> None:
    page = Page(kit, "one")
    header = page.run("c1")
    page.leave()
    assert kit.site.request("PATCH", PATH, json_body={"path": "b.ipynb"}).status == 200
    kit.paths[:] = ["b.ipynb"]  # the session follows
    kit.ran(header, "x")
    kit.pass_time(CLOSED + 10)
    assert kit.disk("b.ipynb")[0] == (1, ["x"])
    again = Page(kit, "two")
    header = again.run("c1")
    again.leave()
    assert kit.site.request("DELETE", "/api/contents/b.ipynb").status == 204
    kit.ran(header, "y", 2)
    kit.pass_time(CLOSED + 10)
    assert not (kit.root / "b.ipynb").exists()
    assert kit.executions()[0]["no_place"] == "the notebook is gone"


def test_who_may_not_write_contents_has_nothing_written_for_them(kit: Kit) -> None:
    page = Page(kit, "one")
    page.cursor.records = False
    header = page.run("c1")
    page.leave()
    kit.ran(header, "x")
    kit.pass_time(CLOSED + 10)
    kit.get()
    assert kit.disk()[0] == (None, [])
    assert kit.executions()[0]["outputs"][0]["text"] == "x", "a page of theirs shows it"


def test_what_is_written_passes_the_operators_hooks_and_is_trusted_as_the_rest_was(kit: Kit) -> None:
    saved: list[Any] = []
    kit.contents.manager.pre_save_hook = lambda model, path, contents_manager: saved.append((path, model["type"]))
    kit.contents.manager.post_save_hook = lambda model, os_path, contents_manager: saved.append(Path(os_path).name)
    book = json.loads((kit.root / "a.ipynb").read_text())
    book["cells"][1].update(outputs=[{"output_type": "display_data", "data": {"text/html": "<b>"}, "metadata": {}}])
    (kit.root / "a.ipynb").write_text(json.dumps(book))
    page = Page(kit, "one")
    header = page.run("c1")
    page.leave()
    kit.ran(header, "x")
    kit.pass_time(CLOSED + 10)
    assert saved == [("a.ipynb", "notebook"), "a.ipynb"]
    first, second = kit.get()["content"]["cells"]
    assert first["outputs"][0]["text"] == "x"
    assert [each["metadata"]["trusted"] for each in (first, second)] == [False, False], "nobody knows who made the rest"


def test_tags_and_hashes_of_files_hold_when_outputs_are_written(kit: Kit) -> None:
    def put(**headers: str) -> Any:
        content = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell("c1"), cell("c2", "edited")]}
        body = {"type": "notebook", "format": "json", "content": content}
        return kit.site.request("PUT", PATH, json_body=body, headers=headers)

    opened = kit.site.request("GET", f"{PATH}?hash=1")
    page = Page(kit, "one")
    header = page.run("c1")
    page.leave()
    kit.ran(header, "x")
    kit.pass_time(CLOSED + 10)
    written = kit.site.request("GET", f"{PATH}?hash=1")
    assert written.json()["hash"] != opened.json()["hash"]
    assert put(**{"If-Match": opened.headers["etag"][0]}).status == 412, "it is another file now"
    assert kit.disk() == [(1, ["x"]), (None, [])]
    saved = put(**{"If-Match": written.headers["etag"][0]})
    assert saved.status == 200, "this one keeps what it did not know of"
    assert kit.disk() == [(1, ["x"]), (None, [])]
    now = kit.site.request("GET", f"{PATH}?hash=1")
    assert now.headers["etag"] == saved.headers["etag"]
    assert now.json()["last_modified"] == saved.json()["last_modified"]


def test_switched_off_nothing_is_written_and_pages_go_on_all_the_same(tmp_path: Path) -> None:
    kit = Kit(tmp_path, enabled=False)
    kit.put(cell("c1"))
    page = Page(kit, "one")
    header = page.run("c1")
    page.leave()
    kit.ran(header, "x")
    kit.pass_time(CLOSED + 10)
    kit.get()
    assert kit.disk()[0] == (None, [])
    assert len(kit.executions()) == 1


def test_scripts_have_no_place_for_outputs(kit: Kit) -> None:
    kit.paths[:] = ["a.py"]
    (kit.root / "a.py").write_text("1")
    page = Page(kit, "one")
    header = page.run("c1")
    page.leave()
    kit.ran(header, "x")
    kit.pass_time(CLOSED + 10)
    assert (kit.root / "a.py").read_text() == "1"
    assert kit.executions("?path=a.py")[0]["outputs"][0]["text"] == "x"


def test_as_many_executions_as_the_setting_says_are_remembered(tmp_path: Path) -> None:
    kit = Kit(tmp_path, max_executions=3)
    page = Page(kit, "one")
    for number in range(5):
        kit.ran(page.run(f"c{number}"), "x", number)
    assert [each["cell_id"] for each in kit.executions()] == ["c2", "c3", "c4"]


def test_the_log_keeps_what_is_in_no_file_and_lets_go_of_the_rest(kit: Kit) -> None:
    page = Page(kit, "one")
    first = page.run("c1")
    kit.ran(first, "x" * 1_000_000)
    for number in range(20):
        kit.ran(page.run("other"), "y" * 1_000_000, number)
    (execution, *_) = kit.executions()
    assert execution["outputs"][0]["text"] == "x" * 1_000_000
    kit.put(cell("c1", outputs=[], execution_count=1), cell("c2"))
    assert kit.channels.recording.cursor.position > 20  # type: ignore[union-attr]


def test_a_kernel_of_another_name_is_none(kit: Kit) -> None:
    answer = kit.site.request("GET", "/api/kernels/nope/executions")
    assert (answer.status, answer.json()["message"]) == (404, "Kernel does not exist: nope")


def test_code_over_rest_names_its_cell_and_is_recorded_alike(kit: Kit) -> None:
    answer = kit.site.request(
        "POST", "/api/kernels/k/execute", json_body={"code": "1", "path": "/a.ipynb", "cell_id": "c2"}
    )
    assert answer.status == 202
    ((header, _),) = kit.asked()
    kit.ran(header, "x")
    kit.pass_time(10)
    assert kit.disk()[1] == (1, ["x"])
    for wrong in ({"path": 1}, {"cell_id": "c"}, {"path": "a", "cell_id": ""}, {"path": "a", "cell_id": "c" * 65}):
        assert kit.site.request("POST", "/api/kernels/k/execute", json_body={"code": "1", **wrong}).status == 400
    kit.may_execute = False  # stands here for: may not write contents
    refused = kit.site.request("POST", "/api/kernels/k/execute", json_body={"code": "1", "path": "a", "cell_id": "c"})
    assert refused.status == 403


def test_closing_twice_and_without_executions_leaves_nothing(kit: Kit) -> None:
    fired: list[Any] = []
    Deferred.fromCoroutine(kit.recorder.write("a.ipynb")).addBoth(fired.append)
    kit.channels.close("x")
    kit.channels.close("x")
    assert fired == [None]
