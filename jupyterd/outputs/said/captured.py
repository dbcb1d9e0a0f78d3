"""Output widgets in what a kernel says: which of them takes a cell's outputs, and what it has taken so far.

The page that shows an output widget keeps what it takes, and tells the kernel, which hears of it when the cell is over
or never. A page that comes meanwhile is told by the server, and where no page is there the server tells the kernel.
Source: the messaging protocol of ipywidgets, ``OutputModel``; nbclient does the same where there is no page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from jupyterd.outputs.said.cell_outputs import CellOutputs, Output, text_of

MODEL = "OutputModel"


@dataclass(eq=False)
class _OutputWidget:
    """One.

    :ivar msg_id: the execution whose outputs it takes; empty where it takes none.
    :ivar outputs: what it has.
    :ivar took: it has taken something since it is known.
    :ivar untold: it has taken something that the kernel does not know.
    """

    outputs: CellOutputs
    msg_id: str = ""
    took: bool = False
    untold: bool = False


class Captured:
    """What the output widgets of one kernel take.

    :param limit: bytes, roughly, that one may have, and all together twice; the oldest are let go of first.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._widgets: dict[str, _OutputWidget] = {}
        self._takers: dict[str, list[str]] = {}

    def begin(self, had: dict[str, Any]) -> None:
        """There are these widgets and no others: what each has now, by comm id."""
        self._widgets.clear()
        self._takers.clear()
        for comm_id, outputs in had.items():
            self.know(comm_id, outputs)

    def know(self, comm_id: str, outputs: Any) -> None:
        """There is such a widget, and what it has now."""
        msg_id = self._widgets[comm_id].msg_id if comm_id in self._widgets else ""
        self._widgets[comm_id] = _OutputWidget(self._filled(outputs), msg_id)

    def hear(self, kind: str, content: Output) -> None:
        """One of the kernel's messages about a comm."""
        comm_id, data = content.get("comm_id"), content.get("data")
        state = data.get("state") if isinstance(data, dict) else None
        if not isinstance(comm_id, str):
            return
        if kind == "comm_close":
            self._turn(comm_id, "")
            self._widgets.pop(comm_id, None)
        elif isinstance(data, dict) and isinstance(state, dict):
            if kind == "comm_open" and state.get("_model_name") == MODEL:
                self.know(comm_id, [])
            if comm_id in self._widgets:
                self._update(comm_id, state, data.get("method") == "echo_update")

    def _update(self, comm_id: str, state: dict[str, Any], from_page: bool) -> None:
        widget = self._widgets[comm_id]
        if "outputs" in state:
            mine = widget.outputs.outputs()
            if not (from_page and _is_begin(state["outputs"], mine)):
                widget.outputs, widget.took, widget.untold = self._filled(state["outputs"]), False, False
            elif state["outputs"] == mine:
                widget.untold = False
        if isinstance(msg_id := state.get("msg_id"), str):
            self._turn(comm_id, msg_id)

    def _turn(self, comm_id: str, msg_id: str) -> None:
        """A widget takes the outputs of another execution from now on."""
        widget = self._widgets.get(comm_id)
        if widget is None:
            return
        if comm_id in self._takers.get(widget.msg_id, ()):
            self._takers[widget.msg_id].remove(comm_id)
            if not self._takers[widget.msg_id]:
                del self._takers[widget.msg_id]
        widget.msg_id = msg_id
        if msg_id:
            self._takers.setdefault(msg_id, []).append(comm_id)

    def _filled(self, outputs: Any) -> CellOutputs:
        made = CellOutputs(self._limit)
        for each in outputs if isinstance(outputs, list) else []:
            if not isinstance(each, dict):
                continue
            if each.get("output_type") == "stream":
                made.stream(text_of(each.get("name")) or "stdout", text_of(each.get("text")))
            elif isinstance(each.get("output_type"), str):
                made.add(each, len(orjson.dumps(each)))
        return made

    def take(self, msg_id: str, put: Callable[[CellOutputs], Any], changes: bool = True) -> bool:
        """Give an execution's output to the widget that takes it, if there is one.

        :param put: puts it there.
        :param changes: what it has is something else after that.
        """
        takers = self._takers.get(msg_id)
        if not takers:
            return False
        widget = self._widgets[takers[-1]]
        put(widget.outputs)
        widget.took, widget.untold = True, widget.untold or changes
        while sum(each.outputs.size for each in self._widgets.values() if each.took) > 2 * self._limit:
            oldest = next(each for each in self._widgets.values() if each.took)
            oldest.outputs, oldest.took, oldest.untold = CellOutputs(self._limit), False, False
        return True

    def takes(self, msg_id: str) -> bool:
        """Whether a widget takes the outputs of this request."""
        return msg_id in self._takers

    def untold(self) -> dict[str, list[Output]]:
        """What those have that have taken something which the kernel does not know, by comm id; it will know now."""
        found = {comm_id: each.outputs.outputs() for comm_id, each in self._widgets.items() if each.untold}
        for each in self._widgets.values():
            each.untold = False
        return found

    def models(self) -> dict[str, list[Output]]:
        """What those have that have taken something, by comm id."""
        return {comm_id: each.outputs.outputs() for comm_id, each in self._widgets.items() if each.took}


def _is_begin(some: Any, outputs: list[Output]) -> bool:
    """Whether a list of outputs, as a page tells it a while later, is what these were at some time."""
    if not isinstance(some, list) or len(some) > len(outputs):
        return False
    for index, (each, mine) in enumerate(zip(some, outputs, strict=False)):
        if each == mine:
            continue
        texts = isinstance(each, dict) and mine["output_type"] == "stream" == each.get("output_type")
        if not (texts and index == len(some) - 1 and each.get("name") == mine["name"]):
            return False
        return bool(mine["text"].startswith(text_of(each.get("text"))))
    return True
