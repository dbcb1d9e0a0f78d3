"""Timeouts of clients, and how many of them may keep the server waiting at once.

A connection that sends no head, half of one, or half of a body, or that does not take its answer, costs memory and a
descriptor. It is closed when its time is over, or earlier: when too many wait, the one that has waited longest makes
room. Connections whose request was let in are not among them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from twisted.internet.interfaces import IReactorTime

HEAD_SECONDS = 30.0
BODY_SECONDS = 120.0
IDLE_SECONDS = 3600.0
READER_SECONDS = 120.0
LINGER_SECONDS = 5.0
MAX_WAITING = 1024
RAISED_TO = 4096
"""What the daemon raises its limit of open files to, where the system lets it."""


class Client(Protocol):
    """A connection, as :class:`Timeouts` knows it. Each waits in one :class:`Queue` at most."""

    waiting: Queue | None

    def too_late(self) -> None:
        """The time is over: say so, and close."""

    def cut(self) -> None:
        """Others need the place: close at once."""


@dataclass(eq=False)
class Queue:
    """Connections that all may wait equally long, the one whose time is over first in front.

    :param seconds: how long.
    """

    clock: IReactorTime
    seconds: float
    clients: dict[Client, float] = field(default_factory=dict)
    _timed = False

    def add(self, client: Client) -> None:
        """``client`` starts to wait now, also if it waited already."""
        leave(client)
        self.clients[client] = self.clock.seconds() + self.seconds
        client.waiting = self
        if not self._timed:
            self._wake_in(self.seconds)

    def first(self) -> Client:
        """The connection that has waited longest, taken out of the queue."""
        client = next(iter(self.clients))
        leave(client)
        return client

    def _wake_in(self, seconds: float) -> None:
        self._timed = True
        self.clock.callLater(seconds, self._wake)

    def _wake(self) -> None:
        self._timed = False
        now = self.clock.seconds()
        late = []
        while self.clients and self._next() <= now:
            late.append(self.first())
        for client in late:
            client.too_late()
        if self.clients and not self._timed:  # who was late may wait again, and have set the timer
            self._wake_in(self._next() - now)

    def _next(self) -> float:
        return next(iter(self.clients.values()))

    def __len__(self) -> int:
        return len(self.clients)


def leave(client: Client) -> None:
    """``client`` keeps nobody waiting any more."""
    if client.waiting is not None:
        del client.waiting.clients[client]
        client.waiting = None


def most_waiting() -> int:
    """A quarter of the descriptors that the process can have, at most :data:`MAX_WAITING`: the rest is for others."""
    try:
        from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit
    except ImportError:
        return MAX_WAITING
    soft, hard = getrlimit(RLIMIT_NOFILE)
    files = max(soft, RAISED_TO if hard == RLIM_INFINITY else min(hard, RAISED_TO))
    return max(16, min(MAX_WAITING, files // 4))


class Timeouts:
    """Timeouts of one server: a queue for each way of waiting.

    :param head: seconds for a request's head, from the connection or the head's first byte on; also for the
        whole body of somebody who is not known.
    :param body: seconds between two pieces of a body.
    :param idle: seconds between two requests.
    :param reader: seconds in which some of an answer has to be taken.
    :param linger: seconds for a refused client to read its answer.
    :param most: connections that may be without a request that was let in, at once; :func:`most_waiting` by default.
    """

    def __init__(
        self,
        clock: IReactorTime,
        *,
        head: float = HEAD_SECONDS,
        body: float = BODY_SECONDS,
        idle: float = IDLE_SECONDS,
        reader: float = READER_SECONDS,
        linger: float = LINGER_SECONDS,
        most: int | None = None,
    ) -> None:
        self.heads = Queue(clock, head)
        self.bodies = Queue(clock, body)
        self.idles = Queue(clock, idle)
        self.lingers = Queue(clock, linger)
        self.readers = Queue(clock, reader)
        self.strange_readers = Queue(clock, reader)
        self._most = most_waiting() if most is None else most

    def head(self, client: Client) -> None:
        """``client`` is expected to send a head."""
        self.heads.add(client)
        self._make_room()

    def reader(self, client: Client, stranger: bool) -> None:
        """``client`` is expected to take some of its answer."""
        (self.strange_readers if stranger else self.readers).add(client)
        if stranger:
            self._make_room()

    def _make_room(self) -> None:
        crowds = (self.heads, self.lingers, self.idles, self.strange_readers)
        if sum(map(len, crowds)) > self._most:
            # Who opens thousands of connections pushes out their own before other people's idle ones.
            max(crowds, key=len).first().cut()
