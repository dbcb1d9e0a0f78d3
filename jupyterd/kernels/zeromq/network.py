"""Network: where the sockets to a kernel come from, ZeroMQ's, a gateway's or a test's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from jupyterd.kernels.messages.websocket_codec import Bytes, Parts

Batch = list[list[Bytes]]


@dataclass(frozen=True)
class Opening:
    """A socket that is wanted.

    :param channel: ``shell``, ``control``, ``stdin`` or ``iopub``.
    :param info: the kernel's connection info.
    :param identity: of the four sockets to one kernel.
    :param received: called with the messages of one turn, each ``[signature, header, parent, metadata, content,
        *buffers]``.
    :param writable: called when a send that had to wait may be tried again.
    """

    channel: str
    info: dict[str, Any]
    identity: bytes
    received: Callable[[Batch], None]
    writable: Callable[[], None]


class Socket(Protocol):
    """One channel to one kernel."""

    def send(self, parts: Parts) -> bool:
        """Send a message; False if it has to wait until ``writable`` is called."""

    def drain(self) -> bool:
        """Read, now, what has arrived; whether that is all there is."""

    def pause(self) -> None:
        """Read nothing more."""

    def resume(self) -> None:
        """Read again."""

    def close(self) -> None:
        """Close; nothing is called afterwards."""


class Network(Protocol):
    """Opens sockets."""

    def open(self, opening: Opening) -> Socket:
        """Connect to a channel of a kernel."""
