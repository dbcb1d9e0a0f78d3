"""Sockets of a kernel without ZeroMQ: for tests, ours and those of extensions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from jupyterd.kernels.messages.signing import Signer
from jupyterd.kernels.messages.websocket_codec import Bytes, Parts
from jupyterd.kernels.zeromq.network import Opening


@dataclass(eq=False)
class MemorySocket:
    """One channel's socket; see :class:`jupyterd.kernels.zeromq.network.Socket`.

    :ivar sent: what came from the server, each ``[delimiter, signature, *parts]``.
    :ivar full: sends have to wait.
    """

    channel: str
    identity: bytes
    received: Callable[[list[list[Bytes]]], None]
    writable: Callable[[], None]
    sent: list[list[Bytes]] = field(default_factory=list)
    full: bool = False
    reading: bool = True
    closed: bool = False
    arrived: list[list[Bytes]] = field(default_factory=list)

    def send(self, parts: Parts) -> bool:
        """Take a message unless ``full``."""
        if not self.full:
            self.sent.append(list(parts))
        return not self.full

    def drain(self) -> bool:
        """Deliver what has arrived."""
        batch, self.arrived = self.arrived, []
        if batch and self.reading:
            self.received(batch)
        return self.reading

    def pause(self) -> None:
        """Deliver nothing more."""
        self.reading = False

    def resume(self) -> None:
        """Deliver again."""
        self.reading = True
        self.drain()

    def close(self) -> None:
        """Closed."""
        self.closed = True

    def room(self) -> None:
        """Sends need not wait any more."""
        self.full = False
        self.writable()


@dataclass(eq=False)
class MemoryKernel:
    """A kernel that says what the test says; see :class:`jupyterd.kernels.zeromq.network.Network`.

    :ivar sockets: the newest socket of each channel.
    """

    key: bytes = b"secret"
    sockets: dict[str, MemorySocket] = field(default_factory=dict)
    _count: int = 0

    def __post_init__(self) -> None:
        self.signer = Signer(self.key)

    @property
    def info(self) -> dict[str, Any]:
        """Its connection info."""
        ports = {f"{channel}_port": 1 for channel in ("shell", "control", "stdin", "iopub", "hb")}
        return {**ports, "transport": "tcp", "ip": "127.0.0.1", "key": self.key.decode()}

    def open(self, opening: Opening) -> MemorySocket:
        """A new socket."""
        made = MemorySocket(opening.channel, opening.identity, opening.received, opening.writable)
        self.sockets[opening.channel] = made
        return made

    def message(
        self,
        msg_type: str,
        content: dict[str, Any],
        parent: Bytes = b"{}",
        buffers: Parts = (),
        metadata: bytes = b"{}",
    ) -> list[Bytes]:
        """A signed message: ``[signature, header, parent, metadata, content, *buffers]``."""
        self._count += 1
        header = {"msg_id": f"kernel-{self._count}", "msg_type": msg_type, "session": "kernel", "version": "5.4"}
        parts: list[Bytes] = [orjson.dumps(header), parent, metadata, orjson.dumps(content)]
        return [self.signer.sign(parts), *parts, *buffers]

    def say(self, msg_type: str, content: dict[str, Any], parent: Bytes = b"{}", buffers: Parts = ()) -> None:
        """One message on iopub."""
        self.sockets["iopub"].received([self.message(msg_type, content, parent, buffers)])

    def reply(self, channel: str, msg_type: str, content: dict[str, Any], parent: Bytes) -> None:
        """One message to who asked."""
        self.sockets[channel].received([self.message(msg_type, content, parent)])

    def heard(self, channel: str) -> list[tuple[dict[str, Any], Bytes, dict[str, Any]]]:
        """What came on a channel since the last call: header, its bytes, content."""
        sent, self.sockets[channel].sent = self.sockets[channel].sent, []
        return [(orjson.loads(frames[2]), frames[2], orjson.loads(frames[5])) for frames in sent]

    def answer_kernel_info(self) -> None:
        """Say on iopub and on shell that it is there: clients are let through from then on."""
        for header, data, _ in self.heard("shell") + self.heard("control"):
            if header["msg_type"] == "kernel_info_request":
                self.say("status", {"execution_state": "busy"}, data)
                self.reply("shell", "kernel_info_reply", {"protocol_version": "5.4"}, data)
                self.say("status", {"execution_state": "idle"}, data)
