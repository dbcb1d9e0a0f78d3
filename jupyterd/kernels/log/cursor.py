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


Flown = tuple[int, int, int, bool, int, int, bool]
"""What was written at once: begin and end in the client's stream, the number of its first message, whether its messages
are as the log has them; then as in :class:`jupyterd.kernels.log.settling.Place` ``said``, ``since`` and ``public``."""


class Cursor:
    """A place in the log, of one session of one client.

    :ivar number: the addressee of what is meant for it alone.
    :ivar position: the number of the next message it gets.
    :ivar held: chunks read from disk and not yet taken.
    :ivar partial: ``position``, bytes of the chunk there that a lost client had acknowledged, in which protocol, and
        whether the kernel said that chunk to all.
    :ivar records: what its client runs may be written into notebooks.
    :ivar said: names a message that the kernel said before ``position``; see
        :class:`jupyterd.kernels.log.settling.Place`.
    :ivar since: from which number on ``position`` counts the kernel's own messages behind that one.
    :ivar slot: its row in the file of cursors; -1 where it is not.
    :ivar full: the system has not taken so much that nothing more is written.
    :ivar flight: what was written last.
    """

    __slots__ = (
        "client", "expiry", "flight", "full", "held", "limit", "number", "partial", "position", "pulling", "reading",
        "records", "said", "session", "since", "slot",
    )  # fmt: skip

    def __init__(self, number: int, session: str | None, position: int) -> None:
        self.number = number
        self.session = session
        self.position = position
        self.client: Client | None = None
        self.held: deque[Chunk] = deque()
        self.flight: deque[Flown] = deque()
        self.pulling = False
        self.reading = False
        self.limit: RateLimit | None = None
        self.partial: tuple[int, int, Codec, bool] | None = None
        self.expiry: object = None
        self.said = 0
        self.since = position
        self.slot = -1
        self.full = False
        self.records = True
