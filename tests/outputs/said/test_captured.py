"""What output widgets take of cells' outputs, for pages that come while the kernel is busy."""

from __future__ import annotations

from typing import Any

import nbformat
import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from nbclient import NotebookClient

from jupyterd.outputs.said.messages_to_outputs import Replay
from tests.outputs.said.test_messages_to_outputs import LIMIT, joined, parts
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


class NoKernel:
    """What nbclient's output widgets tell the kernel."""

    def __init__(self) -> None:
        self.told: dict[str, Any] = {}
        self.session = self.shell_channel = self

    def msg(self, kind: str, content: Any, parent: Any, metadata: Any) -> Any:
        return content

    def send(self, content: Any) -> None:
        self.told[content["comm_id"]] = content["data"]["state"]["outputs"]


WIDGETS = ("w1", "w2")
OPEN = {"_model_module": "@jupyter-widgets/output", "_model_name": "OutputModel", "msg_id": "", "outputs": []}

names = st.sampled_from(["stdout", "stderr"])
texts = st.text("ab\n", min_size=1, max_size=3)
outputs = st.one_of(
    st.builds(lambda name, text: ("stream", {"name": name, "text": text}), names, texts),
    st.builds(lambda text: ("display_data", {"data": {"text/plain": text}, "metadata": {}}), texts),
    st.builds(lambda text: ("error", {"ename": "E", "evalue": text, "traceback": []}), texts),
    st.builds(lambda wait: ("clear_output", {"wait": wait}), st.booleans()),
)  # fmt: skip
blocks: st.SearchStrategy[Any] = st.recursive(
    outputs, lambda inner: st.tuples(st.sampled_from(WIDGETS), st.lists(inner, max_size=4)), max_leaves=20
)


def flat(block: Any, inside: tuple[str, ...] = ()) -> list[tuple[str, Any]]:
    """The messages of code like ``with w1: ...``: no widget is entered twice, as ipywidgets does not allow for that."""
    kind, content = block
    if kind not in WIDGETS:
        return [block]
    said = [each for inner in content for each in flat(inner, (*inside, kind))]
    turn = [("comm_msg", {"comm_id": kind, "data": {"method": "update", "state": {"msg_id": on}}}) for on in ("m", "")]
    return said if kind in inside else [turn[0], *said, turn[1]]


@example([("w1", [("clear_output", {"wait": True})])], 1)
@settings(max_examples=150, deadline=None)
@given(st.lists(blocks, max_size=6), st.integers(1, 4))
def test_widgets_take_what_nbclients_take_and_their_kernel_is_told_the_same(code: list[Any], step: int) -> None:
    opened = [
        ("comm_open", {"comm_id": each, "target_name": "jupyter.widget", "data": {"state": OPEN}}) for each in WIDGETS
    ]
    said = [*opened, *(message for block in code for message in flat(block))]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(id="c")])
    client, kernel = NotebookClient(notebook), NoKernel()
    client.reset_execution_trackers()
    client.kc, client.clear_before_next_output = kernel, False
    for kind, content in orjson.loads(orjson.dumps(said)):
        message = {"msg_type": kind, "header": {"msg_type": kind}, "parent_header": {"msg_id": "m"}, "content": content}
        client.process_message(message, notebook.cells[0], 0)
    replay = replayed()
    for start in range(0, len(said), step):
        replay.feed(parts(kind, content, "m") for kind, content in said[start : start + step])
    assert replay["m"].outputs() == joined(notebook.cells[0].outputs)
    assert replay.captured.untold() == {comm_id: joined(has) for comm_id, has in kernel.told.items()}
    assert replay.captured.untold() == {}, "once"
