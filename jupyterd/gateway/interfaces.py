"""Interfaces between a link, its kernel's owner and its websocket."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from twisted.internet.defer import Deferred

from jupyterd.gateway.repeated_messages import RepeatedMessages
from jupyterd.kernels.messages.websocket_codec import Bytes, Parts


class Redialling(Protocol):
    """A connection that is made again when it is lost.

    :ivar held: what is said from now on is for the next life of the kernel.
    """

    held: bool

    def wake(self) -> None:
        """The gateway answers: try at once."""


class LinkOwner(Protocol):
    """Owner of a kernel, who hears of its link."""

    def linked(self, link: Redialling) -> None:
        """There is a new connection."""

    async def exists(self) -> bool:
        """Whether the gateway still has the kernel. Raises what :meth:`Gateway.ask` raises."""

    def gone(self) -> None:
        """The gateway does not have it any more."""

    def restarting(self) -> bool:
        """The gateway says that it died and is started again; whether that was news."""

    def dead(self) -> bool:
        """The gateway says that it died; whether that was news."""


class LinkEnd(Protocol):
    """Our end of a websocket: what it tells."""

    def received(self, channel: str, parts: list[Bytes]) -> None:
        """A message came; :meth:`turn` follows."""

    def turn(self) -> None:
        """No more have come, for now."""

    def room(self) -> None:
        """More may be sent."""

    def lost(self, why: str, too_large: bool) -> None:
        """It is closed, by a message that was too large or otherwise."""


class Wire(Protocol):
    """An open websocket.

    :ivar full: the gateway reads slower than we write.
    """

    @property
    def full(self) -> bool:
        """Whether it takes nothing now; :meth:`LinkEnd.room` is called when it does again."""

    def send_message(self, channel: str, parts: Parts) -> None:
        """Send one."""

    def pause_client(self) -> None:
        """Read nothing more."""

    def resume_client(self) -> None:
        """Read again."""

    def leave(self) -> None:
        """Close; the end is told nothing more."""


Dial = Callable[[str, str, LinkEnd], Deferred[Wire]]
"""Opens a websocket to a kernel: its id on the gateway, the session's, and whom to tell."""


@dataclass(frozen=True)
class Backoff:
    """How long to wait before a connection is tried again. Times are seconds."""

    first: float
    most: float
    tries: int
    jitter: Callable[[], float] = lambda: random.uniform(0.1, 1.0)  # noqa: S311 - spreads load

    def pause(self, number: int) -> float | None:
        """Before the attempt of that number, counted from 0; None where there is to be none."""
        if number >= self.tries:
            return None
        return float(min(self.first * 2.0 ** min(number, 32), self.most) + self.jitter())


@dataclass(frozen=True)
class Place:
    """Where a kernel's messages come from: what its channels' connection info holds.

    :param kernel_id: its id on the gateway.
    :param session: under which the gateway keeps what we have missed.
    :param life: counts its starts: each has its own connection.
    """

    kernel_id: str
    session: str
    life: int
    listener: LinkOwner = field(compare=False)
    repeats: RepeatedMessages = field(default_factory=RepeatedMessages, compare=False)
    """What has come over all connections to it."""
