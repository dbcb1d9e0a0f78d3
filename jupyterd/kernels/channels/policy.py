"""Policy of messages: what the manager's settings say about them, and who is told what a kernel says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from jupyterd.kernels.messages.websocket_codec import Bytes

UNTRACKED = frozenset(
    (
        "comm_info_request", "comm_info_reply", "kernel_info_request", "kernel_info_reply", "shutdown_request",
        "shutdown_reply", "interrupt_request", "interrupt_reply", "debug_request", "debug_reply", "stream",
        "display_data", "update_display_data", "execute_input", "execute_result", "error", "status", "clear_output",
        "debug_event", "input_request", "input_reply",
    )
)  # fmt: skip
"""The default of ``MappingKernelManager.untracked_message_types``."""


class Observer(Protocol):
    """Who is told what a kernel says; implemented by the kernel's record."""

    def activity(self) -> None:
        """A message that counts as activity passed; called at most once a batch."""

    def status(self, state: str, parent_type: str) -> None:
        """A status message: ``busy``, ``idle`` or ``starting``, and the type of its request ('' if none)."""


@dataclass(frozen=True)
class MessagePolicy:
    """What ``MappingKernelManager`` settings say about messages; :meth:`of` reads them from it."""

    untracked_message_types: frozenset[str] = UNTRACKED
    allowed_message_types: frozenset[str] = frozenset()
    allow_tracebacks: bool = True
    traceback_replacement_message: str = "An exception occurred at runtime, which is not shown due to security reasons."
    buffer_offline_messages: bool = True

    @classmethod
    def of(cls, settings: Any) -> MessagePolicy:
        """The policy in an object with the traits of the same names."""
        return cls(
            frozenset(settings.untracked_message_types),
            frozenset(settings.allowed_message_types),
            settings.allow_tracebacks,
            settings.traceback_replacement_message,
            settings.buffer_offline_messages,
        )

    def shown(self, content: Bytes) -> bytes:
        """The content of an error as clients may see it, where tracebacks are not allowed."""
        try:
            fields = orjson.loads(content)
        except orjson.JSONDecodeError:
            fields = {}
        shown = self.traceback_replacement_message
        return orjson.dumps({**fields, "ename": "ExecutionError", "evalue": "Execution error", "traceback": [shown]})
