"""Outputs of one execution, or of one output widget, as they grow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jupyterd.outputs.said.stream_text import StreamText

Output = dict[str, Any]
"""An output as nbformat has it, its text and data in one piece."""

OVERHEAD = 400
"""Bytes that any output counts beside its data."""


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


def text_of(value: Any) -> str:
    """Text that may come in lines; of anything else, what it reads as."""
    if isinstance(value, list):
        return "".join(map(text_of, value))
    return value if isinstance(value, str) else "" if value is None else str(value)
