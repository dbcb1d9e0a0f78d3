"""Messages of a kernel -> outputs of its cells, as notebooks hold them: a function of the log, computed in steps.

Follows nbformat's ``output_from_msg`` and nbclient: neighbouring text of one stream is one output, ``clear_output``
with ``wait`` clears with the next output, ``update_display_data`` changes each output of its display id in whatever
cell, and what an output widget captures is its own and not the cell's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from jupyterd.kernels.messages.websocket_codec import UNREADABLE, Header, Parts, read_header, read_parent
from jupyterd.outputs.said.stream_text import StreamText
from jupyterd.outputs.said.widgets import Widgets

Output = dict[str, Any]
"""An output as nbformat has it, its text and data in one piece."""

_RICH = frozenset({"display_data", "execute_result", "update_display_data"})
_COMMS = frozenset({"comm_open", "comm_msg", "comm_close"})
_HEARD = _RICH | _COMMS | {"stream", "error", "clear_output", "execute_input", "status"}
OVERHEAD = 400
"""Bytes that any output counts beside its data."""

_DISPLAYS = 65536
"""Display ids that are remembered; the oldest go first."""


class Said(NamedTuple):
    """What one execution has said up to some moment.

    :ivar clears_next: its next output clears those before it.
    :ivar idle: the kernel was done with it: nothing follows.
    """

    outputs: list[Output]
    execution_count: int | None = None
    last_msg_id: str | None = None
    clears_next: bool = False
    idle: bool = False


@dataclass(eq=False)
class CellOutputs:
    """What one execution has said so far.

    :ivar count: its execution count, once the kernel told.
    :ivar last_msg_id: the id of its last message that is in here.
    :ivar idle: the kernel was done with it.
    """

    limit: int
    count: int | None = None
    last_msg_id: str | None = None
    idle: bool = False
    _items: list[StreamText | Output] = field(default_factory=list)
    _clear_next: bool = False
    _left_out: int = 0
    size: int = 0
    """Bytes that are kept, roughly."""

    def outputs(self, display_ids: Mapping[int, str] | None = None) -> list[Output]:
        """As a notebook holds them; a copy.

        :param display_ids: by ``id`` of what is kept; those that have one get it, as the messages had it.
        """
        found: list[Output] = [
            {"output_type": "stream", "name": item.name, "text": item.text()}
            if isinstance(item, StreamText)
            else {**item, "transient": {"display_id": display_ids[id(item)]}}
            if display_ids and id(item) in display_ids
            else dict(item)
            for item in self._items
        ]
        if self._left_out:
            text = f"[jupyterd] {self._left_out} outputs are left out here: more than the outputs of a cell may have.\n"
            found.append({"output_type": "stream", "name": "stderr", "text": text})
        return [each for each in found if each["output_type"] != "stream" or each["text"]]

    def stream(self, name: str, text: str) -> None:
        """Text of a stream."""
        self._clear_if_due()
        last = self._items[-1] if self._items else None
        if not isinstance(last, StreamText) or last.name != name:
            if self.size >= self.limit:
                self._left_out += 1
                return
            last = StreamText(name, self.limit - self.size)
            self._items.append(last)
            self.size += OVERHEAD
        before = last.size
        last.add(text)
        self.size += last.size - before

    def add(self, output: Output, size: int) -> bool:
        """Any other output; whether there is room for it."""
        self._clear_if_due()
        room = self.limit * (2 if output["output_type"] == "error" else 1)
        if self.size + size > room:
            self._left_out += 1
            return False
        self.size += size + OVERHEAD
        self._items.append(output)
        return True

    def clear(self, wait: bool) -> bool:
        """Clear all, now or with the next output; whether it was now."""
        if wait:
            self._clear_next = True
        else:
            self._clear_now()
        return not wait

    @property
    def clears_next(self) -> bool:
        """The next output clears those before it."""
        return self._clear_next

    def _clear_if_due(self) -> None:
        if self._clear_next:
            self._clear_now()

    def _clear_now(self) -> None:
        self._items.clear()
        self.size = self._left_out = 0
        self._clear_next = False


class Replay:
    """The outputs of one kernel's executions.

    :param limit: bytes, roughly, that the outputs of one execution may have.
    :ivar widgets: those that its cells have made.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.widgets = Widgets()
        self._cells: dict[str, CellOutputs] = {}
        self._displays: dict[str, list[tuple[str, Output]]] = {}
        self._widgets: dict[str, str] = {}
        self._captured: dict[str, list[str]] = {}

    def __contains__(self, msg_id: object) -> bool:
        return msg_id in self._cells

    def __getitem__(self, msg_id: str) -> CellOutputs:
        """What an execution that was begun has said."""
        return self._cells[msg_id]

    def said(self, msg_ids: Iterable[str], for_pages: bool) -> dict[str, Said]:
        """What executions have said until now.

        :param for_pages: outputs that may be updated have their display id in ``transient``, which files do not have.
        """
        display_ids = (
            {id(output): name for name, places in self._displays.items() for _, output in places} if for_pages else None
        )
        cells = {msg_id: self._cells[msg_id] for msg_id in msg_ids if msg_id in self._cells}
        return {
            msg_id: Said(cell.outputs(display_ids), cell.count, cell.last_msg_id, cell.clears_next, cell.idle)
            for msg_id, cell in cells.items()
        }

    def begin(self, msg_id: str) -> None:
        """The outputs of this execution are wanted."""
        self._cells.setdefault(msg_id, CellOutputs(self._limit))

    def forget(self, msg_id: str) -> None:
        """They are not wanted any more."""
        if self._cells.pop(msg_id, None) is not None:
            self._unlist(msg_id)

    def feed(self, messages: Iterable[Parts]) -> None:
        """More of what the kernel said on iopub, in its order. What can not be read says nothing."""
        for parts in messages:
            parent = read_parent(parts[1]).msg_id
            cell = self._cells.get(parent)
            try:
                header = read_header(parts[0])
                if header.msg_type in _HEARD and (cell is not None or not _is_of_one_cell(header.msg_type)):
                    content = orjson.loads(parts[3])
                    if isinstance(content, dict):
                        if header.msg_type in _COMMS:
                            metadata = orjson.loads(parts[2])
                            self.widgets.hear(header.msg_type, content, metadata, parts[4:], len(parts[3]))
                        self._hear(header, parent, cell, content, len(parts[3]))
            except (*UNREADABLE, orjson.JSONDecodeError):
                continue
            if cell is not None:
                cell.last_msg_id = header.msg_id

    def _hear(self, header: Header, parent: str, cell: CellOutputs | None, content: Output, size: int) -> None:
        kind = header.msg_type
        if kind in ("comm_open", "comm_msg"):
            self._comm(kind, content)
        elif kind in _RICH:
            self._display(kind, parent, cell, content, size)
        elif cell is None:
            return
        elif kind == "status":
            cell.idle = cell.idle or content.get("execution_state") == "idle"
        elif kind == "execute_input":
            cell.count = _count(content)
        elif self._captured.get(parent):
            return
        elif kind == "stream":
            cell.stream(_text(content.get("name")) or "stdout", _text(content.get("text")))
        elif kind == "error":
            self._add(parent, cell, _error(content), size)
        elif cell.clear(bool(content.get("wait"))):
            self._unlist(parent)

    # -- rich outputs

    def _display(self, kind: str, parent: str, cell: CellOutputs | None, content: Output, size: int) -> None:
        transient = content.get("transient")
        display_id = transient.get("display_id") if isinstance(transient, dict) else None
        data, metadata = _bundle(content.get("data")), _object(content.get("metadata"))
        if isinstance(display_id, str):
            for _, shown in self._displays.get(display_id, ()):
                shown["data"], shown["metadata"] = data, metadata
        if kind == "update_display_data" or cell is None or self._captured.get(parent):
            return
        output: Output = {"output_type": kind, "data": data, "metadata": metadata}
        if kind == "execute_result":
            output["execution_count"] = cell.count = _count(content)
        if self._add(parent, cell, output, size) and isinstance(display_id, str):
            self._displays.setdefault(display_id, []).append((parent, output))
            if len(self._displays) > _DISPLAYS:
                del self._displays[next(iter(self._displays))]

    def _add(self, parent: str, cell: CellOutputs, output: Output, size: int) -> bool:
        if cell.clears_next:
            self._unlist(parent)
        return cell.add(output, size)

    def _unlist(self, msg_id: str) -> None:
        for display_id, places in list(self._displays.items()):
            left = [place for place in places if place[0] != msg_id]
            if left:
                self._displays[display_id] = left
            else:
                del self._displays[display_id]

    # -- output widgets

    def _comm(self, kind: str, content: Output) -> None:
        comm_id, data = content.get("comm_id"), _object(content.get("data"))
        state = _object(data.get("state"))
        if not isinstance(comm_id, str):
            return
        if kind == "comm_open":
            if state.get("_model_name") != "OutputModel" or content.get("target_name") != "jupyter.widget":
                return
            self._widgets[comm_id] = ""
        if comm_id in self._widgets and isinstance(captured := state.get("msg_id"), str):
            before, self._widgets[comm_id] = self._widgets[comm_id], captured
            if comm_id in self._captured.get(before, ()):
                self._captured[before].remove(comm_id)
            if captured:
                self._captured.setdefault(captured, []).append(comm_id)


def _is_of_one_cell(kind: str) -> bool:
    return kind not in _COMMS and kind not in _RICH


def _count(content: Output) -> int | None:
    count = content.get("execution_count")
    return count if isinstance(count, int) and count >= 0 else None


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "".join(map(_text, value))
    return value if isinstance(value, str) else "" if value is None else str(value)


def _object(value: Any) -> Output:
    return value if isinstance(value, dict) else {}


def _bundle(value: Any) -> Output:
    """Data by mime type. What is not JSON's must be text; a kernel that sends anything else gets it as text."""
    return {mime: each if is_json_mime(mime) else _text(each) for mime, each in _object(value).items()}


def is_json_mime(mime: str) -> bool:
    """Whether data of this type is any JSON. Source: nbformat's schema of format 4."""
    return mime == "application/json" or (mime.startswith("application/") and mime.endswith("+json"))


def _error(content: Output) -> Output:
    traceback = content.get("traceback")
    lines = [_text(line) for line in traceback] if isinstance(traceback, list) else []
    ename, evalue = _text(content.get("ename")), _text(content.get("evalue"))
    return {"output_type": "error", "ename": ename, "evalue": evalue, "traceback": lines}
