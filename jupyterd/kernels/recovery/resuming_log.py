"""A kernel's log and channels gone on with after another daemon: nothing lost, nothing twice, and what is lost told.

1. What the former daemon had on disk is read: messages with their numbers, cursors of sessions, open requests.
2. What the keeper wrote down since is appended, less what is there already.
3. The sockets are opened. From the first message that we hear ourselves on the keeper need not write: the rest of what
   it wrote down is appended, then what we have heard meanwhile, less what was in that.
4. When the kernel replies on shell to a request that came behind all old ones, the old ones that have no reply will
   have none: an error says so to who asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from jupyterd.errors import Failed, Gone, TimedOut
from jupyterd.kernels.channels.client_requests import Asked
from jupyterd.kernels.log import journal as disk
from jupyterd.kernels.log import spill
from jupyterd.kernels.log.chunk import Chunk
from jupyterd.kernels.log.cursor_file import NOTHING, named
from jupyterd.kernels.log.recent_notes import ASKED
from jupyterd.kernels.log.settling import Place, settled
from jupyterd.kernels.messages.websocket_codec import UNREADABLE, Parts, read_header, read_parent, read_type
from jupyterd.kernels.recovery.standin import Standin, ids_of

if TYPE_CHECKING:
    from jupyterd.keeper.record import Heard
    from jupyterd.kernels.channels.client_requests import ToKernel
    from jupyterd.kernels.channels.from_kernel import FromKernel
    from jupyterd.kernels.channels.session_cursors import SessionCursors
    from jupyterd.kernels.channels.settings import ZMQChannelsWebsocketConnection
    from jupyterd.kernels.log.cursor import Cursor
    from jupyterd.kernels.log.message_log import MessageLog
    from jupyterd.kernels.log.settling import SavedCursor
    from jupyterd.kernels.messages.server_session import ServerSession

TAIL = 3000
"""Messages at the end of the log that are looked at: for the kernel's state, and the numbers that it gave them."""

BATCH = 128
"""Messages of the keeper's that are appended at once."""

MUCH, ROUNDS = 4 * 1024 * 1024, 8
"""Bytes that the keeper has written down and we have not read, above which it is to go on writing, so often."""

TRIES, PAUSE = 300, 0.01
"""How often, and after how many seconds, it is looked whether the keeper has what we have heard."""

SILENCE = 5.0
"""Seconds without a word of the kernel after which the keeper stops writing all the same: it has nothing to write."""

OVERLAP = 20.0
"""Seconds for which a message may still come that the keeper had written down."""

LONG = 24 * 3600.0
"""Seconds in which a kernel replies on shell, if it is ever done with what it does."""

LOST_REPLY = {
    "status": "error",
    "ename": "ReplyLost",
    "evalue": "The kernel's reply was lost while the server was restarted.",
    "traceback": [],
}
NEVER_GOT = "The request was lost while the server was restarted: the kernel never got it."


class Channels(Protocol):
    """What is gone on with: the channels of the kernel."""

    messages: MessageLog
    settings: ZMQChannelsWebsocketConnection

    @property
    def closed(self) -> bool: ...
    @property
    def from_kernel(self) -> FromKernel: ...
    @property
    def requests(self) -> ToKernel: ...
    @property
    def session_cursors(self) -> SessionCursors: ...
    @property
    def server_session(self) -> ServerSession: ...
    async def request(
        self, msg_type: str, content: dict[str, Any], *, channel: str = "shell", timeout: float
    ) -> dict[str, Any]: ...


