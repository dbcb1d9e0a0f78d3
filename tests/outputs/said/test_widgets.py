"""Widgets as their messages have made them, for pages that come while the kernel is busy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jupyterd.outputs.said import widgets as module
from jupyterd.outputs.said.widgets import Widgets
from jupyterd.web.call import encode
from tests.outputs.said.test_messages_to_outputs import parts


def hear(widgets: Widgets, said: Iterable[list[bytes]]) -> None:
    for message in said:
        widgets.hear(orjson.loads(message[0])["msg_type"], message)


def told(widgets: Widgets) -> dict[str, dict[str, Any]]:
    """By comm id, as a page gets them."""
    return {each["comm_id"]: each for each in orjson.loads(encode(widgets.models()))}


def comm(kind: str, comm_id: str, data: Any = None, *buffers: bytes, target: str = "jupyter.widget") -> list[bytes]:
    opened = {"target_name": target} if kind == "comm_open" else {}
    made = parts(kind, {"comm_id": comm_id, "data": data or {}, **opened}, "p")
    made[2] = b'{"version": "2.1.0"}'
    return [*made, *buffers]


def update(comm_id: str, state: Any, *buffers: bytes, **more: Any) -> list[bytes]:
    return comm("comm_msg", comm_id, {"method": "update", "state": state, **more}, *buffers)


def test_widgets_are_as_their_messages_have_made_them() -> None:
    widgets = Widgets()
    arrays = {"state": {"x": {"a": None}, "y": None}, "buffer_paths": [["x", "a"], ["y"]]}
    hear(
        widgets,
        [
            comm("comm_open", "layout", {"state": {"_model_name": "LayoutModel"}}),
            comm("comm_open", "bar", {"state": {"value": 0, "max": 9}}),
            comm("comm_open", "gone", {"state": {}}),
            comm("comm_open", "other", {"state": {}}, target="bokeh"),
            comm("comm_open", "array", arrays, b"old", b"stays"),
            update("bar", {"value": 4}),
            comm("comm_msg", "bar", {"method": "echo_update", "state": {"value": 5}}),
            comm("comm_msg", "bar", {"method": "custom", "content": {"value": 6}}),
            update("array", {"x": {"a": None}}, b"new", buffer_paths=[["x", "a"]]),
            update("nobody", {"value": 1}),
            comm("comm_close", "gone"),
        ],
    )
    found = told(widgets)
    assert list(found) == ["layout", "bar", "array"]
    assert found["bar"]["data"] == {"state": {"value": 5, "max": 9}, "buffer_paths": []}
    assert found["bar"]["metadata"] == {"version": "2.1.0"}
    assert found["array"]["data"]["buffer_paths"] == [["y"], ["x", "a"]]
    assert found["array"]["buffers"] == ["c3RheXM=", "bmV3"]


def test_widgets_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 10_000)
    widgets = Widgets()
    hear(widgets, [comm("comm_open", "a", {"state": {"x": "1" * 4000}})])
    for number in range(50):
        hear(widgets, [update("a", {"x": str(number) * 2000})])
    assert list(told(widgets)) == ["a"], "what replaces does not add up"
    hear(widgets, [comm("comm_open", "b", {"state": {"y": None}, "buffer_paths": [["y"]]}, b"1" * 9000)])
    assert list(told(widgets)) == ["b"], "the oldest goes first"
    hear(widgets, [update("b", {"z": "1" * 10_000}), update("b", {"y": 1})])
    assert told(widgets) == {}, "one that is too large goes, and no other for it"
    assert widgets._size == 0
    hear(widgets, [comm("comm_open", str(number)) for number in range(module.MOST + 1)])
    assert list(told(widgets))[0] == "1"
    widgets.clear()
    assert (told(widgets), widgets._size) == ({}, 0)


odd = st.recursive(
    st.none() | st.integers(-9, 9) | st.text(max_size=3), lambda inner: st.lists(inner, max_size=2)
    | st.dictionaries(st.sampled_from(["state", "buffer_paths", "method", "x"]), inner, max_size=3),
)  # fmt: skip


@example([("comm_open", "c", {"state": {"x": 1}, "buffer_paths": [[["x"]], ["x", {}], ["x"]]})])
@given(st.lists(st.tuples(st.sampled_from(["comm_open", "comm_msg", "comm_close"]), odd, odd), max_size=6))
def test_nothing_that_a_kernel_says_of_widgets_is_too_odd(said: Any) -> None:
    widgets = Widgets()
    for kind, comm_id, data in said:
        method = {"method": "update"} if kind == "comm_msg" else {}
        given = {**data, **method} if isinstance(data, dict) else data
        content = {"comm_id": comm_id or "c", "target_name": "jupyter.widget", "data": given}
        hear(widgets, [[*parts(kind, content, "p"), b"buffer"]])
    told(widgets)
