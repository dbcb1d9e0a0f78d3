"""Widgets: what pages and the kernel are told of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from msgspec import Raw
from twisted.internet.task import Clock

from jupyterd.kernels.messages.websocket_codec import read_header
from jupyterd.outputs.kernel_record import KernelRecord
from jupyterd.outputs.ledger import ExecutionLedger
from jupyterd.outputs.settings import OutputRecorder
from jupyterd.state.store import StateStore
from jupyterd.testing.deferreds import at_once
from tests.outputs.daemon_in_memory import Kit, Page, cell, done, killed


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
