"""Messages to one kernel: held back until the kernel takes them, remembered until they are replied to."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from twisted.logger import Logger

from jupyterd.kernels.channels.kernel_send_queue import Sender, SendQueue
from jupyterd.kernels.channels.policy import MessagePolicy
from jupyterd.kernels.channels.recording import Recording
from jupyterd.kernels.log.chunk import Chunk
from jupyterd.kernels.log.cursor import Cursor
from jupyterd.kernels.log.journal import Journal
from jupyterd.kernels.log.recent_notes import noted
from jupyterd.kernels.log.totals import MessageTotals
from jupyterd.kernels.messages.websocket_codec import UNREADABLE, Bytes, Header, Parts, read_header

CHANNELS = ("shell", "control", "stdin")
"""The channels that clients may send on."""

ASKERS = 65536
"""How many requests are remembered for their replies; the oldest are forgotten first."""


MAX_REMEMBERED_HEADER = 4096
"""Bytes of a request's header up to which it is remembered, for an error reply in place of the kernel's."""


class Asked(NamedTuple):
    """A client's request that has no reply yet.

    :ivar header: its bytes; empty where they are too many.
    """

    cursor: Cursor
    channel: str
    msg_type: str
    header: bytes


class ToKernel:
    """Messages of clients to one kernel.

    :param post: sends a message on a channel, or returns False: then :meth:`flush` follows when it may be tried again.
    :param hold: bytes of one client that may wait on a channel before it is paused.
    :ivar journal: where it is noted what is asked, for the next daemon.
    :ivar recording: who is told what code is to be run; None where nobody is.
    """

    log = Logger()

    def __init__(
        self, post: Callable[[str, Parts], bool], hold: int, policy: MessagePolicy, totals: MessageTotals | None = None
    ) -> None:
        self._policy = policy
        self._totals = totals or MessageTotals()
        self._outboxes = {channel: SendQueue(partial(post, channel), hold) for channel in CHANNELS}
        self._askers: dict[str, Asked] = {}
        self._executing: dict[str, bytes] = {}
        self.recording: Recording | None = None
        self.journal: Journal | None = None

    # -- from clients

    def take(self, cursor: Cursor, channel: str, parts: Parts, client: Sender | None) -> bool:
        """A client's message; whether it is one that the kernel gets."""
        outbox = self._outboxes.get(channel)
        if outbox is None:
            self._totals.ignored["channel"] += 1
            self.log.warn("No such channel: {channel}", channel=channel)
            return False
        try:
            header = read_header(parts[0])
        except UNREADABLE:
            self._totals.ignored["header"] += 1
            self.log.warn("a client's message whose header can not be read is ignored")
            return False
        allowed = self._policy.allowed_message_types
        if allowed and header.msg_type not in allowed:
            self._totals.ignored["type"] += 1
            self.log.warn('Received message of type "{kind}", which is not allowed. Ignoring.', kind=header.msg_type)
            return False
        self._totals.to_kernels[channel] += 1
        self._remember(header, cursor, channel, parts[0])
        if self.recording is not None:
            if header.msg_type == "execute_request":
                self.recording.asked(header, parts, cursor)
            elif header.msg_type == "input_reply":
                self.recording.input_given()
        outbox.put(parts, client)
        return True

    def _remember(self, header: Header, cursor: Cursor, channel: str, data: Bytes) -> None:
        if not header.msg_type.endswith("_request"):
            return  # nothing else is replied to
        kept = bytes(data) if len(data) <= MAX_REMEMBERED_HEADER else b""
        self._askers[header.msg_id] = Asked(cursor, channel, header.msg_type, kept)
        if self.journal is not None and kept:
            self.journal.note(noted(channel, kept, cursor.number))
        if len(self._askers) > ASKERS:
            oldest = next(iter(self._askers))
            del self._askers[oldest]
            self._executing.pop(oldest, None)
        if header.msg_type == "execute_request":
            self._executing[header.msg_id] = bytes(data)

    def left(self, client: Sender) -> None:
        """A client is gone; what it said is still sent."""
        for outbox in self._outboxes.values():
            outbox.left(client)

    # -- to the kernel

    def at_once(self, channel: str, parts: Parts) -> None:
        """Send the server's own message, before all that waits."""
        self._outboxes[channel].at_once(parts)

    def shut(self) -> None:
        """The kernel takes nothing."""
        for outbox in self._outboxes.values():
            outbox.shut = True

    def let_through(self) -> None:
        """The kernel takes what clients said, from now on."""
        for outbox in self._outboxes.values():
            outbox.shut = False
            outbox.flush()

    def flush(self, channel: str) -> None:
        """The kernel may take more on a channel."""
        if channel in self._outboxes:
            self._outboxes[channel].flush()

    # -- until they are answered

    @property
    def executing(self) -> list[tuple[str, bytes]]:
        """Id and header of each execute_request that the kernel has got and not replied to, oldest first."""
        waiting = self.waiting()
        return [each for each in self._executing.items() if each[0] not in waiting]

    def is_executing(self, msg_id: str) -> bool:
        """Whether the request of that id is an execute_request without its reply."""
        return msg_id in self._executing

    def waiting(self) -> set[str]:
        """The ids of what clients asked on the shell channel and the kernel was not given yet."""
        return {read_header(parts[0]).msg_id for parts in self._outboxes["shell"].waiting()}

    def asker(self, msg_id: str, replied: bool) -> Cursor | None:
        """Who asked; forgotten with the reply."""
        asked = self._askers.pop(msg_id, None) if replied else self._askers.get(msg_id)
        return None if asked is None else asked.cursor

    def executed(self, msg_id: str) -> bytes | None:
        """The header of an execute_request that is replied to; None where no client asked."""
        return self._executing.pop(msg_id, None)

    # -- for the next daemon, and from the former one

    def notes(self) -> list[Chunk]:
        """What is asked and not replied to."""
        return [noted(each.channel, each.header, each.cursor.number) for each in self._askers.values() if each.header]

    def restore(self, msg_id: str, asked: Asked) -> None:
        """A former daemon's client asked this, and there is no reply yet."""
        self._askers[msg_id] = asked
        if asked.msg_type == "execute_request":
            self._executing[msg_id] = asked.header

    def is_open(self, msg_id: str) -> bool:
        """Whether a request has no reply yet."""
        return msg_id in self._askers

    def lost(self, waiting_too: bool) -> list[Asked]:
        """What the kernel was asked and will not reply to any more, oldest first; forgotten by that.

        :param waiting_too: there is no next process: what was not given to this one is lost as well.
        """
        waiting = set() if waiting_too else self._waiting_anywhere()
        lost = [msg_id for msg_id in self._askers if msg_id not in waiting]
        return [self._askers.pop(msg_id) for msg_id in lost]

    def _waiting_anywhere(self) -> set[str]:
        return {read_header(parts[0]).msg_id for outbox in self._outboxes.values() for parts in outbox.waiting()}

    def given_up(self) -> set[str]:
        """What the kernel has got is lost with it; the ids of what waits for the next process."""
        waiting = self.waiting()
        self._executing = {msg_id: header for msg_id, header in self._executing.items() if msg_id in waiting}
        return waiting
