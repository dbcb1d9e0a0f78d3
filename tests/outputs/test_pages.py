"""Pages of a notebook: closed, lost, taken over, several at once; who of them saves."""

from __future__ import annotations

import orjson

from tests.outputs.daemon_in_memory import CLOSED, LOST, Kit, Page, cell, names


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
