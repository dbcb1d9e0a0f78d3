"""Widgets that cells have made, as a page is to be told of them while the kernel is busy and can not tell itself.

A page's widget manager asks the kernel which widgets there are. A kernel that runs a cell answers when that is over;
until then what the messages of the cell have said so far is all there is.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

TARGET = "jupyter.widget"
"""The comm target of widgets, whose messages are known. Source: the messaging protocol of ipywidgets."""

MAX_BYTES = 8 * 1024 * 1024
"""Bytes, roughly, that are kept of the widgets of one kernel; the oldest go first."""

MOST = 2000
"""Widgets of one kernel that are kept."""

_UPDATES = ("update", "echo_update")


@dataclass(eq=False)
class _Widget:
    """One widget: how it was opened, with its state as it is now.

    :ivar buffers: binary parts of the state, by where in it they belong.
    :ivar sizes: bytes of each key of the state.
    """

    metadata: dict[str, Any]
    state: dict[str, Any] = field(default_factory=dict)
    buffers: dict[tuple[Any, ...], bytes] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)

    def update(self, data: dict[str, Any], buffers: list[bytes], size: int) -> int:
        """Keys of the state have other values; how many bytes it has more than before."""
        state, paths = data.get("state"), data.get("buffer_paths")
        if not isinstance(state, dict):
            return 0
        before = sum(self.sizes.get(key, 0) for key in state)
        self.state.update(state)
        self.buffers = {path: each for path, each in self.buffers.items() if path[0] not in state}
        share = size // max(1, len(state))
        self.sizes.update(dict.fromkeys(state, share))
        for path, each in zip(paths if isinstance(paths, list) else [], buffers, strict=False):
            if _is_path(path) and path[0] in state:
                self.buffers[tuple(path)] = each
                self.sizes[path[0]] += len(each)
        return sum(self.sizes[key] for key in state) - before

    @property
    def size(self) -> int:
        """Bytes, roughly."""
        return sum(self.sizes.values())


def _is_path(path: Any) -> bool:
    return isinstance(path, list) and bool(path) and all(isinstance(step, str | int) for step in path)


class Widgets:
    """Those of one kernel that were opened in what was read of its log, and not closed."""

    def __init__(self) -> None:
        self._open: dict[str, _Widget] = {}
        self._size = 0

    def hear(self, kind: str, content: dict[str, Any], metadata: Any, buffers: Iterable[Any], size: int) -> None:
        """One of the kernel's messages about a comm.

        :param kind: ``comm_open``, ``comm_msg`` or ``comm_close``.
        :param size: bytes of the content.
        """
        comm_id, data = content.get("comm_id"), content.get("data")
        if not isinstance(comm_id, str):
            return
        if kind == "comm_close":
            self._drop(comm_id)
            return
        given = data if isinstance(data, dict) else {}
        if kind == "comm_open":
            if content.get("target_name") != TARGET:
                return
            self._drop(comm_id)
            self._open[comm_id] = _Widget(metadata if isinstance(metadata, dict) else {})
        elif given.get("method") not in _UPDATES:
            return
        widget = self._open.get(comm_id)
        if widget is not None:
            self._size += widget.update(given, [bytes(each) for each in buffers], size)
            self._make_room()

    def _drop(self, comm_id: str) -> None:
        gone = self._open.pop(comm_id, None)
        if gone is not None:
            self._size -= gone.size

    def _make_room(self) -> None:
        while self._open and (self._size > MAX_BYTES or len(self._open) > MOST):
            self._drop(next(iter(self._open)))

    def models(self) -> list[dict[str, Any]]:
        """As pages get them, oldest first: what each would be opened with, were it opened now."""
        return [
            {
                "comm_id": comm_id,
                "target_name": TARGET,
                "metadata": widget.metadata,
                "data": {"state": dict(widget.state), "buffer_paths": [list(path) for path in widget.buffers]},
                "buffers": [base64.b64encode(each).decode() for each in widget.buffers.values()],
            }
            for comm_id, widget in self._open.items()
        ]
