"""One kernel's message log: append-only, numbered, read through cursors.

The newest chunks are in memory. A client that keeps up gets each chunk as it is appended and never reads the log.
A client that lags, or is away, has a position; what it still needs and does not fit in memory goes to disk
(:mod:`jupyterd.kernels.spill`), in order. All is done in the reactor's thread but reading and writing files.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from jupyterd.kernels import spill as disk
from jupyterd.kernels.chunk import EVERYBODY, Chunk
from jupyterd.kernels.coalesce import coalesced
from jupyterd.kernels.spill import Block, Segment, Spill
from jupyterd.kernels.wire import Bytes, Codec, Parts

if TYPE_CHECKING:
    from jupyterd.kernels.limits import RateLimit
    from jupyterd.threads import InThread

SLACK = 4 * 1024 * 1024
"""What may be in memory beyond the limit while the disk is being written; then the kernel is not read until it is."""

LARGE = 64 * 1024
"""Chunks of so many bytes on average may wait in the kernel for clients that are reading, before they go to disk."""

PATIENCE, PROGRESS = 2.0, 0.4
"""For so many seconds in all, while a client takes something each so many seconds."""

STEP = 256 * 1024
"""Memory grows by so much before the log looks again at what it can let go."""

MERGED = 256 * 1024
"""About so many bytes of late messages are merged at once."""

WINDOW = 4 * 1024 * 1024
"""How far back in a client's stream it is known which message lies where: more than TCP leaves unacknowledged."""


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

    def write(self, frames: list[Bytes]) -> int:
        """Take whole frames; the number of bytes it has taken in all."""

    def unacknowledged(self) -> int:
        """How many of them its peer has not acknowledged, as far as that is known."""


