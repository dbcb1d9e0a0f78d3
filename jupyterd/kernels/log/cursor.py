"""Cursor: a client's position in a kernel's message log."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from jupyterd.kernels.log.chunk import Chunk
from jupyterd.kernels.messages.websocket_codec import Bytes, Codec

if TYPE_CHECKING:
    from jupyterd.kernels.log.rate_limit import RateLimit


class Records(Protocol):
    """What on a connection is read whole or not at all: records of TLS, compressed messages.

    :ivar noted: called with each, before the system is given it: where it ends on the wire, and in the stream.
    """

    noted: Callable[[int, int], None] | None


class Held(NamedTuple):
    """A connection that the keeper holds.

    :ivar key: by which it does.
    :ivar base: what the system had taken for it when it began.
    :ivar records: None where the system is given the stream as it is.
    """

    key: int
    base: int
    records: Records | None


class Client(Protocol):
    """Who reads the log at a cursor: a websocket.

    :ivar codec: its protocol.
    :ivar blocked: it takes nothing now; it calls :meth:`MessageLog.pull` when it does again.
    """

    @property
    def codec(self) -> Codec:
        """Its protocol."""

    @property
    def blocked(self) -> bool:
        """Whether it takes nothing now."""

    @property
    def connection(self) -> Held | None:
        """How it is counted what the system takes for it; None where that is not known."""

    def begin(self, frames: list[Bytes]) -> int | None:
        """Frames are about to be written: where they begin in the stream of bytes that the system takes; None where
        they go there as others."""

    def write(self, frames: list[Bytes]) -> int:
        """Take whole frames; the number of bytes it has taken in all."""

    def unacknowledged(self) -> int:
        """Bytes that its peer has not acknowledged, as far as that is known."""

    def unsent(self) -> int | None:
        """How many of them the system has not taken yet; None where that is not known."""

    def unanswered(self) -> int:
        """Bytes for which neither TCP nor a pong has confirmed receipt: they may have to be sent again."""


class Cursor:
    """A place in the log, of one session of one client.

    :ivar number: the addressee of what is meant for it alone.
    :ivar position: the number of the next message it gets.
    :ivar held: chunks read from disk and not yet taken.
    :ivar partial: bytes of the chunk at ``position`` that a lost client had acknowledged, and in which protocol.
    :ivar records: what its client runs may be written into notebooks.
    :ivar said: names the last message before ``position`` that the kernel said, by its signature; empty where that is
        not known.
    :ivar slot: its row in the file of cursors; -1 where it is not.
    :ivar flight: what was written last: begin and end in the client's stream, the first message, whether each frame
        is the next message.
    """

    __slots__ = (
        "client", "expiry", "flight", "held", "limit", "number", "partial", "position", "pulling", "reading", "records",
        "said", "session", "slot",
    )  # fmt: skip

    def __init__(self, number: int, session: str | None, position: int) -> None:
        self.number = number
        self.session = session
        self.position = position
        self.client: Client | None = None
        self.held: deque[Chunk] = deque()
        self.flight: deque[tuple[int, int, int, bool]] = deque()
        self.pulling = False
        self.reading = False
        self.limit: RateLimit | None = None
        self.partial: tuple[int, int, Codec] | None = None
        self.expiry: object = None
        self.said: Bytes = b""
        self.slot = -1
        self.records = True
