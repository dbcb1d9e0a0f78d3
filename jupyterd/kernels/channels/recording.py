"""Recording interface: who is told which cells a kernel runs, so that outputs can be read from its log later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import Deferred

from jupyterd.kernels.messages.websocket_codec import Bytes, Header, Parts

if TYPE_CHECKING:
    from jupyterd.kernels.log.cursor import Cursor


class Recording(Protocol):
    """One kernel's. It is told of requests, replies and comms, never of what a cell says: that it finds in the log."""

    @property
    def cursor(self) -> Cursor | None:
        """Its place in the log; None where it needs nothing of it."""

    def asked(self, header: Header, parts: Parts, cursor: Cursor) -> None:
        """A client's ``execute_request`` is taken."""

    def told(self, msg_id: str, state: str) -> None:
        """The kernel is ``busy`` with a request, or ``idle`` after it."""

    def replied(self, msg_id: str, content: Bytes) -> None:
        """The ``execute_reply`` came."""

    def wants_input(self, msg_id: str, parts: Parts) -> None:
        """The code waits for input: the ``input_request``."""

    def input_given(self) -> None:
        """A client sent an ``input_reply``."""

    def comm(self, msg_type: str, parts: Parts) -> None:
        """The kernel opened, closed, or said something to a comm: to a widget, say."""

    def readers(self, msg_id: str) -> list[Cursor]:
        """Who else than the client that asked follows a request, and is connected."""

    def came(self, cursor: Cursor) -> None:
        """A client has connected."""

    def left(self, cursor: Cursor, said_goodbye: bool) -> None:
        """A client is gone."""

    def lost(self, waiting: set[str]) -> None:
        """The process is gone, and with it all that it was asked; not what waits for the next one."""

    async def restore(self) -> None:
        """The log of a former daemon is there, and nothing is let go of yet: find what was asked of the kernel."""

    def close(self) -> Deferred[None]:
        """The kernel is gone for good; the log is there until the Deferred fires."""


def settled(_: Any = None) -> Deferred[None]:
    """A Deferred that has fired."""
    done: Deferred[None] = Deferred()
    done.callback(None)
    return done
