"""Messages become outputs as nbclient makes them."""

from __future__ import annotations

from typing import Any

import nbformat
import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from nbclient import NotebookClient
from nbclient.client import _RGX_CARRIAGERETURN

from jupyterd.outputs.said.messages_to_outputs import Replay
from jupyterd.outputs.said.stream_text import StreamText

LIMIT = 1 << 20

ids = st.sampled_from(["d1", "d2"])
texts = st.text("ab\n\r", max_size=6)
bundles = st.fixed_dictionaries({"text/plain": texts}, optional={"application/json": st.just({"a": [1]})})


@st.composite
def messages(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    kind = draw(
        st.sampled_from(
            [
                "stream",
                "stream",
                "stream",
                "display_data",
                "update_display_data",
                "execute_result",
                "error",
                "clear_output",
            ]
        )
    )
    if kind == "stream":
        return kind, {"name": draw(st.sampled_from(["stdout", "stderr"])), "text": draw(texts)}
    if kind == "error":
        return kind, {"ename": "E", "evalue": draw(texts), "traceback": ["a", "b"]}
    if kind == "clear_output":
        return kind, {"wait": draw(st.booleans())}
    transient = {"display_id": draw(ids)} if kind == "update_display_data" or draw(st.booleans()) else {}
    content = {"data": draw(bundles), "metadata": {"k": draw(texts)}, "transient": transient}
    return kind, {**content, "execution_count": 3} if kind == "execute_result" else content


def parts(kind: str, content: Any, parent: str, number: int = 0) -> list[bytes]:
    header = {"msg_id": f"{parent}-{number}", "msg_type": kind, "session": "k"}
    return [
        orjson.dumps(header),
        orjson.dumps({"msg_id": parent, "msg_type": "execute_request"}),
        b"{}",
        orjson.dumps(content),
    ]


def by_nbclient(said: list[list[tuple[str, dict[str, Any]]]]) -> list[list[dict[str, Any]]]:
    """Cell by cell, as nbclient runs them; then neighbouring text joined, and its carriage returns applied."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(id=f"c{i}") for i in range(len(said))])
    client = NotebookClient(notebook)
    client.reset_execution_trackers()
    for index, cell in enumerate(said):
        client.clear_before_next_output = False
        for kind, content in cell:
            message = {
                "msg_type": kind,
                "header": {"msg_type": kind},
                "parent_header": {"msg_id": f"m{index}"},
                "content": orjson.loads(orjson.dumps(content)),
            }
            client.process_message(message, notebook.cells[index], index)
    return [joined(cell.outputs) for cell in notebook.cells]


def joined(outputs: list[Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for output in outputs:
        output = dict(output)
        last = found[-1] if found else {}
        if output["output_type"] == "stream" == last.get("output_type") and output["name"] == last["name"]:
            last["text"] += output["text"]
        else:
            found.append(output)
    for output in found:
        if output["output_type"] == "stream":
            output["text"] = _RGX_CARRIAGERETURN.sub("", output["text"])
    return [output for output in found if output.get("text") != ""]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(messages(), max_size=8), min_size=1, max_size=3), st.integers(1, 5))
def test_outputs_are_nbclients(said: list[list[tuple[str, dict[str, Any]]]], step: int) -> None:
    replay = Replay(LIMIT)
    everything = []
    for index, cell in enumerate(said):
        replay.begin(f"m{index}")
        everything += [parts(kind, content, f"m{index}", n) for n, (kind, content) in enumerate(cell)]
    for start in range(0, len(everything), step):  # in steps as at once
        replay.feed(everything[start : start + step])
    expected = by_nbclient(said)
    for index, cell in enumerate(said):
        outputs = replay[f"m{index}"].outputs()
        assert outputs == expected[index]
        nbformat.validate(_notebook(outputs))
        assert replay[f"m{index}"].last_msg_id == (f"m{index}-{len(cell) - 1}" if cell else None)


def _notebook(outputs: list[Any]) -> Any:
    cell = nbformat.v4.new_code_cell(outputs=[nbformat.from_dict(output) for output in outputs])
    return nbformat.v4.new_notebook(cells=[cell])


@given(st.lists(st.text("ab\n\r", max_size=8), max_size=8))
def test_text_in_pieces_is_text_at_once(pieces: list[str]) -> None:
    text = StreamText("stdout", LIMIT)
    for piece in pieces:
        text.add(piece)
    assert text.text() == _RGX_CARRIAGERETURN.sub("", "".join(pieces))


@given(st.lists(st.text("ab\n\b", max_size=8), max_size=8))
def test_backspaces_delete_what_was_before_them_on_their_line(pieces: list[str]) -> None:
    text = StreamText("stdout", LIMIT)
    for piece in pieces:
        text.add(piece)
    expected: list[str] = []
    for character in "".join(pieces):
        if character != "\b":
            expected.append(character)
        elif expected and expected[-1] != "\n":
            expected.pop()
    assert text.text() == "".join(expected)


@given(st.lists(st.text("ab\r", max_size=9).map(lambda line: line + "\n"), max_size=60), st.integers(20, 200))
def test_text_is_bounded_its_ends_are_kept_and_the_gap_is_told(pieces: list[str], limit: int) -> None:
    text, whole = StreamText("stdout", limit), StreamText("stdout", LIMIT)
    for piece in pieces:
        text.add(piece)
        whole.add(piece)
    said, full = text.text(), whole.text()
    assert text.size <= limit + 20
    if not text.left_out:
        assert said == full
    else:
        head, _, rest = said.partition("\n[jupyterd] ")
        assert full.startswith(head)
        assert full.endswith(rest.partition("\n")[2])


def test_a_line_without_an_end_is_bounded_too() -> None:
    text = StreamText("stdout", 1000)
    for _ in range(1000):
        text.add("x" * 100)
    assert text.size <= 1200
    assert text.left_out > 98_000


def test_the_last_of_very_many_updates_wins() -> None:
    replay = Replay(LIMIT)
    replay.begin("m")
    replay.feed([parts("display_data", {"data": {"text/plain": "0"}, "transient": {"display_id": "d"}}, "m")])
    replay.feed(
        parts("update_display_data", {"data": {"text/plain": f"{n}"}, "transient": {"display_id": "d"}}, "other", n)
        for n in range(10_000)
    )
    (output,) = replay["m"].outputs()
    assert output["data"] == {"text/plain": "9999"}


def test_more_than_a_cell_may_have_is_left_out_and_told_but_never_its_error() -> None:
    replay = Replay(10_000)
    replay.begin("m")
    replay.feed(parts("display_data", {"data": {"image/png": "x" * 3000}, "metadata": {}}, "m", n) for n in range(10))
    replay.feed([parts("error", {"ename": "E", "evalue": "e" * 3000, "traceback": []}, "m")])
    kinds = [output["output_type"] for output in replay["m"].outputs()]
    assert kinds == ["display_data"] * 3 + ["error", "stream"]
    assert "7 outputs are left out" in replay["m"].outputs()[-1]["text"]
    replay.feed([parts("clear_output", {"wait": False}, "m"), parts("stream", {"name": "stdout", "text": "x"}, "m")])
    assert replay["m"].outputs() == [{"output_type": "stream", "name": "stdout", "text": "x"}]


def test_what_is_no_output_says_nothing_and_what_is_of_no_valid_kind_becomes_text() -> None:
    replay = Replay(LIMIT)
    replay.begin("m")
    good = parts("stream", {"name": "stdout", "text": "x"}, "m")
    replay.feed(
        [
            [b"no json", good[1], b"{}", b"{}"],
            [good[0], good[1], b"{}", b"no json"],
            parts("stream", [1], "m"),
            parts("display_data", {"data": {"image/png": 5, "text/plain": ["a", "b"], "application/json": 5}}, "m"),
            parts("error", {}, "m"),
        ]
    )
    display, error = replay["m"].outputs()
    assert display["data"] == {"image/png": "5", "text/plain": "ab", "application/json": 5}
    assert error == {"output_type": "error", "ename": "", "evalue": "", "traceback": []}
    nbformat.validate(_notebook([display, error]))


def test_what_an_output_widget_captures_is_not_the_cells() -> None:
    replay = Replay(LIMIT)
    replay.begin("m")
    state = {"_model_name": "OutputModel", "_model_module": "@jupyter-widgets/output", "msg_id": "", "outputs": []}
    say = [
        parts("comm_open", {"comm_id": "w", "target_name": "jupyter.widget", "data": {"state": state}}, "m"),
        parts("display_data", {"data": {"application/vnd.jupyter.widget-view+json": {"model_id": "w"}}}, "m"),
        parts("comm_msg", {"comm_id": "w", "data": {"method": "update", "state": {"msg_id": "m"}}}, "m"),
        parts("stream", {"name": "stdout", "text": "captured"}, "m"),
        parts("clear_output", {"wait": False}, "m"),
        parts("comm_msg", {"comm_id": "w", "data": {"method": "update", "state": {"msg_id": ""}}}, "m"),
        parts("stream", {"name": "stdout", "text": "mine"}, "m"),
    ]
    replay.feed(say)
    view, text = replay["m"].outputs()
    assert view["data"] == {"application/vnd.jupyter.widget-view+json": {"model_id": "w"}}
    assert text["text"] == "mine"
    assert replay.captured.models() == {"w": []}, "it was cleared"
