"""Store of a kernel's messages: the newest in memory, older ones on disk, as long as somebody needs them.

All is done in the reactor's thread but reading and writing files.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from jupyterd.kernels.log import spill as disk
from jupyterd.kernels.log.chunk import Chunk
from jupyterd.kernels.log.journal import Journal
from jupyterd.kernels.log.lost_messages import OUTPUTS, joined, lost_chunk, without
from jupyterd.kernels.log.spill import Block, Segment, Spill

if TYPE_CHECKING:
    from jupyterd.system.threads import InThread

SLACK = 8 * 1024 * 1024
"""Bytes over the limit that may be in memory while the disk is written. Above them outputs are dropped, and the log
says so, rather than that the kernel is not read: a kernel that is not read drops silently. Where there is nothing more
to drop, twice as much may be there, of large messages as much; above that the kernel is not read for a while."""

LARGE = 64 * 1024
"""Messages of so many bytes on average may wait in the kernel for clients that are reading, before they go to disk.
Small ones may not: a kernel that is not read drops what is more than a thousand of them, and tells nobody."""

SLOW_CLIENT_TIMEOUT, PROGRESS_TIMEOUT = 2.0, 0.4
"""For so many seconds in all, while a client takes something each so many seconds."""

LOOKED_AT = 2048
"""Messages that are looked at in one go for what can go; many more than come before the next look."""

STEP = 256 * 1024
"""Memory grows by so much before the log looks again at what it can let go."""


class Readers(Protocol):
    """Who reads what is kept."""

    @property
    def needed(self) -> int:
        """The number of the oldest message that somebody may still need."""

    @property
    def unconfirmed(self) -> int:
        """The number of the oldest message that somebody has not got, as far as is known now."""

    def somebody_is_away(self, before: int) -> bool:
        """Whether who needs messages below the number ``before`` is not connected."""


class Store:
    """The numbered chunks of one kernel.

    :param retained: bytes kept in memory although nobody needs them.
    :param memory: bytes kept in memory for who needs them.
    :param clock: the reactor's.
    :param flow: called with False when the kernel must not be read for a while, and with True when it may again.
    :ivar next: the number of the next message.
    :ivar bytes: what is in memory.
    """

    log = Logger()

    def __init__(
        self,
        spill: Spill,
        in_thread: InThread,
        readers: Readers,
        *,
        retained: int,
        memory: int,
        clock: Any,
        flow: Callable[[bool], None],
    ) -> None:
        self.next = 1
        self.bytes = 0
        self.journal: Journal | None = None
        self.spill = spill
        self._in_thread = in_thread
        self._readers = readers
        self._retained, self._limit = retained, memory
        self._clock, self._flow = clock, flow
        self._chunks: list[Chunk] = []
        self._look_at = retained
        self._written_from = self._written_to = self._shed_to = 0
        self._progress = 0.0
        self._patient_since: float | None = None
        self._looks_again: Any = None
        self._writing = self._compacting = self._held_back = self._closed = False

    @property
    def oldest(self) -> int:
        """The number of the oldest message that is still here."""
        if self.spill.segments and self.spill.segments[0].blocks:
            return self.spill.segments[0].blocks[0].first
        return self._first

    @property
    def _first(self) -> int:
        return self._chunks[0].first if self._chunks else self.next

    def add(self, chunk: Chunk) -> None:
        """Number a chunk's messages and keep it; :meth:`grown` follows when it was given to who reads along."""
        chunk.first = self.next
        chunk.shared = True
        self.next += chunk.count
        self._chunks.append(chunk)
        self.bytes += chunk.size
        if self.journal is not None:
            self.journal.add(chunk)

    def resume(self, chunks: list[Chunk], segments: list[Segment]) -> None:
        """Go on with what a former daemon has left."""
        self.spill.resume(segments)
        end = segments[-1].blocks[-1].end if segments else 0
        for chunk in chunks:
            if chunk.end > end:
                chunk = chunk.after(end)
                chunk.shared = True
                self._chunks.append(chunk)
                self.bytes += chunk.size
        self.next = max([1, end, *(chunk.end for chunk in self._chunks[-1:])])
        self._look_at = max(self._retained, self.bytes + STEP)

    @property
    def first(self) -> int:
        """The number of the first message that is in memory."""
        return self._first

    def size_from(self, position: int) -> int:
        """Bytes of the messages from a number on, in memory and on disk; whole chunks and blocks are counted."""
        size = 0
        for chunk in reversed(self._chunks):
            if chunk.end <= position:
                return size
            size += chunk.size
        for segment in reversed(self.spill.segments):
            for block in reversed(segment.blocks):
                if block.end <= position:
                    return size
                size += block.size
        return size

    def tail(self, most: int) -> list[Chunk]:
        """The newest chunks that are in memory, of about ``most`` messages."""
        begin, count = len(self._chunks), 0
        while begin and count < most:
            begin -= 1
            count += len(self._chunks[begin].messages)
        return self._chunks[begin:]

    def grown(self) -> None:
        """There may be more in memory than there should."""
        if self.bytes > self._look_at:
            self._look()

    def enlarged(self, chunk: Chunk, size: int) -> None:
        """A chunk that is here has got ``size`` bytes more."""
        chunk.size += size
        self.bytes += size

    def read_on(self) -> None:
        """Somebody who lagged has read some of it."""
        if self.bytes > self._retained + STEP:
            self._progress = self._clock.seconds()
            self._look()
        self.reclaim()

    # -- reading

    def at(self, position: int) -> Chunk | Block:
        """What begins with the message ``position``, which was said: a chunk, or the block on disk that has it."""
        first = self._first
        if position < first:
            block = self.spill.find(position)
            if block is not None and block.first <= position:
                return block
            if block is not None:
                return self._lost(position, min(first, block.first), block.parent)
            return self._lost(position, first, self._chunks[0].parent if self._chunks else b"{}")
        index = bisect_right(self._chunks, position, key=lambda chunk: chunk.first) - 1
        return self._chunks[index].after(position)

    def read(self, block: Block, position: int) -> Deferred[list[Chunk]]:
        """The chunks of the block at ``position``; what can not be read is lost.

        None at all, if it was compacted or dropped meanwhile: then there is something else :meth:`at` ``position``.
        """
        return self._in_thread(disk.read, block).addErrback(self._not_read, block, position)

    def _not_read(self, failure: Failure, block: Block, position: int) -> list[Chunk]:
        if self.spill.find(position) is not block:
            return []
        self.log.failure("a kernel's messages on disk can not be read", failure)
        return [self._lost(position, block.end, block.parent)]

    def _lost(self, first: int, end: int, parent: bytes) -> Chunk:
        """What stands for messages that are neither in memory nor on disk, below the request of what follows them."""
        return lost_chunk(Chunk(b"iopub", (), self._clock.seconds()), first, end - first, parent)

    # -- keeping within bounds

    def _look(self) -> None:
        """Let go of what nobody needs; write to disk what does not fit."""
        self._drop_until(self._readers.needed, self._retained)
        if self.bytes > self._limit:  # what is kept only in case of a reset is not worth a disk
            self._drop_until(self._readers.unconfirmed, self._limit // 2)
        waits = False
        if self.bytes > self._limit:
            waits = self._clients_are_reading()
            if not waits:
                self._write()
        elif self.bytes <= self._limit // 2:
            self._patient_since = None
        if self._writing and self.bytes > self._limit + SLACK:
            waits = self._messages_are_large() or not self._shed()
        if self._held_back != waits:
            self._held_back = not self._held_back
            self._flow(not self._held_back)
        look_at = self.bytes + STEP
        self._look_at = max(self._retained, self._limit if self.bytes < self._limit < look_at else look_at)

    def _clients_are_reading(self) -> bool:
        """Whether large messages had better wait in the kernel for a moment than go to disk and back."""
        if not self._messages_are_large() or self._readers.somebody_is_away(self._chunks[0].end):
            return False
        now = self._clock.seconds()
        if self._patient_since is None:
            self._patient_since = now
        if now - self._patient_since > SLOW_CLIENT_TIMEOUT or now - self._progress > PROGRESS_TIMEOUT:
            return False
        if self._looks_again is None or not self._looks_again.active():
            self._looks_again = self._clock.callLater(PROGRESS_TIMEOUT, self._look)
        return True

    def _messages_are_large(self) -> bool:
        return self.bytes >= LARGE * (self.next - self._first)

    def _shed(self) -> bool:
        """Let outputs go that wait for the disk, the oldest first; whether what is left may stay."""
        begin = bisect_left(self._chunks, self._shed_to, key=lambda chunk: chunk.first)
        freed, end, looked_at = 0, begin, 0
        kept: list[Chunk] = []
        while end < len(self._chunks) and self.bytes - freed > self._limit + SLACK - STEP and looked_at < LOOKED_AT:
            chunk = self._chunks[end]
            looked_at += len(chunk.messages)
            pieces = list(without(chunk, OUTPUTS))
            spared = chunk.size - sum(piece.size for piece in pieces)
            freed += max(0, spared)
            kept += pieces if spared > 0 else [chunk]
            end += 1
        if kept:
            if self._shed_to == self._written_to:
                self.log.warn("a kernel says more than the disk takes: outputs that a client has not got are dropped")
            self._shed_to = kept[-1].end
            if begin and self._chunks[begin - 1].lost and self._chunks[begin - 1].first >= self._written_to:
                begin -= 1
                kept.insert(0, self._chunks[begin])
            kept = list(joined(kept))
            self.bytes += sum(chunk.size for chunk in kept) - sum(chunk.size for chunk in self._chunks[begin:end])
            self._chunks[begin:end] = kept
        return self.bytes <= self._limit + 2 * SLACK

    def _drop_until(self, needed: int, floor: int) -> None:
        count = 0
        for chunk in self._chunks:
            if self.bytes <= floor or chunk.end > needed or (self._writing and chunk.first >= self._written_from):
                break
            self.bytes -= chunk.size
            count += 1
        del self._chunks[:count]

    def _write(self) -> None:
        if self._writing or self._closed:
            return
        groups = self._groups(self.bytes - self._limit // 2)
        self._writing, self._written_from = True, groups[0][0].first
        self._shed_to = self._written_to = groups[-1][-1].end
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
            self.bytes -= chunk.size
            count += 1
        del self._chunks[:count]
        self.reclaim()
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
            self.bytes -= chunk.size
        del self._chunks[:count]
        self._look()

    def reclaim(self) -> None:
        """Remove the files that nobody needs any more."""
        if self.spill.segments:
            paths = self.spill.unneeded(self._readers.needed)
            if paths:
                self._remove(paths)

    def _remove(self, paths: Iterable[str]) -> None:
        self._in_thread(disk.remove, list(paths)).addErrback(self._bug)

    def _enforce_quota(self) -> None:
        while not self._compacting and not self._closed and (segment := self.spill.over_quota()) is not None:
            if segment.compacted == disk.COMPACTED:
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

    def close(self) -> Deferred[None]:
        """Forget all, on disk too."""
        self.leave()
        self._chunks.clear()
        self.bytes = 0
        self.spill.clear()
        return self._in_thread(disk.remove_directory, self.spill.directory)

    def leave(self) -> None:
        """Take nothing more; what is on disk stays."""
        self._closed = True
        if self.journal is not None:
            self.journal.close()
        if self._looks_again is not None and self._looks_again.active():
            self._looks_again.cancel()

    def _bug(self, failure: Failure) -> None:
        self.log.failure("what is kept of a kernel's messages is not in order", failure)
