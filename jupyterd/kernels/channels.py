"""One kernel's channels: one set of ZeroMQ sockets, one message log, any number of websockets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from jupyterd.kernels.connection import ZMQChannelsWebsocketConnection
    from jupyterd.threads import InThread

UNTRACKED = frozenset(
    "comm_info_request comm_info_reply kernel_info_request kernel_info_reply shutdown_request shutdown_reply "
    "interrupt_request interrupt_reply debug_request debug_reply stream display_data update_display_data "
    "execute_input execute_result error status clear_output debug_event input_request input_reply".split()
)


class Observer(Protocol):
    """Who is told what a kernel says; implemented by the kernel's record."""

    def activity(self) -> None:
        """A message that counts as activity passed; called at most once a batch."""

    def status(self, state: str, parent_type: str) -> None:
        """A status message: ``busy``, ``idle`` or ``starting``, and the type of the request it belongs to ('' if none)."""


@dataclass(frozen=True)
class MessagePolicy:
    """What ``MappingKernelManager`` settings say about messages; :meth:`of` reads them from it."""

    untracked_message_types: frozenset[str] = UNTRACKED
    allowed_message_types: frozenset[str] = frozenset()
    allow_tracebacks: bool = True
    traceback_replacement_message: str = ""
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


@dataclass(eq=False)
class KernelChannels:
    """The message log of one kernel, what feeds it and who reads it."""

    kernel_id: str
    reactor: IReactorTime = field(kw_only=True)
    settings: ZMQChannelsWebsocketConnection = field(kw_only=True)
    in_thread: InThread = field(kw_only=True)
    spill_dir: str = field(kw_only=True)
    observer: Observer = field(kw_only=True)
    policy: MessagePolicy = field(default=MessagePolicy(), kw_only=True)

    @property
    def connections(self) -> int:
        """How many websockets are open."""
        return 0

    @property
    def executing(self) -> Sequence[tuple[str, bytes]]:
        """``(msg_id, header)`` of each execute_request that has no reply yet, oldest first."""
        return []

    def connect(self, connection_info: dict[str, Any]) -> None:
        """(Re)open the sockets; again after a restart, as ports and key may differ. The same info twice does nothing."""

    def disconnect(self) -> None:
        """Close the ZeroMQ sockets; log, cursors and websockets stay."""

    def close(self, reason: str = "") -> None:
        """The kernel is gone for good: close its websockets, forget its log, remove its spill."""

    async def ready(self, timeout: float) -> dict[str, Any]:
        """Wait until the kernel answers and its iopub is heard.

        :param timeout: seconds.
        :returns: the content of its ``kernel_info_reply``.
        :raises TimedOut: it did not within ``timeout``.
        """
        return {}

    async def request(
        self, msg_type: str, content: dict[str, Any], *, channel: str = "shell", timeout: float
    ) -> dict[str, Any]:
        """Ask the kernel on the server's own behalf.

        :returns: the reply: ``header``, ``parent_header``, ``metadata``, ``content``.
        :raises TimedOut: no reply within ``timeout`` seconds.
        """
        return {}

    def announce(self, msg_type: str, content: dict[str, Any], parent_header: bytes = b"{}") -> None:
        """Put a message made by the server on iopub, in order: restarting, dead, a dead kernel's last words."""