class Resuming:
    """One kernel's.

    :param listened: the keeper has heard the kernel in the former daemon's place, and does.
    """

    log = Logger()

    def __init__(self, channels: Channels, standin: Standin, clock: Any, *, listened: bool) -> None:
        self._channels, self._standin, self._clock = channels, standin, clock
        self.listened = listened
        self._known: set[str] = set()
        self._asked: dict[str, tuple[str, bytes]] = {}
        self._behind: dict[int, list[tuple[Cursor, Place]]] = {}
        self._reached: dict[int, int] = {}

    async def restore(self, in_thread: Any, readers: Callable[[], None]) -> None:
        """Read what the former daemon had on disk.

        :param readers: called when its log is there: finds who else than sessions reads it, and has asked.
        """
        messages = self._channels.messages
        journal = messages.store.journal
        assert journal is not None
        found = await in_thread(disk.read, journal.directory)
        segments = await in_thread(spill.find, journal.directory)
        messages.store.resume(found.chunks, segments)
        journal.resume(found.files)
        journal.said, journal.mark = found.said, found.mark
        if messages.cursor_file is not None:
            taken = await self._standin.taken() if self.listened else {}
            self._restore_cursors(messages.cursor_file.read(), taken)
        readers()
        recent = [] if journal.recent is None else journal.recent.read()
        self._restore_requests([*found.asked, *recent], found.chunks)
        for note in recent:
            journal.note(note)
        tail = messages.store.tail(TAIL)
        self._known = ids_of(parts[0] for chunk in found.chunks for parts in chunk.messages if not chunk.lost)
        self._channels.from_kernel.remind(tail)

    def _restore_cursors(self, places: Iterable[SavedCursor], taken: Mapping[int, int]) -> None:
        messages, now = self._channels.messages, self._clock.seconds()
        for each in places:
            if each.until and each.until < now:
                messages.free_cursor_slot(each.slot)
                continue
            place = settled(each, taken.get(each.key))
            here = self._here(place)
            cursor = messages.reopen(each.number, each.session, here or Place(messages.next), each.slot)
            if here is None and place.said:
                messages.note(each.slot, place)  # as it was: we may be killed before we know better
                self._behind.setdefault(place.said, []).append((cursor, place))
            self._reached[cursor.number] = place.position
            grace = each.until - now if each.until else self._channels.settings.offline_session_timeout
            self._channels.session_cursors.restore(cursor, grace)

    def _here(self, place: Place) -> Place | None:
        """Where a place of the former daemon's is, if it is in what was on disk or right behind it; else None."""
        messages = self._channels.messages
        if place.position < messages.oldest:
            return Place(messages.oldest)
        if place.position <= messages.next:
            return place
        journal = messages.store.journal
        assert journal is not None
        last = named(journal.mark) if journal.said else NOTHING
        if not place.said or place.said != last:
            return None
        part = place.part if place.public else 0
        return place._replace(position=messages.next + place.further, since=messages.next, part=part)

    def _give_up_names(self) -> None:
        """All that the keeper heard is in the log: what a place is named by and was not found is lost."""
        left, self._behind = self._behind, {}
        for places in left.values():
            for cursor, _ in places:
                self._channels.messages.mark(cursor)

    def _restore_requests(self, notes: Sequence[Chunk], chunks: Sequence[Chunk]) -> None:
        replied = set()
        for chunk in chunks:
            if chunk.channel in (b"shell", b"control"):
                replied |= {
                    read_parent(parts[1]).msg_id
                    for parts in chunk.messages
                    if read_type(parts[0]).msg_type.endswith("_reply")
                }
        messages = self._channels.messages
        open_ones: dict[str, Asked] = {}
        for note in notes:
            header = bytes(note.messages[0][0])
            with suppress(*UNREADABLE):
                read = read_header(header)
                cursor = messages.cursors.get(note.to)
                if read.msg_id not in replied and cursor is not None:  # else nobody waits for it
                    channel = note.channel.removeprefix(ASKED).decode()
                    open_ones[read.msg_id] = Asked(cursor, channel, read.msg_type, header)
        if messages.cursor_file is not None:
            asked = [(msg_id, self._reached.get(each.cursor.number, 0)) for msg_id, each in open_ones.items()]
            for msg_id in messages.cursor_file.had_reply(asked):
                del open_ones[msg_id]
        for msg_id, each in open_ones.items():
            self._asked[msg_id] = (each.channel, each.header)
            self._channels.requests.restore(msg_id, each)

    async def catch_up(self) -> None:
        """Append what the keeper wrote down until now, or did until it ended with the kernel."""
        if self.listened:
            with suppress(Failed):
                self._tell_lost(await self._standin.hang_up())
        await self._feed_what_is_there()

    def go_on(self) -> None:
        """The sockets are open: go on by ourselves as soon as the kernel is heard."""
        from_kernel = self._channels.from_kernel
        from_kernel.hold(self._known)
        Deferred.fromCoroutine(self._go_on()).addErrback(self._failed)
        Deferred.fromCoroutine(self._settle_requests()).addErrback(self._failed)

    async def _go_on(self) -> None:
        from_kernel = self._channels.from_kernel
        heard = from_kernel.when_heard()
        with suppress(DeferredTimeout):
            await heard.addTimeout(SILENCE, self._clock)
        if self._channels.closed:
            return
        try:
            for _ in range(ROUNDS):  # what we hear meanwhile is kept in memory
                if not await self._feed_what_is_there():
                    break
            if self.listened:
                await self._overlap()
                with suppress(Failed):
                    self._tell_lost(await self._standin.release())
            await self._feed()
        finally:
            self._give_up_names()
            from_kernel.let_go()
        journal = self._channels.messages.store.journal
        if journal is not None and not self._channels.closed:
            await journal.flush()
            await self._standin.forget()
        self._clock.callLater(OVERLAP, from_kernel.forget_known)

    async def _overlap(self) -> None:
        """Wait until the keeper has written down the first message that we heard: others may be on their way."""
        first = self._channels.from_kernel.first_held()
        for _ in range(TRIES):
            if not first or first in self._known or self._channels.closed:
                return
            await deferLater(self._clock, PAUSE, lambda: None)
            await self._feed_what_is_there()

    async def _feed_what_is_there(self) -> bool:
        """Append what the keeper has written down until now; whether that was much."""
        size, behind = await self._standin.behind()
        await self._feed(size)
        return behind > MUCH

    async def _feed(self, most: int | None = None) -> None:
        while heard := await self._standin.heard(most):
            if self._channels.closed:
                return
            self._append(heard)

    def _append(self, heard: Sequence[Heard]) -> None:
        """In order, runs of iopub at once."""
        run: list[list[Any]] = []
        from_kernel = self._channels.from_kernel
        for message in heard:
            msg_ids = ids_of([message.parts[1]])
            if msg_ids <= self._known:
                continue
            self._known |= msg_ids
            if message.channel != b"iopub":
                self._flush(run)
                run = []
                from_kernel.replies(message.channel.decode(), [list(message.parts)])
                continue
            run.append(list(message.parts))
            behind = self._behind.pop(named(message.parts[0]), None) if self._behind else None
            if behind or len(run) >= BATCH:
                self._flush(run)
                run = []
            for cursor, place in behind or ():
                if cursor.client is None:
                    self._channels.messages.go_on(cursor, place, place.said)
        self._flush(run)

    def _flush(self, run: list[list[Any]]) -> None:
        if run:
            self._channels.from_kernel.iopub_again(run)

    def _tell_lost(self, count: int) -> None:
        if count:
            text = (
                f"[jupyterd] {count} messages of this kernel are missing here: no server was running, "
                "and more may not be kept.\n"
            )
            self._channels.from_kernel.tell(text)

    # -- requests without reply

    async def _settle_requests(self) -> None:
        if not self._asked:
            return
        with suppress(TimedOut, Gone):
            await self._channels.request("kernel_info_request", {}, timeout=LONG)
            for msg_id, (channel, header) in self._asked.items():
                if self._channels.requests.is_open(msg_id):
                    not_run = self.listened and not self._channels.from_kernel.is_begun(msg_id)
                    reply = self._reply_to(header, not_run)
                    self._channels.from_kernel.replies_are_lost(channel, header, reply, not_run)

    def _reply_to(self, header: bytes, not_run: bool) -> Parts:
        msg_type = read_header(header).msg_type
        content = {**LOST_REPLY, **({"evalue": NEVER_GOT} if not_run and msg_type == "execute_request" else {})}
        return self._channels.server_session.message(f"{msg_type.removesuffix('_request')}_reply", content, header)[1]

    def _failed(self, failure: Failure) -> None:
        self.log.failure("a kernel's log can not be gone on with as it should", failure)
