"""Outputs reach the file when nobody who shows them is there, and never before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from msgspec import Raw
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from jupyterd.errors import Forbidden
from jupyterd.kernels.messages.websocket_codec import read_header
from jupyterd.outputs.kernel_record import KernelRecord
from jupyterd.outputs.ledger import ExecutionLedger
from jupyterd.outputs.settings import OutputRecorder
from jupyterd.state.store import StateStore
from jupyterd.testing.deferreds import at_once, result_of
from tests.outputs.daemon_in_memory import PATH, Kit, Page, cell, done

CLOSED, LOST = 60.0, 3600.0


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    made = Kit(tmp_path)
    made.put(cell("c1"), cell("c2"))
    return made


def names(kit: Kit) -> list[Any]:
    return [(data["action"], data["cells"]) for schema, data in kit.events if "outputs/v1" in schema]


def test_a_page_that_is_closed_and_does_not_come_back(kit: Kit) -> None:
    page = Page(kit, "one")
    header = page.run("c1")
    kit.begin(header)
    kit.say(header, "a\n")
    page.leave()
    kit.say(header, "b\n")
    kit.finish(header)
    kit.pass_time(CLOSED - 5)
    assert kit.disk() == [(None, []), (None, [])], "it may be back"
    kit.pass_time(10)
    assert kit.disk() == [(1, ["a\nb\n"]), (None, [])]
    assert names(kit) == [("written", ["c1"])]
    assert kit.executions() == []
    assert kit.channels.messages.cursors.keys() == {page.cursor.number}, "the log is free"


def test_while_the_page_is_there_its_own_save_is_waited_for(kit: Kit) -> None:
    page = Page(kit, "one")
    kit.ran(page.run("c1"), "x")
    kit.pass_time(10 * LOST)
    assert kit.disk()[0] == (None, [])
    assert [each["state"] for each in kit.executions()] == ["ok"]
    kit.put(
        cell("c1", outputs=[{"output_type": "stream", "name": "stdout", "text": "x"}], execution_count=1), cell("c2")
    )
    assert kit.executions() == []
    assert len(kit.channels.messages.cursors) == 1
    assert names(kit) == []


def test_a_save_before_the_end_holds_nothing(kit: Kit) -> None:
    page = Page(kit, "one")
    header = page.run("c1")
    kit.begin(header)
    kit.put(cell("c1"), cell("c2"))
    kit.say(header, "x")
    kit.finish(header)
    assert len(kit.executions()) == 1


def test_a_page_that_is_lost_has_longer_and_one_that_comes_back_has_all_the_time(kit: Kit) -> None:
    page = Page(kit, "one")
    header = page.run("c1")
    page.leave(said_goodbye=False)
    kit.ran(header, "x")
    kit.pass_time(LOST - 100)
    back = Page(kit, "one")
    kit.pass_time(10 * LOST)
    assert kit.disk()[0] == (None, [])
    back.leave(said_goodbye=False)
    kit.pass_time(LOST + 10)
    assert kit.disk()[0] == (1, ["x"])


def test_another_page_opens_the_notebook_and_finds_what_was_said_so_far(kit: Kit) -> None:
    page = Page(kit, "one")
    header = page.run("c1")
    kit.begin(header)
    kit.say(header, "a\n")
    assert kit.get()["content"]["cells"][0]["outputs"] == [], "the page that runs it is there"
    page.leave()
    found = kit.get()["content"]
    assert [output["text"] for output in found["cells"][0]["outputs"]] == ["a\n"]
    assert found["cells"][0]["execution_count"] is None, "it still runs"
    assert found["cells"][0]["metadata"] == {"trusted": True}
    assert kit.disk()[0] == (None, ["a\n"])
    assert "jupyterd_outputs" in found["metadata"]
    assert "jupyterd_outputs" not in (kit.root / "a.ipynb").read_text()
    kit.say(header, "b\n")
    kit.finish(header)
    kit.pass_time(100)
    assert kit.disk()[0] == (1, ["a\nb\n"])


def test_a_page_that_takes_over_is_waited_for_as_the_one_before(kit: Kit) -> None:
    page = Page(kit, "one")
    header = page.run("c1")
    kit.begin(header)
    page.leave()
    kit.get()
    other = Page(kit, "two")
    other.types()
    answer = kit.get("/api/kernels/k/executions?path=a.ipynb&client=two")
    ((channel, parts),) = other.got
    assert (channel, orjson.loads(parts[0])["msg_id"]) == (b"iopub", answer["fence"])
    kit.say(header, "x")
    kit.finish(header)
    kit.pass_time(10 * LOST)
    assert kit.disk()[0] == (None, [])
    other.leave()
    kit.pass_time(CLOSED + 10)
    assert kit.disk()[0] == (1, ["x"])


def test_of_several_pages_the_one_that_ran_a_cell_saves_it_then_the_first_that_asks(kit: Kit) -> None:
    def is_yours(client: str) -> bool:
        return bool(kit.get(f"/api/kernels/k/executions?client={client}")["executions"][0]["yours"])

    page, _, _ = Page(kit, "one"), Page(kit, "two"), Page(kit, "three")
    kit.begin(page.run("c1"))
    assert [is_yours(client) for client in ("one", "two", "three")] == [True, False, False]
    page.leave()
    assert [is_yours(client) for client in ("three", "two")] == [True, False]


def test_what_is_before_the_fence_is_in_the_answer_and_what_is_behind_it_is_not(kit: Kit) -> None:
    page, other = Page(kit, "one"), Page(kit, "two")
    header = page.run("c1")
    kit.begin(header)
    kit.say(header, "before ")
    other.got.clear()
    answer = kit.get("/api/kernels/k/executions?client=two")
    kit.say(header, "behind")
    (execution,) = answer["executions"]
    assert [output["text"] for output in execution["outputs"]] == ["before "]
    assert (execution["state"], execution["execution_count"], execution["saved"]) == ("running", 1, False)
    fence, after = [orjson.loads(parts[0])["msg_id"] for _, parts in other.got]
    assert fence == answer["fence"]
    (now,) = kit.executions()
    assert now["last_msg_id"] == after


def test_input_can_be_given_by_the_page_that_took_over(kit: Kit) -> None:
    page, other = Page(kit, "one"), Page(kit, "two")
    header = page.run("c1")
    kit.begin(header)
    kit.executions("?client=two")
    page.leave()
    other.got.clear()
    kit.kernel.reply("stdin", "input_request", {"prompt": "? ", "password": True}, header)
    assert other.types() == [("stdin", "input_request")]
    (execution,) = kit.executions()
    asked = execution["input_request"]
    assert (asked["prompt"], asked["password"]) == ("? ", True)
    assert asked["parent_header"] == orjson.loads(header)
    reply = orjson.dumps({"msg_id": "r", "msg_type": "input_reply", "session": "two"})
    kit.channels.send(other.cursor, "stdin", [reply, orjson.dumps(asked["header"]), b"{}", b'{"value": "x"}'])
    assert kit.executions()[0]["input_request"] is None


def test_a_stale_page_does_not_erase_what_was_written_and_one_that_knows_it_may(kit: Kit) -> None:
    page = Page(kit, "one")
    header = page.run("c1")
    page.leave()
    kit.ran(header, "x")
    kit.pass_time(CLOSED + 10)
    kit.put(cell("c1"), cell("c2", "edited"))  # opened before it was run, never reloaded
    assert kit.disk() == [(1, ["x"]), (None, [])]
    assert kit.get()["content"]["cells"][1]["source"] == "edited"
    kit.put(cell("c1"), cell("c2", "edited"), mark=kit.mark())
    assert kit.disk() == [(None, []), (None, [])], "its user cleared them"


def test_a_save_by_somebody_else_gets_the_outputs_that_nobody_shows(kit: Kit) -> None:
    page = Page(kit, "one")
    header = page.run("c1")
    page.leave()
    kit.ran(header, "x")
    kit.put(cell("c1"), cell("c2", "edited"))
    assert kit.disk() == [(1, ["x"]), (None, [])]
    assert kit.executions() == []


def test_outputs_that_their_user_cleared_do_not_come_back(kit: Kit) -> None:
    page = Page(kit, "one")
    kit.ran(page.run("c1"), "x")
    kit.put(cell("c1"), cell("c2"))  # run, seen, cleared, saved
    page.leave()
    kit.pass_time(CLOSED + 10)
    assert kit.disk()[0] == (None, [])


def test_a_cell_that_was_changed_keeps_its_users_version_and_the_outputs_wait(kit: Kit) -> None:
    page = Page(kit, "one")
    header = page.run("c1")
    kit.put(cell("c1", "2"), cell("c2"))
    page.leave()
    kit.ran(header, "x")
    kit.pass_time(CLOSED + 10)
    assert kit.disk()[0] == (None, [])
    (execution,) = kit.executions()
    assert (execution["no_place"], execution["outputs"][0]["text"]) == ("the cell was changed", "x")
    assert names(kit) == [("waiting", ["c1"])]
    kit.put(cell("c1", "1"), cell("c2"))  # changed back
    assert kit.disk()[0] == (1, ["x"])
    assert kit.executions() == []


def test_outputs_without_a_place_are_not_kept_for_ever(kit: Kit) -> None:
    page = Page(kit, "one")
    header = page.run("gone")
    page.leave()
    kit.ran(header, "x")
    kit.pass_time(CLOSED + 10)
    assert len(kit.executions()) == 1
    kit.pass_time(25 * 3600)
    assert kit.executions() == []


def test_a_cell_that_is_run_again_has_the_later_outputs_alone(kit: Kit) -> None:
    page = Page(kit, "one")
    kit.ran(page.run("c1"), "first")
    second = page.run("c1")
    assert [each["msg_id"] for each in kit.executions()] == ["one-2"]
    page.leave()
    kit.ran(second, "second", 2)
    kit.pass_time(CLOSED + 10)
    assert kit.disk()[0] == (2, ["second"])


def test_without_a_cell_id_the_one_cell_with_the_source_is_meant_and_a_consoles_code_is_no_cells(kit: Kit) -> None:
    kit.put(cell("c1", "a"), cell("c2", "b"), cell("c3", "b"))
    page = Page(kit, "one")
    headers = [page.run(None, "a"), page.run(None, "b"), page.run("vscode-notebook-cell:/x#W0", "a", silent=True)]
    page.leave()
    for count, header in enumerate(headers, 1):
        kit.ran(header, f"{count}", count)
    kit.pass_time(CLOSED + 10)
    assert kit.disk() == [(1, ["1"]), (None, []), (None, [])]
    kit.paths.clear()
    kit.channels.recording.paths.clear()  # type: ignore[union-attr]
    Page(kit, "console").run(None, "a")
    assert "console-1" not in kit.channels.recording.executions  # type: ignore[union-attr]


def test_old_notebooks_without_ids(kit: Kit) -> None:
    kit.put(cell(None, "a"), cell(None, "b"), minor=4)
    page = Page(kit, "one")
    header = page.run("invented", "b")
    page.leave()
    kit.ran(header, "x")
    kit.pass_time(CLOSED + 10)
    assert kit.disk() == [(None, []), (1, ["x"])]


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


def test_stale_saves_are_known_after_a_rename_too(kit: Kit) -> None:
    page = Page(kit, "one")
    header = page.run("c1")
    page.leave()
    kit.ran(header, "x")
    kit.pass_time(CLOSED + 10)
    kit.site.request("PATCH", PATH, json_body={"path": "b.ipynb"})
    kit.put(cell("c1"), cell("c2"), path="/api/contents/b.ipynb")
    assert kit.disk("b.ipynb")[0] == (1, ["x"])


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


def test_the_next_daemon_finds_what_is_in_no_file(tmp_path: Path) -> None:
    store = StateStore(":memory:")
    ledger = ExecutionLedger(lambda: store, at_once, Clock())
    kit = Kit(tmp_path, ledger=ledger)
    kit.put(cell("c1"), cell("c2"), cell("c3"))
    page = Page(kit, "one")
    held, first, second = page.run("c3"), page.run("c1"), page.run("c2")
    kit.ran(held, "held")
    kit.put(cell("c1"), cell("c2"), cell("c3", execution_count=1))
    kit.begin(first, 2)
    kit.say(first, "before ")
    kit.paths.clear()  # sessions are found later than kernels
    killed(kit, store)
    kit.paths.append("a.ipynb")
    assert [(each["cell_id"], each["state"]) for each in kit.executions()] == [("c1", "running"), ("c2", "queued")]
    page.leave()
    kit.say(first, "and after")
    kit.finish(first, 2)
    kit.ran(second, "second", 3)
    kit.pass_time(LOST + 10)
    assert kit.disk()[:2] == [(2, ["before and after"]), (3, ["second"])]
    assert store.executions() == []


def killed(kit: Kit, store: StateStore) -> KernelRecord:
    """The daemon ends in the middle of a moment; the next one has the same log."""
    ledger = ExecutionLedger(lambda: store, at_once, Clock())
    record = KernelRecord(kit.channels, kit.recorder, OutputRecorder(), at_once, kit.clock.seconds, ledger)
    kit.recorder._records["k"] = record
    kit.channels.recording = kit.channels._requests.recording = kit.channels._from_kernel.recording = record
    done(record.restore())
    return record


@pytest.mark.parametrize("status", ["ok", "error"])
def test_what_the_log_tells_need_not_be_written_down(tmp_path: Path, status: str) -> None:
    store = StateStore(str(tmp_path / "state.db"))
    kit = Kit(tmp_path, ledger=ExecutionLedger(lambda: store, at_once, Clock()))
    kit.put(cell("c1"), cell("c2"))
    page = Page(kit, "one")
    ended, running = page.run("c1"), page.run("c2")
    kit.begin(ended)
    kit.say(ended, "x")
    kit.kernel.say("status", {"execution_state": "idle"}, ended)
    kit.kernel.reply("shell", "execute_reply", {"status": status, "execution_count": 1}, ended)
    kit.begin(running, 2)
    assert {row.state for row in store.executions()} == {"queued"}, "not yet"
    page.leave()
    killed(kit, store)
    assert [each["state"] for each in kit.executions()] == [status, "running"]
    kit.ran(running, "y", 2)
    kit.pass_time(LOST + 10)
    assert kit.disk() == [(1, ["x"]), (2, ["y"])]


def test_a_cell_whose_reply_only_its_page_has_got_is_over_with_its_idle(tmp_path: Path) -> None:
    store = StateStore(str(tmp_path / "state.db"))
    kit = Kit(tmp_path, ledger=ExecutionLedger(lambda: store, at_once, Clock()))
    kit.put(cell("c1"), cell("c2"))
    page = Page(kit, "one")
    header = page.run("c1")
    kit.begin(header)
    kit.say(header, "x")
    kit.channels._requests.asker(orjson.loads(header)["msg_id"], replied=True)  # and is not in the log
    page.leave()
    killed(kit, store)
    assert [each["state"] for each in kit.executions()] == ["running"]
    kit.kernel.say("status", {"execution_state": "idle"}, header)
    assert [each["state"] for each in kit.executions()] == ["ok"]
    kit.pass_time(LOST + 10)
    assert kit.disk()[0] == (1, ["x"])


@pytest.mark.parametrize(("session", "waited_for"), [("one", ["one"]), (None, [])])
def test_the_next_daemon_waits_for_who_can_come_back(
    tmp_path: Path, session: str | None, waited_for: list[str]
) -> None:
    """What runs a notebook on the server has no session; nor have some clients."""
    store = StateStore(str(tmp_path / "state.db"))
    ledger = ExecutionLedger(lambda: store, at_once, Clock())
    kit = Kit(tmp_path, ledger=ledger)
    kit.put(cell("c1"))
    Page(kit, session).run("c1")
    record = KernelRecord(kit.channels, kit.recorder, OutputRecorder(), at_once, kit.clock.seconds, ledger)
    done(record.restore())
    assert len(record.executions) == 1
    assert list(record.away) == waited_for


def open_widget(kit: Kit, comm_id: str, header: bytes, **state: Any) -> None:
    content = {"comm_id": comm_id, "target_name": "jupyter.widget", "data": {"state": state}}
    kit.kernel.say("comm_open", content, header)


def move_widget(kit: Kit, comm_id: str, header: bytes, **state: Any) -> None:
    kit.kernel.say("comm_msg", {"comm_id": comm_id, "data": {"method": "update", "state": state}}, header)


def widgets(kit: Kit, query: str = "?client=one") -> dict[str, Any]:
    """State of each widget, by its comm."""
    told = kit.get(f"/api/kernels/k/executions{query}")["widgets"]
    return {each["comm_id"]: each["data"]["state"] for each in told}


def test_a_page_is_told_of_widgets_while_the_kernel_is_busy(kit: Kit) -> None:
    page = Page(kit, "one")
    header = page.run("c1")
    kit.begin(header)
    open_widget(kit, "w", header, value=1)
    move_widget(kit, "w", header, value=2)
    assert widgets(kit) == {"w": {"value": 2}}
    assert widgets(kit, "") == {}, "who shows nothing needs none"
    kit.finish(header)
    assert widgets(kit) == {}, "the kernel can tell itself"


def test_output_widgets_have_what_they_have_taken(kit: Kit) -> None:
    kit.put(cell("c1"), cell("c2"))
    page = Page(kit, "one")
    header = page.run("c1")
    kit.begin(header)
    open_widget(kit, "out", header, _model_name="OutputModel", msg_id="", outputs=[])
    kit.finish(header)
    kit.put(cell("c1", execution_count=1), cell("c2"))
    header = page.run("c2")
    kit.begin(header)
    move_widget(kit, "out", header, msg_id=orjson.loads(header)["msg_id"])
    kit.say(header, "taken")
    assert widgets(kit)["out"]["outputs"] == [{"output_type": "stream", "name": "stdout", "text": "taken"}]
    assert kit.executions()[0]["outputs"] == []


def told(kit: Kit) -> list[Any]:
    """What the kernel was told of its output widgets since the last call: comm id and texts."""
    heard = [content for header, _, content in kit.kernel.heard("shell") if header["msg_type"] == "comm_msg"]
    assert all(content["data"]["method"] == "update" for content in heard)
    return [
        (content["comm_id"], [each["text"] for each in content["data"]["state"]["outputs"]]) for content in heard
    ]  # fmt: skip


def capture(kit: Kit, header: bytes, text: str, count: int = 1) -> None:
    """The cell prints something within an output widget."""
    kit.begin(header, count)
    move_widget(kit, "out", header, msg_id=orjson.loads(header)["msg_id"])
    kit.say(header, text)
    move_widget(kit, "out", header, msg_id="")


def with_output_widget(kit: Kit) -> Page:
    kit.put(cell("c1"), cell("c2"), cell("c3"))
    page = Page(kit, "one")
    header = page.run("c1")
    kit.begin(header)
    open_widget(kit, "out", header, _model_name="OutputModel", msg_id="", outputs=[])
    kit.finish(header)
    return page


@pytest.mark.parametrize("back", [False, True])
def test_the_kernel_is_told_what_an_output_widget_took_while_no_page_was_there(kit: Kit, back: bool) -> None:
    page = with_output_widget(kit)
    kit.put(cell("c1", execution_count=1), cell("c2"), cell("c3"))
    first, second = page.run("c2"), page.run("c3")
    page.leave(said_goodbye=False)
    capture(kit, first, "a\n", 2)
    kit.finish(first, 2)
    assert told(kit) == [], "another cell is to be run before the kernel would hear it"
    capture(kit, second, "b\n", 3)
    if back:
        page = Page(kit, "one")
    kit.finish(second, 3)
    assert told(kit) == ([] if back else [("out", ["a\nb\n"])]), "a page that is there does it itself"
    page.leave()
    assert told(kit) == ([("out", ["a\nb\n"])] if back else []), "unless it leaves before"
    header = Page(kit, "two").run("c1")
    kit.begin(header, 4)
    assert widgets(kit)["out"]["outputs"][0]["text"] == "a\nb\n"


def test_the_kernel_is_told_what_cells_took_that_were_run_again_since(kit: Kit) -> None:
    page = with_output_widget(kit)
    first, again = page.run("c2"), page.run("c2")
    page.leave()
    capture(kit, first, "a\n", 2)
    kit.finish(first, 2)
    capture(kit, again, "b\n", 3)
    kit.finish(again, 3)
    assert told(kit) == [("out", ["a\nb\n"])]


def test_the_next_daemon_takes_nothing_twice_for_an_output_widget(tmp_path: Path) -> None:
    store = StateStore(str(tmp_path / "state.db"))
    kit = Kit(tmp_path, ledger=ExecutionLedger(lambda: store, at_once, Clock()))
    page = with_output_widget(kit)
    kit.put(cell("c1", execution_count=1), cell("c2"), cell("c3"))
    header = page.run("c2")
    capture(kit, header, "a", 2)
    outputs = [{"output_type": "stream", "name": "stdout", "text": "a"}]
    kit.kernel.say("comm_msg", {"comm_id": "out", "data": {"method": "echo_update", "state": {"outputs": outputs}}})
    killed(kit, store)
    assert widgets(kit)["out"]["outputs"] == outputs
    capture(kit, header, "b", 2)
    page.leave()
    kit.finish(header, 2)
    assert told(kit) == [("out", ["ab"])]


def test_the_kernel_is_not_told_what_it_knows_nor_when_it_has_gone(kit: Kit) -> None:
    page = with_output_widget(kit)
    header = page.run("c2")
    page.leave()
    capture(kit, header, "a", 2)
    outputs = [{"output_type": "stream", "name": "stdout", "text": "a"}]
    echo = {"method": "echo_update", "state": {"outputs": outputs}}
    kit.kernel.say("comm_msg", {"comm_id": "out", "data": echo}, header)
    kit.finish(header, 2)
    assert told(kit) == [], "the page told it before it left"
    page = Page(kit, "two")
    capture(kit, page.run("c3"), "b", 3)
    page.leave()
    told(kit)
    kit.channels.disconnect()
    assert told(kit) == []


def test_widgets_of_cells_before_are_told_too_also_by_the_next_daemon_and_none_of_a_kernel_before(
    kit: Kit, tmp_path: Path
) -> None:
    kit.put(cell("c1"), cell("c2"))
    page = Page(kit, "one")
    header = page.run("c1")
    kit.begin(header)
    open_widget(kit, "slider", header, value=1)
    kit.finish(header)
    kit.put(cell("c1", execution_count=1), cell("c2"))
    assert kit.executions() == [], "saved"
    header = page.run("c2")
    kit.begin(header)
    move_widget(kit, "slider", header, value=3)
    assert widgets(kit) == {"slider": {"value": 3}}
    store = StateStore(str(tmp_path / "state.db"))
    ledger = ExecutionLedger(lambda: store, at_once, Clock())
    record = KernelRecord(kit.channels, kit.recorder, OutputRecorder(), at_once, kit.clock.seconds, ledger)
    record.asked(read_header(header), [header, b"{}", b'{"cellId": "c2"}', b"{}"], page.cursor)
    done(record.restore())
    assert [each["data"]["state"] for each in done(record.shown([]))[1]] == [{"value": Raw(b"3")}]
    kit.channels.disconnect()
    kit.channels.connect(kit.kernel.info)
    kit.kernel.answer_kernel_info()
    kit.begin(page.run("c1"))
    assert widgets(kit) == {}


def test_pages_come_back_to_a_kernel_that_goes_on(tmp_path: Path) -> None:
    kit = Kit(tmp_path, kernels_stay=lambda: True)
    kit.put(cell("c1"), cell("c2"))
    page, other = Page(kit, "one"), Page(kit, "two")
    header, left = page.run("c1"), other.run("c2")
    other.leave()
    kit.ran(header, "x")
    kit.ran(left, "y", 2)
    result_of(kit.recorder.stopService())
    assert kit.disk() == [(None, []), (2, ["y"])]


def test_closing_twice_and_without_executions_leaves_nothing(kit: Kit) -> None:
    fired: list[Any] = []
    Deferred.fromCoroutine(kit.recorder.write("a.ipynb")).addBoth(fired.append)
    kit.channels.close("x")
    kit.channels.close("x")
    assert fired == [None]
