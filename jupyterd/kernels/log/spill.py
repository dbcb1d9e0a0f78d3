"""Spill of a kernel's log to disk: blocks of chunks in segment files, oldest first.

A block is written in one go and read in one go; the index of blocks is in memory. A segment file goes when no
cursor needs it. At the quota the oldest segments are compacted: their ``stream`` messages go, then what is displayed;
all others stay. When that does not make room, the oldest segment goes whole. What went is told in its place:
:class:`jupyterd.kernels.log.message_log.MessageLog` says so to the client.

The functions without ``self._`` run in a thread; the class itself lives in the reactor's.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from struct import Struct

from jupyterd.kernels.log.chunk import Chunk
from jupyterd.kernels.log.lost_messages import OUTPUTS, STREAMS, joined, without
from jupyterd.kernels.messages.websocket_codec import JOINED, Bytes, gather

BLOCK = 512 * 1024
"""About so many bytes are written at once, and read at once by a client that lags."""

SEGMENT = 16 * 1024 * 1024
"""A segment file is closed when it has so many bytes, or an eighth of the quota if that is less."""

_CHUNK = Struct("<QQdQ?BI")
_U32 = Struct("<I")
_four = Struct("<5I").pack
_IOV = 512


COMPACTED = 2
"""So often a segment is compacted before it goes whole."""

INDEX = ".index"
"""Ends the name of the file beside a segment that tells what its blocks are, for the next daemon."""

_segment = re.compile(r"(\d+)(c*)\.log").fullmatch


@dataclass(frozen=True)
class Block:
    """Where the messages from ``first`` up to ``end`` lie.

    :ivar parent: the parent header of the first.
    """

    first: int
    end: int
    path: str
    offset: int
    size: int
    parent: bytes = b"{}"


@dataclass(eq=False)
class Segment:
    """One file and its blocks.

    :ivar compacted: how often.
    :ivar written: a block is on its way to it: it stays, whether or not all before was read.
    """

    path: str
    blocks: list[Block]
    compacted: int = 0
    written: bool = False

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return self.blocks[-1].offset + self.blocks[-1].size if self.blocks else 0


@dataclass(eq=False)
class Spill:
    """The index of one kernel's segments.

    :ivar directory: made when first needed, readable by its owner only.
    """

    directory: str
    quota: int

    def __post_init__(self) -> None:
        self.segments: list[Segment] = []
        self.bytes = 0
        self._count = 0
        self._full = max(1, min(SEGMENT, self.quota // 8))

    def target(self) -> Segment:
        """The segment that the next blocks go to; :meth:`wrote` follows."""
        if not self.segments or self.segments[-1].size >= self._full or self.segments[-1].compacted:
            self.segments.append(self._new_segment())
        self.segments[-1].written = True
        return self.segments[-1]

    def _new_segment(self) -> Segment:
        self._count += 1
        return Segment(os.path.join(self.directory, f"{self._count}.log"), [])

    def wrote(self, segment: Segment, blocks: list[Block]) -> None:
        """Blocks have been written, or none could be."""
        segment.written = False
        segment.blocks += blocks
        if not segment.blocks:
            self.segments.remove(segment)
        self.bytes += sum(block.size for block in blocks)

    def find(self, seq: int) -> Block | None:
        """The block with ``seq``, or the next one after it; None if all are older."""
        for segment in self.segments:
            if segment.blocks and segment.blocks[-1].end > seq:
                index = bisect_right(segment.blocks, seq, key=lambda block: block.end)
                return segment.blocks[index]
        return None

    def unneeded(self, needed: int) -> list[str]:
        """Forget the segments before ``needed``; their files, to be removed."""
        paths = []
        while self.segments and not self.segments[0].written and self.segments[0].blocks[-1].end <= needed:
            paths.append(self._forget(self.segments[0]))
        return paths

    def _forget(self, segment: Segment) -> str:
        self.segments.remove(segment)
        self.bytes -= segment.size
        return segment.path

    def over_quota(self) -> Segment | None:
        """The segment that has to give way, or None: the oldest of those that were compacted least, not the newest."""
        if self.bytes <= self.quota:
            return None
        older = [segment for segment in self.segments[:-1] if not segment.written]
        return min(older, key=lambda segment: segment.compacted, default=None)

    def replace(self, old: Segment, path: str, blocks: list[Block]) -> str:
        """A segment was compacted; the old file, to be removed."""
        new = Segment(path, blocks, old.compacted + 1)
        self.bytes += new.size - old.size
        self.segments[self.segments.index(old)] = new
        return old.path

    def drop(self, segment: Segment) -> str:
        """A segment gives way whole; its file, to be removed."""
        return self._forget(segment)

    def compacted_path(self, segment: Segment) -> str:
        """Where the compacted form of a segment goes."""
        self._count += 1
        return os.path.join(self.directory, f"{self._count}{'c' * (segment.compacted + 1)}.log")

    def resume(self, segments: list[Segment]) -> None:
        """Go on with the segments that a former daemon has left; see :func:`find`."""
        self.segments = segments
        self.bytes = sum(segment.size for segment in segments)
        names = [_segment(os.path.basename(segment.path)) for segment in segments]
        self._count = max([self._count, *(int(name[1]) for name in names if name)])

    def clear(self) -> None:
        """Forget all."""
        self.segments.clear()
        self.bytes = 0


# -- the functions below run in a thread


def write(path: str, offset: int, groups: Sequence[Sequence[Chunk]]) -> list[Block]:
    """Append a block for each group of chunks to the file at ``path``, which has ``offset`` bytes.

    :raises OSError: the disk does not take it; the file is as it was.
    """
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.lseek(fd, offset, os.SEEK_SET)
        blocks = list(_write_blocks(fd, path, offset, groups))
        _note(path, blocks)
        return blocks
    except OSError:
        os.ftruncate(fd, offset)
        raise
    finally:
        os.close(fd)


def _write_blocks(fd: int, path: str, offset: int, groups: Sequence[Sequence[Chunk]]) -> Iterable[Block]:
    for chunks in groups:
        packed: list[Bytes] = []
        for chunk in chunks:
            pack_chunk(chunk, packed)
        pieces = gather(packed)
        write_all(fd, pieces)
        size = sum(map(len, pieces))
        yield Block(chunks[0].first, chunks[-1].end, path, offset, size, chunks[0].parent)
        offset += size


def write_all(fd: int, pieces: Sequence[Bytes]) -> None:
    """Write pieces one after the other, however many.

    :raises OSError: the disk does not take them; some may be written.
    """
    for begin in range(0, len(pieces), _IOV):
        views = [memoryview(piece) for piece in pieces[begin : begin + _IOV]]
        while views:
            done = os.writev(fd, views)
            while views and done >= len(views[0]):
                done -= len(views.pop(0))
            if done:
                views[0] = views[0][done:]


def _note(path: str, blocks: Iterable[Block]) -> None:
    lines = [[block.first, block.end, block.offset, block.size, block.parent.decode("latin-1")] for block in blocks]
    fd = os.open(path + INDEX, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    with open(fd, "w", encoding="ascii") as index:
        index.writelines(f"{json.dumps(line)}\n" for line in lines)


def find(directory: str) -> list[Segment]:
    """The segments that a former daemon has left, in order; what is not whole is left out."""
    found = []
    try:
        names = os.listdir(directory)
    except OSError:
        return []
    for name in names:
        match = _segment(name)
        if match is None:
            continue
        path = os.path.join(directory, name)
        blocks = list(_noted(path))
        if blocks:
            found.append(Segment(path, blocks, len(match[2])))
        else:
            remove([path])
    found.sort(key=lambda segment: (segment.blocks[0].first, segment.compacted))
    segments: list[Segment] = []
    for segment in found:  # what was compacted when the daemon was killed may be there in both forms
        if segments and segments[-1].blocks[-1].end > segment.blocks[0].first:
            remove([segment.path])
        else:
            segments.append(segment)
    return segments


def _noted(path: str) -> Iterable[Block]:
    try:
        size = os.path.getsize(path)
        with open(path + INDEX, encoding="ascii") as index:
            for line in index:
                first, end, offset, length, parent = json.loads(line)
                if offset + length > size:
                    return
                yield Block(first, end, path, offset, length, parent.encode("latin-1"))
    except (OSError, ValueError, TypeError, AttributeError):
        return


def read(block: Block) -> list[Chunk]:
    """The chunks of a block.

    :raises OSError: it can not be read.
    """
    fd = os.open(block.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.pread(fd, block.size, block.offset)
    finally:
        os.close(fd)
    if len(data) != block.size:
        raise OSError(f"{block.path} is shorter than it was")
    return list(unpack_chunks(data))


def compact(segment: Segment, path: str) -> list[Block]:
    """Write what is no output of ``segment`` to ``path``; the first time, what is no ``stream`` message.

    :raises OSError: it can not be done; the segment is as it was.
    """
    kinds = OUTPUTS if segment.compacted else STREAMS
    groups: list[list[Chunk]] = [[]]
    size = 0
    for chunk in joined(left for block in segment.blocks for each in read(block) for left in without(each, kinds)):
        if size >= BLOCK:
            groups.append([])
            size = 0
        groups[-1].append(chunk)
        size += chunk.size
    return write(path, 0, groups)


def pack_chunk(chunk: Chunk, pieces: list[Bytes]) -> None:
    """Add to ``pieces`` what a chunk is on disk."""
    add = pieces.extend
    add(
        (
            _CHUNK.pack(
                chunk.first, chunk.count, chunk.time, chunk.to, chunk.lost, len(chunk.channel), len(chunk.messages)
            ),
            chunk.channel,
        )
    )
    for parts in chunk.messages:
        if len(parts) == 4:
            header, parent, metadata, content = parts
            add((_four(4, len(header), len(parent), len(metadata), len(content)), header, parent, metadata, content))
        else:
            pieces.append(Struct(f"<{len(parts) + 1}I").pack(len(parts), *map(len, parts)))
            add(parts)


def unpack_chunks(data: bytes) -> Iterable[Chunk]:
    """Parse chunks that :func:`pack_chunk` wrote."""
    at, end, view = 0, len(data), memoryview(data)
    while at < end:
        first, count, time, to, lost, name, messages = _CHUNK.unpack_from(data, at)
        at += _CHUNK.size
        channel = data[at : at + name]
        at += name
        found: list[list[Bytes]] = []
        for _ in range(messages):
            (number,) = _U32.unpack_from(data, at)
            lengths = Struct(f"<{number}I").unpack_from(data, at + 4)
            at += 4 * (number + 1)
            parts: list[Bytes] = []
            for length in lengths:
                parts.append(view[at : at + length] if length >= JOINED else data[at : at + length])
                at += length
            found.append(parts)
        chunk = Chunk(channel, found, time, to, first)
        chunk.count, chunk.lost = count, lost
        yield chunk


def remove(paths: Iterable[str]) -> None:
    """Remove files; those that are gone already are no matter."""
    for path in paths:
        for each in (path, path + INDEX):
            with suppress(FileNotFoundError):
                os.unlink(each)


def remove_directory(path: str) -> None:
    """Remove a kernel's spill."""
    shutil.rmtree(path, ignore_errors=True)
