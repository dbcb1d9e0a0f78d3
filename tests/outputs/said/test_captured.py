"""What output widgets take of cells' outputs, for pages that come while the kernel is busy."""

from __future__ import annotations

from typing import Any

import pytest

from jupyterd.outputs.said.messages_to_outputs import Replay
from tests.outputs.said.test_messages_to_outputs import LIMIT, parts
from tests.outputs.said.test_widgets import comm, update


def text(said: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": said}


def say(said: str) -> list[bytes]:
    return parts("stream", {"name": "stdout", "text": said}, "m")


def echo(outputs: list[Any]) -> list[bytes]:
    return comm("comm_msg", "w", {"method": "echo_update", "state": {"outputs": outputs}})


OPENED = comm("comm_open", "w", {"state": {"_model_name": "OutputModel", "msg_id": "", "outputs": []}})
TAKES, LEAVES = update("w", {"msg_id": "m"}), update("w", {"msg_id": ""})
SHOWS = parts("display_data", {"data": {"text/plain": "x"}, "metadata": {}}, "m")
SHOWN = {"output_type": "display_data", "data": {"text/plain": "x"}, "metadata": {}}


def replayed(*said: list[bytes], limit: int = LIMIT, had: list[Any] | None = None) -> Replay:
    replay = Replay(limit)
    replay.begin("m")
    if had is not None:
        replay.captured.know("w", had)
    replay.feed(said)
    return replay


@pytest.mark.parametrize(
    ("said", "has"),
    [
        ([OPENED, say("mine")], None),
        ([OPENED, TAKES, say("a"), say("b"), SHOWS, LEAVES, say("mine")], [text("ab"), SHOWN]),
        ([OPENED, TAKES, say("a"), say("b"), echo([text("a")])], [text("ab")]),
        ([OPENED, TAKES, say("a"), SHOWS, echo([text("a")]), say("b")], [text("a"), SHOWN, text("b")]),
        ([OPENED, TAKES, say("a"), update("w", {"outputs": []}), say("b")], [text("b")]),
        ([OPENED, TAKES, say("a"), echo([text("other")]), say("b")], [text("otherb")]),
        ([OPENED, TAKES, say("a"), update("w", {"outputs": [5, {"output_type": 5}]}), say("b")], [text("b")]),
        ([OPENED, TAKES, say("a"), parts("clear_output", {"wait": True}, "m"), SHOWS], [SHOWN]),
        ([OPENED, TAKES, parts("error", {"ename": "E"}, "m")],
         [{"output_type": "error", "ename": "E", "evalue": "", "traceback": []}]),
        ([OPENED, TAKES, say("a"), comm("comm_close", "w"), say("mine")], None),
    ],
)  # fmt: skip
def test_what_a_widget_has(said: list[list[bytes]], has: Any) -> None:
    replay = replayed(*said)
    shown = replay.captured.models().get("w")
    assert [each for each in shown or [] if each["output_type"] != "stream" or each["text"]] == (has or [])
    assert ("mine" in str(replay["m"].outputs())) == (say("mine") in said)


def test_one_that_was_made_before_goes_on_from_what_it_had() -> None:
    replay = replayed(TAKES, say("b"), had=[SHOWN])
    assert replay.captured.models() == {"w": [SHOWN, text("b")]}
    assert replay["m"].outputs() == []


def test_what_all_have_is_bounded() -> None:
    replay = Replay(1000)
    replay.begin("m")
    for number in range(9):
        replay.feed([comm("comm_open", str(number), {"state": {"_model_name": "OutputModel", "msg_id": "m"}})])
        replay.feed([say("x" * 500)])
    assert list(replay.captured.models()) == ["7", "8"]