class Cursor:
    """A place in the log, of one session of one client.

    :ivar number: the addressee of what is meant for it alone.
    :ivar position: the number of the next message it gets.
    :ivar held: chunks read from disk and not yet taken.
    :ivar partial: bytes of the chunk at ``position`` that a lost client had acknowledged, and in which protocol.
    :ivar flight: what was written last: begin and end in the client's stream, the first message, whether frames
        are messages.
    """

    __slots__ = (
        "client", "expiry", "flight", "held", "limit", "number", "partial", "position", "pulling", "reading", "session",
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


class MessageLog:
    """The log of one kernel.

    :param retained: bytes kept in memory although nobody needs them.
    :param memory: bytes kept in memory for who needs them.
    :param late: seconds after which a message is merged with its neighbours, if it may be; 0 for never.
    :param clock: the reactor's.
    :param flow: called with False when the kernel must not be read for a while, and with True when it may again.
    :ivar caught_up: called with each cursor whose client has got all, once nothing more will come.
    :param notice: makes the parts of a message that tells a text below the parent header given.
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
    ) -> None:
        self.next = 1
        self.memory = 0
        self.cursors: dict[int, Cursor] = {}
        self.attached: list[Cursor] = []
        self.spill = spill
        self._in_thread = in_thread
        self._retained, self._limit, self._late = retained, memory, late
        self._clock, self._seconds, self._flow, self._notice = clock, clock.seconds, flow, notice
        self._chunks: list[Chunk] = []
        self._look_at = retained
        self._written_from = 0
        self._progress = 0.0
        self._patient_since: float | None = None
        self._looks_again: Any = None
        self._numbers = 0
        self.caught_up: Callable[[Cursor], None] | None = None
        self._writing = self._compacting = self._held_back = self._closed = False

    # -- cursors

    def open(self, session: str | None = None, position: int | None = None) -> Cursor:
        """A new cursor, at the end of the log or at ``position``."""
        self._numbers += 1
        cursor = Cursor(self._numbers, session, self.next if position is None else position)
        self.cursors[cursor.number] = cursor
        return cursor

    def attach(self, cursor: Cursor, client: Client) -> None:
        """``client`` reads at ``cursor`` from now on; what waits there is written at once."""
        cursor.client = client
        cursor.flight.clear()
        self.attached.append(cursor)
        self.pull(cursor)

    def detach(self, cursor: Cursor) -> None:
        """The client is gone: the cursor goes back to the first message that its peer did not acknowledge."""
        if cursor.client is not None:
            cursor.position = self._acknowledged(cursor, cursor.client)
            cursor.client = None
            cursor.held.clear()
            cursor.flight.clear()
            self.attached.remove(cursor)

    def forget(self, cursor: Cursor) -> None:
        """Nobody comes back for this cursor."""
        self.detach(cursor)
        self.cursors.pop(cursor.number, None)
        self._reclaim()

    @property
    def needed(self) -> int:
        """The number of the oldest message that some cursor has not got, as far as its peer's TCP tells."""
        return min(map(self._needs, self.cursors.values()), default=self.next)

    def _needs(self, cursor: Cursor) -> int:
        flight = cursor.flight
        if cursor.client is not None and flight:
            received = flight[-1][1] - cursor.client.unacknowledged()
            while flight and flight[0][1] <= received:
                flight.popleft()
        return flight[0][2] if flight else cursor.position

    @property
    def oldest(self) -> int:
        """The number of the oldest message that is still here."""
        if self.spill.segments and self.spill.segments[0].blocks:
            return self.spill.segments[0].blocks[0].first
        return self._chunks[0].first if self._chunks else self.next

    # -- writing

    def append(self, chunk: Chunk) -> None:
        """Number a chunk's messages, and give them to who has all before."""
        chunk.first = self.next
        chunk.shared = True
        self.next += chunk.count
        self._chunks.append(chunk)
        self.memory += chunk.size
        attached = self.attached
        for cursor in attached if len(attached) == 1 else tuple(attached):
            client = cursor.client
            if cursor.position == chunk.first and client is not None and not client.blocked and not cursor.pulling:
                try:
                    self._deliver(cursor, client, chunk)
                except Exception:  # noqa: BLE001 - one client's trouble is not the others', nor the kernel's
                    self.log.failure("a client can not be written to")
        if self.memory > self._look_at:
            self._look()

    def _look(self) -> None:
        """Let go of what nobody needs; write to disk what does not fit."""
        self._drop_until(self.needed, self._retained)
        waits = False
        if self.memory > self._limit:
            waits = self._clients_are_reading()
            if not waits:
                self._write()
        elif self.memory <= self._limit // 2:
            self._patient_since = None
        if self._held_back != (waits or self.memory > self._limit + SLACK):
            self._held_back = not self._held_back
            self._flow(not self._held_back)
        look_at = self.memory + STEP
        self._look_at = max(self._retained, self._limit if self.memory < self._limit < look_at else look_at)

    def _clients_are_reading(self) -> bool:
        """Whether large messages had better wait in the kernel for a moment than go to disk and back."""
        first = self._chunks[0]
        if self.memory < LARGE * len(self._chunks) or any(
            cursor.client is None and cursor.position < first.end for cursor in self.cursors.values()
        ):
            return False
        now = self._seconds()
        if self._patient_since is None:
            self._patient_since = now
        if now - self._patient_since > PATIENCE or now - self._progress > PROGRESS:
            return False
        if self._looks_again is None or not self._looks_again.active():
            self._looks_again = self._clock.callLater(PROGRESS, self._look)
        return True

    def _drop_until(self, needed: int, floor: int) -> None:
        count = 0
        for chunk in self._chunks:
            if self.memory <= floor or chunk.end > needed or (self._writing and chunk.first >= self._written_from):
                break
            self.memory -= chunk.size
            count += 1
        del self._chunks[:count]

    def _write(self) -> None:
        if self._writing or self._closed:
            return
        groups = self._groups(self.memory - self._limit // 2)
        self._writing, self._written_from = True, groups[0][0].first
        segment = self.spill.target()
        done = self._in_thread(disk.write, segment.path, segment.size, groups)
        done.addCallbacks(self._written, self._not_written, (segment,), errbackArgs=(segment, sum(map(len, groups))))
        done.addErrback(self._bug)

    def _groups(self, excess: int) -> list[list[Chunk]]:
        """The oldest chunks, of ``excess`` bytes, in groups of a block each."""
        groups: list[list[Chunk]] = [[]]
        size = 0
        for chunk in self._chunks:
            if size >= disk.BLOCK:
                groups.append([])
                excess -= size
                size = 0
            if excess <= 0 and groups[0]:
                break
            groups[-1].append(chunk)
            size += chunk.size
        return [group for group in groups if group]

    def _written(self, blocks: list[Block], segment: Segment) -> None:
        self._writing = False
        if self._closed:
            self._remove([segment.path])
            return
        self.spill.wrote(segment, blocks)
        count = 0
        for chunk in self._chunks:
            if chunk.first >= blocks[-1].end:
                break
            self.memory -= chunk.size
            count += 1
        del self._chunks[:count]
        self._reclaim()
        self._enforce_quota()
        self._look()

    def _not_written(self, failure: Failure, segment: Segment, count: int) -> None:
        """The disk does not take it: memory stays bounded, and who needed it is told that it is lost."""
        self._writing = False
        if self._closed:
            return
        self.spill.wrote(segment, [])
        self.log.failure(
            "{count} chunks of a kernel's messages are lost: the disk does not take them", failure, count=count
        )
        for chunk in self._chunks[:count]:
            self.memory -= chunk.size
        del self._chunks[:count]
        self._look()

    def _reclaim(self) -> None:
        if self.spill.segments:
            paths = self.spill.unneeded(self.needed)
            if paths:
                self._remove(paths)

    def _remove(self, paths: Iterable[str]) -> None:
        self._in_thread(disk.remove, list(paths)).addErrback(self._bug)

    def _enforce_quota(self) -> None:
        while not self._compacting and not self._closed and (segment := self.spill.over_quota()) is not None:
            if segment.compacted:
                self._remove([self.spill.drop(segment)])
                continue
            self._compacting = True
            path = self.spill.compacted_path(segment)
            done = self._in_thread(disk.compact, segment, path)
            done.addCallbacks(self._compacted, self._not_compacted, (segment, path), errbackArgs=(segment, path))
            done.addErrback(self._bug)

    def _compacted(self, blocks: list[Block], segment: Segment, path: str) -> None:
        self._compacting = False
        if segment in self.spill.segments:
            self._remove([self.spill.replace(segment, path, blocks)])
            self._enforce_quota()
        else:
            self._remove([path])

    def _not_compacted(self, failure: Failure, segment: Segment, path: str) -> None:
        self._compacting = False
        self.log.failure("a kernel's messages on disk can not be compacted", failure)
        paths = [path]
        if segment in self.spill.segments:
            paths.append(self.spill.drop(segment))
        self._remove(paths)
        self._enforce_quota()

    # -- reading

    def pull(self, cursor: Cursor) -> None:
        """Write to a cursor's client what waits for it, until it takes no more."""
        if cursor.pulling:
            return
        cursor.pulling = True
        try:
            while (client := cursor.client) is not None and not client.blocked and cursor.position < self.next:
                chunk = self._take(cursor)
                if chunk is not None:
                    self._deliver(cursor, client, chunk if cursor.partial is None else self._rest(cursor, chunk))
                elif not self._fetch(cursor):
                    return
        finally:
            cursor.pulling = False
        if self.memory > self._retained + STEP:
            self._progress = self._seconds()
            self._look()
        self._reclaim()
        if self.caught_up is not None and cursor.client is not None and cursor.position >= self.next:
            self.caught_up(cursor)

    def _take(self, cursor: Cursor) -> Chunk | None:
        """The chunk at a cursor's position; None if it has to be read from disk."""
        position = cursor.position
        while cursor.held:
            chunk = cursor.held.popleft()
            if chunk.first > position:
                cursor.held.appendleft(chunk)
                return self._lost(position, chunk.first)
            if chunk.end > position:
                return chunk.after(position)
        first = self._chunks[0].first if self._chunks else self.next
        if position < first:
            block = self.spill.find(position)
            if block is not None and block.first <= position:
                return None
            return self._lost(position, min(first, block.first if block else first))
        index = bisect_right(self._chunks, position, key=lambda chunk: chunk.first) - 1
        return self._chunks[index].after(position)

    def _lost(self, first: int, end: int) -> Chunk:
        """What stands for messages that are neither in memory nor on disk."""
        return disk.lost_chunk(Chunk(b"iopub", (), self._seconds()), first, end - first, b"{}")

    def _told(self, chunk: Chunk) -> Parts:
        text = (
            f"[jupyterd] {chunk.count} messages of this kernel are missing here: more than its log may keep on disk.\n"
        )
        return self._notice(text, bytes(chunk.messages[0][1]))

    def _fetch(self, cursor: Cursor) -> bool:
        """Read the block at a cursor's position; True if it is there at once."""
        block = self.spill.find(cursor.position)
        if block is not None and not cursor.reading:
            cursor.reading = True
            done = self._in_thread(disk.read, block)
            done.addCallbacks(self._fetched, self._not_fetched, (cursor, block), errbackArgs=(cursor, block))
            done.addErrback(self._bug)
        return not cursor.reading

    def _fetched(self, chunks: list[Chunk], cursor: Cursor, block: Block) -> None:
        cursor.reading = False
        cursor.held.extend(chunks)
        self._reclaim()
        self.pull(cursor)

    def _not_fetched(self, failure: Failure, cursor: Cursor, block: Block) -> None:
        cursor.reading = False
        if self.spill.find(cursor.position) is block:  # else it was compacted or dropped meanwhile
            self.log.failure("a kernel's messages on disk can not be read", failure)
            cursor.held.append(self._lost(cursor.position, block.end))
        self.pull(cursor)

    async def since(self, position: int, number: int | None) -> AsyncIterator[Chunk]:
        """The chunks from ``position`` on, read without keeping a place.

        :param number: whose private messages are among them; None for everybody's.
        """
        cursor = Cursor(number or 0, None, position)
        while cursor.position < self.next:
            chunk = self._take(cursor)
            if chunk is None:
                block = self.spill.find(cursor.position)
                assert block is not None
                try:
                    cursor.held.extend(await self._in_thread(disk.read, block))
                except OSError:
                    if self.spill.find(cursor.position) is block:
                        cursor.held.append(self._lost(cursor.position, block.end))
                continue
            cursor.position = chunk.end
            if number is None or chunk.to in (EVERYBODY, number):
                yield Chunk(b"iopub", [self._told(chunk)], chunk.time, EVERYBODY, chunk.first) if chunk.lost else chunk

    def _deliver(self, cursor: Cursor, client: Client, chunk: Chunk) -> None:
        first = cursor.position
        cursor.position = chunk.end
        if not chunk.messages or (chunk.to != EVERYBODY and chunk.to != cursor.number):
            return
        plain = False
        if chunk.lost:
            frames = client.codec.encode(b"iopub", [self._told(chunk)])
        elif cursor.limit is not None and chunk.channel == b"iopub":
            frames = self._limited(cursor.limit, client, chunk)
        elif self._late and self._is_late(chunk):
            frames = client.codec.encode(chunk.channel, self._merged(cursor, chunk))
        else:
            plain = True
            frames = self._frames(chunk, client.codec)
        if not frames:
            return
        written = client.write(frames)
        flight = cursor.flight
        flight.append((written - sum(map(len, frames)), written, first, plain))
        while flight[0][1] < written - WINDOW:
            flight.popleft()

    def _frames(self, chunk: Chunk, codec: Codec) -> list[Bytes]:
        """Encoded once for all clients of one protocol, where there are several."""
        if not chunk.shared or len(self.attached) == 1:
            return codec.encode(chunk.channel, chunk.messages)
        frames = chunk.frames.get(codec.name)
        if frames is None:
            frames = chunk.frames[codec.name] = codec.encode(chunk.channel, chunk.messages)
            added = sum(map(len, frames))
            chunk.size += added
            self.memory += added
        return frames

    def _limited(self, limit: RateLimit, client: Client, chunk: Chunk) -> list[Bytes]:
        frames: list[Bytes] = []
        for parts in chunk.messages:
            verdict = limit.judge(chunk.time, parts)
            for text in verdict.texts:
                frames += client.codec.encode(b"iopub", [self._notice(text, bytes(parts[1]))])
            if verdict.passes:
                frames += client.codec.encode(chunk.channel, [parts])
        return frames

    def _is_late(self, chunk: Chunk) -> bool:
        return chunk.channel == b"iopub" and chunk.to == EVERYBODY and self._seconds() - chunk.time > self._late

    def _merged(self, cursor: Cursor, chunk: Chunk) -> list[Parts]:
        """The messages of ``chunk`` and the late ones behind it, neighbouring stream messages made one."""
        messages = list(chunk.messages)
        size = chunk.size
        while size < MERGED and cursor.position < self.next:
            following = self._take(cursor)
            if following is None:
                break
            if following.lost or not self._is_late(following):
                cursor.held.appendleft(following)
                break
            messages.extend(following.messages)
            size += following.size
            cursor.position = following.end
        return coalesced(messages)

    def _acknowledged(self, cursor: Cursor, client: Client) -> int:
        """The first message that the client's peer did not acknowledge whole."""
        if not cursor.flight:
            return cursor.position
        received = cursor.flight[-1][1] - client.unacknowledged()
        for begin, end, first, plain in cursor.flight:
            if end > received:
                cursor.partial = (first, received - begin, client.codec) if plain else None
                return first
        return cursor.position

    def _rest(self, cursor: Cursor, chunk: Chunk) -> Chunk:
        """``chunk`` without the messages at its begin that the client's peer has acknowledged."""
        assert cursor.partial is not None
        first, received, codec = cursor.partial
        cursor.partial = None
        if chunk.first != first or chunk.lost:
            return chunk
        count = 0
        for parts in chunk.messages:
            received -= sum(map(len, codec.encode(chunk.channel, [parts])))
            if received < 0:
                break
            count += 1
        cursor.position = first + count
        return chunk.after(first + count)

    # -- the end

    def close(self) -> Deferred[None]:
        """Forget all, on disk too."""
        self._closed = True
        if self._looks_again is not None and self._looks_again.active():
            self._looks_again.cancel()
        self._chunks.clear()
        self.memory = 0
        self.spill.clear()
        return self._in_thread(disk.remove_directory, self.spill.directory)

    def _bug(self, failure: Failure) -> None:
        self.log.failure("the message log failed", failure)
