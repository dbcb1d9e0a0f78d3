"""Chunk of a message log: the messages that one turn of one channel brought, numbered."""

from __future__ import annotations

from collections.abc import Sequence

from jupyterd.kernels.messages.websocket_codec import Bytes, Parts

EVERYBODY = 0
"""The addressee of what all clients of a kernel see."""

OVERHEAD = 400
"""Bytes of Python objects around one message's parts, roughly, counted with them."""


class Chunk:
    """Messages that follow each other on one channel and have one addressee.

    :ivar first: the sequence number of the first message; set by the log.
    :ivar count: how many sequence numbers it covers.
    :ivar channel: its name, as bytes.
    :ivar to: the number of the cursor that it is for, or :data:`EVERYBODY`.
    :ivar time: when it came, in seconds since the epoch.
    :ivar lost: the messages are not here any more; in their place is one of two parts, the second a parent header.
    :ivar name: the last of its messages that the kernel said, by its signature; 0 where that is not known. If it has
        one, all of its messages are the kernel's.
    :ivar shared: it is in a log's memory, where ``frames`` may be kept for the next client of the same protocol.
    """

    __slots__ = ("channel", "count", "first", "frames", "lost", "messages", "name", "shared", "size", "time", "to")

    def __init__(
        self, channel: bytes, messages: Sequence[Parts], time: float, to: int = EVERYBODY, first: int = 0
    ) -> None:
        self.channel = channel
        self.messages = messages
        self.time = time
        self.to = to
        self.first = first
        self.count = len(messages)
        self.size = OVERHEAD
        self.lost = False
        self.name = 0
        self.shared = False
        self.frames: dict[str | None, list[Bytes]] = {}
        for parts in messages:
            self.size += OVERHEAD + sum(map(len, parts))

    @property
    def end(self) -> int:
        """The number after its last message."""
        return self.first + self.count

    @property
    def parent(self) -> bytes:
        """The parent header of its first message."""
        return bytes(self.messages[0][1]) if self.messages else b"{}"

    def after(self, seq: int) -> Chunk:
        """What is left from ``seq`` on."""
        if seq <= self.first:
            return self
        if not self.lost:
            rest = Chunk(self.channel, self.messages[seq - self.first :], self.time, self.to, seq)
            rest.name = self.name
            return rest
        rest = Chunk(self.channel, self.messages, self.time, self.to, seq)
        rest.count, rest.lost, rest.name = self.end - seq, True, self.name
        return rest
