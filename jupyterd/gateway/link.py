"""Link: one kernel's channels on a websocket to the gateway, while the kernel lives; opened, lost, opened again.

It stands where a local kernel has four ZeroMQ sockets. What is lost with a connection the gateway says again: it knows
the ``session_id``. What can not be sent meanwhile waits with who wanted to send it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from jupyterd.gateway.interfaces import Backoff, Dial, Place, Wire
from jupyterd.gateway.lost_requests import LostRequests
from jupyterd.kernels.messages.server_session import ServerSession
from jupyterd.kernels.messages.websocket_codec import UNREADABLE, Bytes, Parts, read_type

EARLY = 16
"""Messages that are taken before the first connection is open: the server's own first requests."""

STABLE = 10.0
"""A connection that lasted so many seconds is not counted as failing in a row."""

SHORT = 64
"""A status message that says that the gateway restarts a kernel, or gave it up, has no more bytes of content."""


class Link:
    """The websocket of one life of a kernel.

    :ivar held: nothing is sent: the kernel is about to be restarted.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime, place: Place, dial: Dial, backoff: Backoff) -> None:
        self.place = place
        self.held = False
        self._clock = clock
        self._dial = dial
        self._backoff = backoff
        self._session = place.session
        self._sockets: dict[str, LinkSocket] = {}
        self._wire: Wire | None = None
        self._dialing: Deferred[None] | None = None
        self._timer: Any = None
        self._opened_at: float | None = None
        self._tries = 0
        self._paused = False
        self._early: deque[tuple[str, Parts]] = deque()
        self._doubts = LostRequests(ServerSession(clock.seconds))
        self._run: tuple[str, list[list[Bytes]]] = ("", [])
        self._connect()

    @property
    def is_open(self) -> bool:
        """Whether messages go through."""
        return self._wire is not None

    # -- for its sockets

    def add(
        self, channel: str, received: Callable[[list[list[Bytes]]], None], writable: Callable[[], None]
    ) -> LinkSocket:
        """One of the four channels."""
        socket = self._sockets[channel] = LinkSocket(self, channel, received, writable)
        return socket

    def send(self, channel: str, parts: Parts) -> bool:
        """Send a message; False if it has to wait."""
        if self.held:
            return False
        if self._wire is not None:
            if not self._wire.full:
                self._post(self._wire, channel, parts)
                return True
        elif self._opened_at is None and len(self._early) < EARLY:
            self._early.append((channel, parts))
            return True
        return False

    def _post(self, wire: Wire, channel: str, parts: Parts) -> None:
        self._doubts.sent(channel, parts)
        wire.send_message(channel, parts)

    def pause(self, paused: bool) -> None:
        """Read nothing more, or again."""
        self._paused = paused
        if self._wire is not None:
            (self._wire.pause_client if paused else self._wire.resume_client)()

    def drop(self, channel: str) -> None:
        """One of the channels is closed; with the last all is."""
        self._sockets.pop(channel, None)
        if not self._sockets:
            self._close()

    def _close(self) -> None:
        self._stop_waiting()
        self._run = ("", [])
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.leave()
        dialing, self._dialing = self._dialing, None
        if dialing is not None:
            dialing.cancel()

    # -- the connection

    def wake(self) -> None:
        """The gateway answers requests: try what was given up, once each time."""
        if self._wire is None and self._dialing is None and self._timer is None and self._sockets:
            self._connect()

    def _connect(self) -> None:
        self._timer = None
        self.place.repeats.connecting()
        dialing = self._dial(self.place.kernel_id, self._session, self).addCallbacks(self._opened, self._failed)
        if not dialing.called:
            self._dialing = dialing

    def _opened(self, wire: Wire) -> None:
        self._dialing = None
        self.log.info("connected to kernel {kernel_id} on the gateway", kernel_id=self.place.kernel_id)
        self._wire = wire
        self._opened_at = self._clock.seconds()
        if self._paused:
            wire.pause_client()
        if (probe := self._doubts.probe()) is not None:
            wire.send_message("shell", probe)
        while self._early:
            self._post(wire, *self._early.popleft())
        self.room()

    def _failed(self, failure: Failure) -> None:
        self._dialing = None
        if self._sockets:
            self._again(failure.getErrorMessage())

    def _again(self, why: str) -> None:
        self.log.warn(
            "no connection to kernel {kernel_id} on the gateway: {why}", kernel_id=self.place.kernel_id, why=why
        )
        checking = Deferred.fromCoroutine(self._again_if_it_exists())
        checking.addErrback(lambda failure: self.log.failure("a link to the gateway is given up", failure))
        if not checking.called:
            self._dialing = checking

    async def _again_if_it_exists(self) -> None:
        try:
            exists = await self.place.listener.exists()
        except Exception:  # noqa: BLE001 - whatever hinders the gateway now need not do so later
            exists = True
        self._dialing = None
        if not self._sockets:
            return
        if not exists:
            self.place.listener.gone()
            return
        pause = self._backoff.pause(self._tries)
        self._tries += 1
        if pause is not None:
            self._timer = self._clock.callLater(pause, self._connect)
        else:
            self.log.error(
                "kernel {kernel_id} is out of reach until the gateway answers again", kernel_id=self.place.kernel_id
            )

    def _stop_waiting(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    # -- what the wire tells

    def received(self, channel: str, parts: list[Bytes]) -> None:
        """See :class:`End`: neighbours of one channel are handed on together, in the order in which they came."""
        if channel not in self._sockets or self.place.repeats.is_one(parts[0]):
            return
        if self._doubts.heard(channel, parts, self._hand_on):
            return
        if channel == "iopub" and len(parts[3]) <= SHORT and self._is_news(parts):
            return
        self._hand_on(channel, parts)

    def _hand_on(self, channel: str, parts: list[Bytes]) -> None:
        if self._run[0] != channel:
            self.turn()
            self._run = (channel, [])
        self._run[1].append([b"", *parts])

    def turn(self) -> None:
        """See :class:`End`."""
        (channel, messages), self._run = self._run, ("", [])
        if messages and channel in self._sockets:
            self._sockets[channel].received(messages)

    def _is_news(self, parts: Parts) -> bool:
        content = bytes(parts[3])
        if b'"restarting"' in content:
            tell = self.place.listener.restarting
        elif b'"dead"' in content:
            tell = self.place.listener.dead
        else:
            return False
        try:
            if read_type(parts[0]).msg_type != "status":
                return False
        except UNREADABLE:
            return False
        self.turn()
        return tell()

    def room(self) -> None:
        """See :class:`End`."""
        for socket in list(self._sockets.values()):
            socket.writable()

    def lost(self, why: str, too_large: bool) -> None:
        """See :class:`End`."""
        self._wire = None
        self._doubts.lost()
        if self._opened_at is not None and self._clock.seconds() - self._opened_at >= STABLE:
            self._tries = 0
        if too_large:  # the gateway would say it again
            self.log.error("a message of kernel {kernel_id} was too large", kernel_id=self.place.kernel_id)
            self._session = uuid4().hex
        if self._sockets:
            self._again(why)


class LinkSocket:
    """One channel; see :class:`jupyterd.kernels.zeromq.sockets.Socket`."""

    def __init__(
        self,
        link: Link,
        channel: str,
        received: Callable[[list[list[Bytes]]], None],
        writable: Callable[[], None],
    ) -> None:
        self._link = link
        self._channel = channel
        self.received = received
        self.writable = writable

    def send(self, parts: Parts) -> bool:
        """Send ``[delimiter, signature, *parts]``; who signs for the kernel is the gateway."""
        return self._link.send(self._channel, parts[2:])

    def drain(self) -> bool:
        """Hand on what has arrived; while there is no connection, more may come with the next."""
        self._link.turn()
        return self._link.is_open

    def pause(self) -> None:
        """Read nothing more, of any channel: they have one connection."""
        self._link.pause(True)

    def resume(self) -> None:
        """Read again."""
        self._link.pause(False)

    def close(self) -> None:
        """Close."""
        self._link.drop(self._channel)
