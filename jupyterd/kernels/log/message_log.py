"""Message log of one kernel: append-only, numbered, read through cursors.

A client that keeps up gets each chunk as it is appended and never reads the log. A client that lags, or is away, has a
position; what it still needs is kept for it in order (:mod:`jupyterd.kernels.log.bounded_store`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from jupyterd.kernels.log.bounded_store import Store
from jupyterd.kernels.log.chunk import EVERYBODY, Chunk
from jupyterd.kernels.log.coalesce import coalesced
from jupyterd.kernels.log.cursor import Client, Cursor
from jupyterd.kernels.log.cursor_file import IS_V1, NOTHING, PLAIN, PUBLIC, CursorFile, named
from jupyterd.kernels.log.settling import HELD_BACK, Place
from jupyterd.kernels.log.spill import Block, Spill
from jupyterd.kernels.log.totals import MessageTotals
from jupyterd.kernels.messages.websocket_codec import CODEC_JSON, CODEC_V1, Bytes, Codec, Parts

if TYPE_CHECKING:
    from jupyterd.kernels.log.rate_limit import RateLimit
    from jupyterd.system.threads import InThread

MERGED = 256 * 1024
"""About so many bytes of late messages are merged at once."""

WINDOW = 16 * 1024 * 1024
"""How far back in a client's stream it is known which message lies where: more than both ends of a connection hold."""


MARK = 0.1
"""Seconds after which it is written down where a client is, where the system does not tell what it has taken."""


Parcel = tuple[int, list[Bytes]]
"""The number of a message, and the frames that carry it and those up to the next parcel's."""


