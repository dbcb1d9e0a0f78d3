"""Widgets of a kernel, as a page is to be told of them while the kernel is busy and can not tell itself.

A page's widget manager asks the kernel which widgets there are. A kernel that runs a cell answers when that is over;
until then what its messages have said so far is all there is. They are heard as they come: what earlier cells have
said is in no log any more when somebody asks.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from jupyterd.kernels.messages.websocket_codec import UNREADABLE, Bytes, Parts
from jupyterd.outputs.said.captured import MODEL

TARGET = "jupyter.widget"
"""The comm target of widgets, whose messages are known. Source: the messaging protocol of ipywidgets."""

MAX_BYTES = 8 * 1024 * 1024
"""Bytes, roughly, that are kept of the widgets of one kernel; the oldest go first."""

MOST = 2000
"""Widgets of one kernel that are kept."""

_OUTPUT_MODEL = f'"{MODEL}"'.encode()
_UPDATES = ("update", "echo_update")

Path = tuple[str | int, ...]


class _Comm(msgspec.Struct, gc=False):
    """What is read of any message about a comm."""

    comm_id: str
    target_name: str = ""
    data: msgspec.Raw = msgspec.Raw(b"{}")


class _Data(msgspec.Struct, gc=False):
    """What is read of a widget's message: values stay JSON as it came."""

    method: str = ""
    state: dict[str, msgspec.Raw] | None = None
    buffer_paths: list[Any] | None = None


_read_comm = msgspec.json.Decoder(_Comm).decode
_read_data = msgspec.json.Decoder(_Data).decode
_read_metadata = msgspec.json.Decoder(dict[str, Any]).decode


@dataclass(eq=False)
class _Widget:
    """One widget: how it was opened, with its state as it is now.

    :ivar state: JSON by key.
    :ivar buffers: binary parts of the state, by where in it they belong.
    """

    metadata: bytes
    state: dict[str, bytes] = field(default_factory=dict)
    buffers: dict[Path, bytes] = field(default_factory=dict)
    size: int = 0

    def update(self, data: _Data, buffers: Sequence[Bytes]) -> None:
        """Keys of the state have other values."""
        state = data.state or {}
        self.state.update((key, bytes(value)) for key, value in state.items())
        self.buffers = {path: each for path, each in self.buffers.items() if path[0] not in state}
        for path, each in zip(data.buffer_paths or (), buffers, strict=False):
            if _is_path(path) and path[0] in state:
                self.buffers[tuple(path)] = bytes(each)
        self.size = sum(map(len, self.state.values())) + sum(map(len, self.buffers.values()))

    @property
    def is_output(self) -> bool:
        """It takes outputs of cells."""
        return self.state.get("_model_name") == _OUTPUT_MODEL

    def model(self, comm_id: str) -> dict[str, Any]:
        """What it would be opened with, were it opened now."""
        state = {key: msgspec.Raw(value) for key, value in self.state.items()}
        return {
            "comm_id": comm_id,
            "target_name": TARGET,
            "metadata": _metadata(self.metadata),
            "data": {"state": state, "buffer_paths": [list(path) for path in self.buffers]},
            "buffers": [base64.b64encode(each).decode() for each in self.buffers.values()],
        }


def _is_path(path: Any) -> bool:
    return isinstance(path, list) and bool(path) and all(isinstance(step, str | int) for step in path)


def _metadata(data: bytes) -> dict[str, Any]:
    try:
        return _read_metadata(data)
    except UNREADABLE:
        return {}


class Widgets:
    """Those of one kernel that it has opened and not closed.

    :ivar capturing: an output widget was told to take a request's outputs, and nobody has looked at what it took.
    """

    def __init__(self) -> None:
        self._open: dict[str, _Widget] = {}
        self._size = 0
        self.capturing = False

    def hear(self, kind: str, parts: Parts) -> None:
        """One of the kernel's messages about a comm. What can not be read says nothing.

        :param kind: ``comm_open``, ``comm_msg`` or ``comm_close``.
        """
        try:
            comm = _read_comm(parts[3])
            if kind == "comm_close" or (kind == "comm_open" and comm.target_name != TARGET):
                self._drop(comm.comm_id)
                return
            if kind != "comm_open" and comm.comm_id not in self._open:
                return
            data = _read_data(comm.data)
        except UNREADABLE:
            return
        if kind == "comm_open":
            self._drop(comm.comm_id)
            self._open[comm.comm_id] = _Widget(bytes(parts[2]))
        elif data.method not in _UPDATES:
            return
        self._update(comm.comm_id, data, parts)

    def _update(self, comm_id: str, data: _Data, parts: Parts) -> None:
        if sum(map(len, parts)) > MAX_BYTES:  # not all others for the sake of one
            self._drop(comm_id)
            return
        widget = self._open[comm_id]
        self._size -= widget.size
        widget.update(data, parts[4:])
        self._size += widget.size
        if data.state and "msg_id" in data.state and widget.is_output and bytes(data.state["msg_id"]) != b'""':
            self.capturing = True
        self._bound()

    def _bound(self) -> None:
        while self._size > MAX_BYTES or len(self._open) > MOST:
            self._drop(next(iter(self._open)))

    def _drop(self, comm_id: str) -> None:
        gone = self._open.pop(comm_id, None)
        if gone is not None:
            self._size -= gone.size

    def clear(self) -> None:
        """The process is gone, and its widgets with it."""
        self._open.clear()
        self._size = 0
        self.capturing = False

    def took(self, comm_id: str, outputs: bytes) -> None:
        """An output widget has these outputs now, as JSON: the server tells the kernel, and not the kernel us."""
        widget = self._open.get(comm_id)
        if widget is None:
            return
        if len(outputs) > MAX_BYTES:
            self._drop(comm_id)
            return
        self._size -= widget.size
        widget.update(_Data(state={"outputs": msgspec.Raw(outputs)}), ())
        self._size += widget.size
        self._bound()

    def output_widgets(self) -> dict[str, Any]:
        """What the output widgets have, by comm id."""
        found = {}
        for comm_id, widget in self._open.items():
            if widget.is_output:
                found[comm_id] = msgspec.json.decode(widget.state.get("outputs", b"[]"))
        return found

    def models(self) -> list[dict[str, Any]]:
        """As pages get them, oldest first."""
        return [widget.model(comm_id) for comm_id, widget in self._open.items()]
