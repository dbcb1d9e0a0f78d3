"""Messages of a kernel -> outputs of its cells, as notebooks hold them: a function of the log, computed in steps.

Follows nbformat's ``output_from_msg`` and nbclient: neighbouring text of one stream is one output, ``clear_output``
with ``wait`` clears with the next output, ``update_display_data`` changes each output of its display id in whatever
cell, and what an output widget captures is its own and not the cell's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson

from jupyterd.kernels.messages.websocket_codec import COMMS, UNREADABLE, Header, Parts, read_header, read_parent
from jupyterd.outputs.said.captured import Captured
from jupyterd.outputs.said.cell_outputs import CellOutputs, Output, text_of

_RICH = frozenset({"display_data", "execute_result", "update_display_data"})
_HEARD = _RICH | COMMS | {"stream", "error", "clear_output", "execute_input", "status"}

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


class Replay:
    """The outputs of one kernel's executions.

    :param limit: bytes, roughly, that the outputs of one execution may have.
    :ivar captured: what output widgets have of them.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._cells: dict[str, CellOutputs] = {}
        self._displays: dict[str, list[tuple[str, Output]]] = {}
        self.captured = Captured(limit)

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
                heard = cell is not None or self.captured.takes(parent) or not _is_of_one_cell(header.msg_type)
                if header.msg_type in _HEARD and heard:
                    content = orjson.loads(parts[3])
                    if isinstance(content, dict):
                        self._hear(header, parent, cell, content, len(parts[3]))
            except (*UNREADABLE, orjson.JSONDecodeError):
                continue
            if cell is not None:
                cell.last_msg_id = header.msg_id

    def _hear(self, header: Header, parent: str, cell: CellOutputs | None, content: Output, size: int) -> None:
        kind = header.msg_type
        if kind in COMMS:
            self.captured.hear(kind, content)
        elif kind in _RICH:
            self._display(kind, parent, cell, content, size)
        elif kind == "stream":
            name, text = text_of(content.get("name")) or "stdout", text_of(content.get("text"))
            if not self.captured.take(parent, lambda widget: widget.stream(name, text)) and cell is not None:
                cell.stream(name, text)
        elif kind == "error":
            self._add(parent, cell, _error(content), size)
        elif kind == "clear_output":
            self._clear(parent, cell, bool(content.get("wait")))
        elif cell is not None:
            self._note(kind, cell, content)

    def _note(self, kind: str, cell: CellOutputs, content: Output) -> None:
        if kind == "status":
            cell.idle = cell.idle or content.get("execution_state") == "idle"
        elif kind == "execute_input":
            cell.count = _count(content)

    def _clear(self, parent: str, cell: CellOutputs | None, wait: bool) -> None:
        if self.captured.take(parent, lambda widget: widget.clear(wait), changes=not wait) or cell is None:
            return
        if cell.clear(wait):
            self._unlist(parent)

    # -- rich outputs

    def _display(self, kind: str, parent: str, cell: CellOutputs | None, content: Output, size: int) -> None:
        transient = content.get("transient")
        display_id = transient.get("display_id") if isinstance(transient, dict) else None
        data, metadata = _bundle(content.get("data")), _object(content.get("metadata"))
        if isinstance(display_id, str):
            for _, shown in self._displays.get(display_id, ()):
                shown["data"], shown["metadata"] = data, metadata
        if kind == "update_display_data":
            return
        output: Output = {"output_type": kind, "data": data, "metadata": metadata}
        if kind == "execute_result":
            output["execution_count"] = count = _count(content)
            if cell is not None:
                cell.count = count
        if self._add(parent, cell, output, size) and isinstance(display_id, str):
            self._displays.setdefault(display_id, []).append((parent, output))
            if len(self._displays) > _DISPLAYS:
                del self._displays[next(iter(self._displays))]

    def _add(self, parent: str, cell: CellOutputs | None, output: Output, size: int) -> bool:
        """Whether it is the cell's, and there is room for it."""
        if self.captured.take(parent, lambda widget: widget.add(output, size)) or cell is None:
            return False
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


def _is_of_one_cell(kind: str) -> bool:
    return kind not in COMMS and kind not in _RICH


def _count(content: Output) -> int | None:
    count = content.get("execution_count")
    return count if isinstance(count, int) and count >= 0 else None


def _object(value: Any) -> Output:
    return value if isinstance(value, dict) else {}


def _bundle(value: Any) -> Output:
    """Data by mime type. What is not JSON's must be text; a kernel that sends anything else gets it as text."""
    return {mime: each if is_json_mime(mime) else text_of(each) for mime, each in _object(value).items()}


def is_json_mime(mime: str) -> bool:
    """Whether data of this type is any JSON. Source: nbformat's schema of format 4."""
    return mime == "application/json" or (mime.startswith("application/") and mime.endswith("+json"))


def _error(content: Output) -> Output:
    traceback = content.get("traceback")
    lines = [text_of(line) for line in traceback] if isinstance(traceback, list) else []
    ename, evalue = text_of(content.get("ename")), text_of(content.get("evalue"))
    return {"output_type": "error", "ename": ename, "evalue": evalue, "traceback": lines}