class MessageLog:
    """The log of one kernel.

    :param retained: bytes kept in memory although nobody needs them.
    :param memory: bytes kept in memory for who needs them.
    :param late: seconds after which a message is merged with its neighbours, if it may be; 0 for never.
    :param clock: the reactor's.
    :param flow: called with False when the kernel must not be read for a while, and with True when it may again.
    :param notice: makes the parts of a message that tells a text below the parent header given.
    :param totals: counts for all logs of a daemon.
    :ivar caught_up: called with each cursor whose client has got all, once nothing more will come.
    """

    log = Logger()

    def __init__(
        self,
        spill: Spill,
        in_thread: InThread,
        *,
        retained: int,
        memory: int,
        late: float,
        clock: Any,
        flow: Callable[[bool], None],
        notice: Callable[[str, bytes], Parts],
        totals: MessageTotals | None = None,
    ) -> None:
        self.totals = totals or MessageTotals()
        self.store = Store(spill, in_thread, self, retained=retained, memory=memory, clock=clock, flow=flow)
        self.cursor_file: CursorFile | None = None
        self._behind: set[Cursor] = set()
        self._clock = clock
        self.cursors: dict[int, Cursor] = {}
        self.attached: list[Cursor] = []
        self._late, self._seconds, self._notice = late, clock.seconds, notice
        self._numbers = 0
        self.caught_up: Callable[[Cursor], None] | None = None

    @property
    def next(self) -> int:
        """The number of the next message."""
        return self.store.next

    @property
    def oldest(self) -> int:
        """The number of the oldest message that is still here."""
        return self.store.oldest

    # -- cursors

    def open(self, session: str | None = None, position: int | None = None) -> Cursor:
        """A new cursor, at the end of the log or at ``position``."""
        self._numbers += 1
        cursor = Cursor(self._numbers, session, self.next if position is None else position)
        if position is None and (journal := self.store.journal) is not None:
            cursor.said = named(journal.mark) if journal.mark or journal.said else NOTHING
        self.cursors[cursor.number] = cursor
        if session and self.cursor_file is not None:
            cursor.slot = self.cursor_file.take(cursor.number, session, cursor.position)
            self.mark(cursor)
        return cursor

    def reopen(self, number: int, session: str | None, place: Place, slot: int = -1) -> Cursor:
        """The cursor of a session that was here when a former daemon was; where it is in this log."""
        cursor = Cursor(number, session, place.position)
        cursor.slot = slot
        self._put(cursor, place)
        self._numbers = max(self._numbers, number)
        self.cursors[cursor.number] = cursor
        return cursor

    def go_on(self, cursor: Cursor, place: Place, said: int) -> None:
        """The message after which a session has ``place`` has just been appended; it was not stored."""
        position = self.next + place.further
        part = place.part if place.public else 0
        self._put(cursor, place._replace(position=position, said=said, since=self.next, part=part))

    def _put(self, cursor: Cursor, place: Place) -> None:
        cursor.position, cursor.said, cursor.since = place.position, place.said, place.since
        codec = CODEC_V1 if place.protocol else CODEC_JSON
        cursor.partial = (place.position, place.part, codec, place.public) if place.part else None
        self.mark(cursor)

    def note(self, slot: int, place: Place) -> None:
        """Write down where a session is that has no connection: in the former daemon's log, as long as that counts."""
        if self.cursor_file is not None and slot >= 0:
            self.cursor_file.mark(slot, place, connected=False)

    def free_cursor_slot(self, slot: int) -> None:
        """Nobody comes back for a place."""
        if self.cursor_file is not None:
            self.cursor_file.give_back(slot)

    def away(self, cursor: Cursor, until: float) -> None:
        """The client of a session is away, and waited for until then; 0: it is here."""
        if self.cursor_file is not None and cursor.slot >= 0:
            self.cursor_file.until(cursor.slot, until)

    def mark(self, cursor: Cursor) -> None:
        """Write down where a cursor is, for the next daemon: behind what the system has taken for its client."""
        file, client = self.cursor_file, cursor.client
        if cursor.slot < 0 or file is None:
            return
        if client is None:
            place = Place(cursor.position, cursor.said, cursor.since)
            if cursor.partial is not None:
                _, part, codec, public = cursor.partial
                place = place._replace(part=part, public=public, protocol=codec.name)
            file.mark(cursor.slot, place, connected=False)
            return
        cursor.full = False
        if not cursor.flight or (unsent := client.unsent()) == 0:
            file.has_all(cursor.slot, cursor.position, cursor.said, cursor.since)
            return
        if unsent is None:  # nobody knows: what was confirmed is told now and then
            if not self._behind:
                self._clock.callLater(MARK, self._mark_behind)
            self._behind.add(cursor)
            return
        taken = cursor.flight[-1][1] - unsent
        place, on_its_way = Place(cursor.position, cursor.said, cursor.since), 0
        for begin, end, first, plain, said, since, public in reversed(cursor.flight):
            if end <= taken:
                break
            on_its_way += 1
            part = taken - begin if plain and taken > begin else 0
            place = Place(first, said, since, part, public, client.codec.name)
        cursor.full = on_its_way >= HELD_BACK and client.connection is not None
        file.mark(cursor.slot, place)

    def taken(self, cursor: Cursor) -> None:
        """The system has taken more of what was written to a cursor's client."""
        full = cursor.full
        self.mark(cursor)
        if full and not cursor.full:
            self.pull(cursor)

    def _mark_behind(self) -> None:
        behind, self._behind = self._behind, set()
        for cursor in behind:
            if self.cursor_file is None or cursor.slot < 0 or cursor.number not in self.cursors:
                continue
            client = cursor.client
            self.cursor_file.mark(cursor.slot, self._unconfirmed_place(cursor))
            if client is not None and client.unacknowledged():
                self.mark(cursor)

    def leave(self) -> None:
        """Take nothing more; what is on disk, and where who reads is, stays for the next daemon.

        What is under way to clients goes on: their records of TLS are noted as long as there are any.
        """
        if self.cursor_file is not None:
            self._mark_behind()
            self.cursor_file = None
        self.store.leave()

    def attach(self, cursor: Cursor, client: Client) -> None:
        """``client`` reads at ``cursor`` from now on; what waits there is written at once."""
        cursor.client = client
        cursor.flight.clear()
        if cursor.slot >= 0 and self.cursor_file is not None and (held := client.connection) is not None:
            self.cursor_file.connected(cursor.slot, held.key, held.base, is_sealed=held.records is not None)
            if held.records is not None:
                held.records.noted = partial(self.cursor_file.sealed, cursor.slot)
        self.attached.append(cursor)
        self.pull(cursor)

    def detach(self, cursor: Cursor) -> None:
        """The client is gone: the cursor goes back to the first message that its peer did not acknowledge."""
        client = cursor.client
        if client is not None:
            self._go_back(cursor, client)
            cursor.client, cursor.full = None, False
            cursor.held.clear()
            cursor.flight.clear()
            self.attached.remove(cursor)
            self.mark(cursor)
            self.uncounted(cursor, client)

    def uncounted(self, cursor: Cursor, client: Client) -> None:
        """What the system takes for a cursor's client is not known from now on."""
        if (held := client.connection) is not None and held.records is not None:
            held.records.noted = None
        if cursor.slot >= 0 and self.cursor_file is not None:
            self.cursor_file.connected(cursor.slot, 0, 0)

    def forget(self, cursor: Cursor) -> None:
        """Nobody comes back for this cursor."""
        self.detach(cursor)
        self.cursors.pop(cursor.number, None)
        if cursor.slot >= 0 and self.cursor_file is not None:
            self.cursor_file.give_back(cursor.slot)
            cursor.slot = -1
        self.store.reclaim()

    def move(self, cursor: Cursor, position: int) -> None:
        """Nothing before ``position`` is needed for this cursor, which no client reads at."""
        if position > cursor.position:
            cursor.position = position
            self.store.reclaim()

    @property
    def needed(self) -> int:
        """The number of the oldest message that some cursor may have to go back to, however its connection ends."""
        return min(map(self._needs, self.cursors.values()), default=self.next)

    @property
    def unconfirmed(self) -> int:
        """The number of the oldest message that some client has not got, as far as is known now."""
        return min((self._unconfirmed_place(each).position for each in self.cursors.values()), default=self.next)

    def _needs(self, cursor: Cursor) -> int:
        flight = cursor.flight
        if cursor.client is not None and flight:
            received = flight[-1][1] - cursor.client.unanswered()
            while flight and flight[0][1] <= received:
                flight.popleft()
        return flight[0][2] if flight else cursor.position

    def _unconfirmed_place(self, cursor: Cursor) -> Place:
        flight = cursor.flight
        if cursor.client is not None and flight:
            received = flight[-1][1] - cursor.client.unacknowledged()
            for _, end, first, _, said, since, _ in flight:
                if end > received:
                    return Place(first, said, since)
        return Place(cursor.position, cursor.said, cursor.since)

    def somebody_is_away(self, before: int) -> bool:
        """Whether who needs messages below the number ``before`` is not connected."""
        return any(cursor.client is None and cursor.position < before for cursor in self.cursors.values())

    # -- writing

    def append(self, chunk: Chunk) -> None:
        """Number a chunk's messages, and give them to who has all before."""
        self.store.add(chunk)
        attached = self.attached
        for cursor in attached if len(attached) == 1 else tuple(attached):
            client = cursor.client
            if cursor.position != chunk.first or client is None or cursor.full or client.blocked:
                continue
            if not cursor.pulling:
                try:
                    self._deliver(cursor, client, chunk)
                except Exception:  # noqa: BLE001 - one client's trouble is not the others', nor the kernel's
                    self.log.failure("a client can not be written to")
        self.store.grown()

    def reply(self, msg_id: str) -> None:
        """A reply to a request is the next message: noted, for a daemon that finds it given and not on disk."""
        if self.cursor_file is not None:
            self.cursor_file.replied(msg_id, self.next)

    def confirmed(self) -> None:
        """A client told that it has more of what it was given."""
        self.store.read_on()

    # -- reading

    def pull(self, cursor: Cursor) -> None:
        """Write to a cursor's client what waits for it, until it takes no more."""
        if cursor.pulling:
            return
        cursor.pulling = True
        try:
            while (
                (client := cursor.client) is not None
                and not client.blocked
                and not cursor.full
                and cursor.position < self.next
            ):
                found = self._at(cursor)
                if isinstance(found, Chunk):
                    self._deliver(cursor, client, found if cursor.partial is None else self._rest(cursor, found))
                elif not self._fetch(cursor, found):
                    return
        finally:
            cursor.pulling = False
        self.store.read_on()
        if self.caught_up is not None and cursor.client is not None and cursor.position >= self.next:
            self.caught_up(cursor)

    def _at(self, cursor: Cursor) -> Chunk | Block:
        """The chunk at a cursor's position, or the block that has to be read for it."""
        position = cursor.position
        while cursor.held:
            chunk = cursor.held.popleft()
            if chunk.first <= position < chunk.end:
                return chunk.after(position)
        return self.store.at(position)

    def _told(self, chunk: Chunk) -> Parts:
        text = f"[jupyterd] {chunk.count} messages of this kernel are missing here: more than its log may keep.\n"
        return self._notice(text, chunk.parent)

    def _fetch(self, cursor: Cursor, block: Block) -> bool:
        """Read the block at a cursor's position; True if it is there at once."""
        if not cursor.reading:
            cursor.reading = True
            self.store.read(block, cursor.position).addCallback(self._fetched, cursor).addErrback(self._bug)
        return not cursor.reading

    def _fetched(self, chunks: list[Chunk], cursor: Cursor) -> None:
        cursor.reading = False
        if cursor.client is not None:
            cursor.held.extend(chunks)
            self.pull(cursor)

    async def since(self, position: int, number: int | None) -> AsyncIterator[Chunk]:
        """The chunks from ``position`` on, read without keeping a place.

        :param number: whose private messages are among them; None for everybody's.
        """
        cursor = Cursor(number or 0, None, position)
        while cursor.position < self.next:
            chunk = self._at(cursor)
            if isinstance(chunk, Block):
                cursor.held.extend(await self.store.read(chunk, cursor.position))
                continue
            cursor.position = chunk.end
            if number is None or chunk.to in (EVERYBODY, number):
                yield Chunk(b"iopub", [self._told(chunk)], chunk.time, EVERYBODY, chunk.first) if chunk.lost else chunk

    def _deliver(self, cursor: Cursor, client: Client, chunk: Chunk) -> None:
        first, said, since = cursor.position, cursor.said, cursor.since
        self._pass(cursor, chunk)
        if not chunk.messages or (chunk.to != EVERYBODY and chunk.to != cursor.number):
            return
        plain, public = False, chunk.name != 0
        if chunk.lost:
            self.totals.gaps += 1
            parcels = [(first, client.codec.encode(b"iopub", [self._told(chunk)]))]
        elif cursor.limit is not None and chunk.channel == b"iopub":
            parcels = self._limited(cursor.limit, client, chunk)
        elif self._late and self._is_late(chunk):
            parcels, public = self._merged(cursor, client, chunk), False  # the server's own may be among them
        else:
            plain = True
            parcels = [(first, self._frames(chunk, client.codec))]
        frames = parcels[0][1] if len(parcels) == 1 else [frame for _, some in parcels for frame in some]
        if not frames:
            return
        sizes = [sum(map(len, some)) for _, some in parcels]
        begin = client.begin(frames)
        if cursor.slot >= 0 and self.cursor_file is not None and begin is not None:
            flags = (IS_V1 if client.codec.name else 0) | (PUBLIC if public else 0) | (PLAIN if plain else 0)
            if len(parcels) == 1:
                behind = cursor.said if cursor.since == cursor.position else 0
                self.cursor_file.about_to_write(
                    cursor.slot, begin, begin + sizes[0], first, said, since, cursor.position, behind, flags
                )
            else:
                self._about_to_write(self.cursor_file, cursor, begin, parcels, sizes, said, since, flags)
        written = client.write(frames)
        flight = cursor.flight
        end = written - sum(sizes)
        for (number, _), size in zip(parcels, sizes, strict=True):
            begin, end = end, end + size
            flight.append((begin, end, number, plain, said if public or number == first else 0, since, public))
        while flight[0][1] < written - WINDOW:
            flight.popleft()
        if cursor.slot >= 0:
            self.mark(cursor)

    def _pass(self, cursor: Cursor, chunk: Chunk) -> None:
        """A cursor has all of a chunk."""
        if chunk.name:
            cursor.said, cursor.since = chunk.name, chunk.end
        elif cursor.since == cursor.position:
            cursor.since = chunk.end
        cursor.position = chunk.end

    def _about_to_write(
        self,
        file: CursorFile,
        cursor: Cursor,
        begin: int,
        parcels: list[Parcel],
        sizes: list[int],
        said: int,
        since: int,
        flags: int,
    ) -> None:
        """Note several parcels, a few together where there are many.

        :param said: with ``since``, where the client was before.
        """
        ends = [*(first for first, _ in parcels[1:]), cursor.position]
        together = -(-len(parcels) // (HELD_BACK // 2))
        for index in range(0, len(parcels), together):
            end = begin + sum(sizes[index : index + together])
            after = ends[min(index + together, len(ends)) - 1]
            name = cursor.said if after == cursor.position == cursor.since else 0
            before = said if flags & PUBLIC or not index else 0
            file.about_to_write(cursor.slot, begin, end, parcels[index][0], before, since, after, name, flags)
            begin = end

    def _frames(self, chunk: Chunk, codec: Codec) -> list[Bytes]:
        """Encoded once for all clients of one protocol, where there are several."""
        if not chunk.shared or len(self.attached) == 1:
            return codec.encode(chunk.channel, chunk.messages)
        frames = chunk.frames.get(codec.name)
        if frames is None:
            frames = chunk.frames[codec.name] = codec.encode(chunk.channel, chunk.messages)
            self.store.enlarged(chunk, sum(map(len, frames)))
        return frames

    def _limited(self, limit: RateLimit, client: Client, chunk: Chunk) -> list[Parcel]:
        parcels = []
        for number, parts in enumerate(chunk.messages, chunk.first):
            verdict = limit.judge(chunk.time, parts)
            said = [self._notice(text, bytes(parts[1])) for text in verdict.texts]
            if verdict.passes:
                said.append(parts)
            parcels.append((number, client.codec.encode(b"iopub", said) if said else []))
        return parcels

    def _is_late(self, chunk: Chunk) -> bool:
        return chunk.channel == b"iopub" and chunk.to == EVERYBODY and self._seconds() - chunk.time > self._late

    def _merged(self, cursor: Cursor, client: Client, chunk: Chunk) -> list[Parcel]:
        """The messages of ``chunk`` and the late ones behind it, neighbouring stream messages made one."""
        messages = list(chunk.messages)
        size = chunk.size
        while size < MERGED and cursor.position < self.next:
            following = self._at(cursor)
            if isinstance(following, Block):
                break
            if following.lost or not self._is_late(following):
                cursor.held.appendleft(following)
                break
            messages.extend(following.messages)
            size += following.size
            self._pass(cursor, following)
        parcels = []
        number = chunk.first
        for parts, count in coalesced(messages):
            parcels.append((number, client.codec.encode(chunk.channel, [parts])))
            number += count
        return parcels

    def _go_back(self, cursor: Cursor, client: Client) -> None:
        """Back to the first message that the client's peer did not acknowledge whole."""
        if not cursor.flight:
            return
        received = cursor.flight[-1][1] - client.unacknowledged()
        for begin, end, first, plain, said, since, public in cursor.flight:
            if end > received:
                # What a pong has confirmed is in flight no more; TCP may tell of less at the end.
                partial = (first, received - begin, client.codec, public)
                cursor.partial = partial if plain and received > begin else None
                cursor.position, cursor.said, cursor.since = first, said, since
                return

    def _rest(self, cursor: Cursor, chunk: Chunk) -> Chunk:
        """``chunk`` without the messages at its begin that the client's peer has acknowledged."""
        assert cursor.partial is not None
        first, received, codec, public = cursor.partial
        cursor.partial = None
        if chunk.first != first or chunk.lost:
            return chunk
        count = 0
        for parts in chunk.messages:
            size = sum(map(len, codec.encode(chunk.channel, [parts])))
            if received < size:
                break
            received -= size
            count += 1
        cursor.position = first + count
        if not chunk.name:
            cursor.since = max(cursor.since, cursor.position)
        if received and count == len(chunk.messages):  # they came together, and are in two chunks now
            cursor.partial = (cursor.position, received, codec, public)
        return chunk.after(first + count)

    # -- the end

    def close(self) -> Deferred[None]:
        """Forget all, on disk too."""
        if self.cursor_file is not None:
            self.cursor_file.close()
            self.cursor_file = None
        return self.store.close()

    def _bug(self, failure: Failure) -> None:
        self.log.failure("the message log failed", failure)
