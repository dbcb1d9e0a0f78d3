"""Journal of what is in memory of a kernel's message log: the next daemon goes on where a killed one was.

A journal is a few files of blocks, appended to a few times a second; a block is checked by its sum, so that one that
was cut off by a kill ends the journal. It covers what the store has in memory: older messages lie in the spill, or are
not needed. Beside the messages it has what clients asked and was not replied to, and how many messages the kernel has
said.

The class lives in the reactor's thread; the functions run in another.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from struct import Struct
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger
from twisted.python.failure import Failure

from jupyterd.kernels.log.chunk import Chunk
from jupyterd.kernels.log.recent_notes import ASKED, RecentNotes
from jupyterd.kernels.log.spill import pack_chunk, unpack_chunks, write_all
from jupyterd.kernels.messages.websocket_codec import Bytes, gather

if TYPE_CHECKING:
    from jupyterd.system.threads import InThread

DELAY = 0.25
"""Seconds after which a message is on its way to the disk."""

SOON = 0.03
"""Seconds after which a note of a request is."""

EAGER = 512 * 1024
"""Bytes that wait are written at once."""

MAX_WAITING = 32 * 1024 * 1024
"""Bytes that wait for a disk that does not take them; more is not written, and missing if the daemon is killed."""

FILE = 4 * 1024 * 1024
"""Bytes of a file, about; then another is begun."""

WHOLE, STRIDE = 64 * 1024, 61
"""Bytes that have a sum of each; of more bytes one in so many has."""

SAID = b"#said"
"""The channel of a note: how many messages the kernel had said on iopub, where it stands, and the last's signature."""

_BLOCK = Struct("<4sII")
_MAGIC = b"jlb2"
_COUNT = Struct("<Q")
_name = re.compile(r"j(\d+)\.log").fullmatch


@dataclass(eq=False)
class _File:
    path: str
    end: int = 0
    """The number after the last message in it."""
    size: int = 0


@dataclass(eq=False)
class Journal:
    """One kernel's.

    :param directory: made with the first write, readable by its owner only.
    :param kept: gives the number of the first message that the store has in memory: what is before it may go.
    :param asked: gives notes of all that is asked and not replied to, for the begin of a new file.
    :param recent: has notes until they are on disk; None where they need not be known of before.
    :param stored: called when what had been said is on disk, with what :attr:`mark` was then.
    :ivar said: how many messages the kernel has said on iopub.
    :ivar mark: the signature of the last of them.
    """

    directory: str
    in_thread: InThread
    clock: Any
    kept: Callable[[], int]
    asked: Callable[[], Sequence[Chunk]] = lambda: ()
    stored: Callable[[Bytes], None] = lambda mark: None
    recent: RecentNotes | None = None
    said: int = 0
    mark: Bytes = b""
    _waiting: list[Chunk] = field(default_factory=list)
    _size: int = 0
    _files: list[_File] = field(default_factory=list)
    _number: int = 0
    _timer: Any = None
    _writing: bool = False
    _closed: bool = False
    _missing: int = 0
    log = Logger()

    def resume(self, files: Iterable[tuple[str, int, int]]) -> None:
        """Go on after the files of a former daemon: path, number after the last message, bytes."""
        self._files = [_File(*each) for each in files]
        numbers = [int(found[1]) for each in self._files if (found := _name(os.path.basename(each.path)))]
        self._number = max(numbers, default=0)

    def add(self, chunk: Chunk) -> None:
        """Write down a chunk that has its numbers, or a note, in a moment."""
        if self._size > MAX_WAITING:
            self._missing += chunk.count
            return
        self._waiting.append(chunk)
        self._size += chunk.size
        if self._timer is None:
            self._timer = self.clock.callLater(DELAY, self._due)
        if self._size >= EAGER:
            self._write()

    def note(self, chunk: Chunk) -> None:
        """Write down a note soon: something is done that it tells of."""
        if not self._closed:
            if self.recent is not None:
                self.recent.add(chunk)
            self._waiting.append(chunk)
            self._size += chunk.size
            if self._timer is None:
                self._timer = self.clock.callLater(SOON, self._due)
            elif self._timer.getTime() > self.clock.seconds() + SOON:
                self._timer.reset(SOON)

    def _due(self) -> None:
        self._timer = None
        self._write()

    def _write(self) -> None:
        if self._writing or self._closed or not self._waiting:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        chunks, self._waiting, self._size = self._waiting, [], 0
        if not self._files or self._files[-1].size >= FILE:
            self._number += 1
            self._files.append(_File(os.path.join(self.directory, f"j{self._number}.log")))
            chunks = [*self.asked(), *chunks]
        said = Chunk(SAID, [[_COUNT.pack(self.said), self.mark]], 0.0)
        said.count = 0
        chunks.append(said)
        file = self._files[-1]
        file.end = max([file.end, *(chunk.end for chunk in chunks)])
        mark, notes = self.mark, 0 if self.recent is None else self.recent.count
        self._writing = True
        done = self.in_thread(write, file.path, file.size, chunks)
        done.addCallbacks(self._written, self._not_written, (file, mark, notes), errbackArgs=(file,))
        done.addErrback(self._bug)

    def _written(self, size: int, file: _File, mark: Bytes, notes: int) -> None:
        self._writing = False
        file.size = size
        if self._closed:
            return
        if self.recent is not None:
            self.recent.on_disk(notes)
        if mark:
            self.stored(mark)
        self._tidy()
        if self._size >= EAGER:
            self._write()
        elif self._waiting and self._timer is None:
            self._timer = self.clock.callLater(DELAY, self._due)

    def _not_written(self, failure: Failure, file: _File) -> None:
        self._writing = False
        if not self._closed:
            self.log.warn(
                "a kernel's messages can not be kept for the next daemon: {error}", error=failure.getErrorMessage()
            )

    def _tidy(self) -> None:
        first = self.kept()
        gone = []
        while len(self._files) > 1 and self._files[0].end <= first:
            gone.append(self._files.pop(0).path)
        if gone:
            self.in_thread(remove, gone).addErrback(self._bug)

    async def flush(self) -> None:
        """Write all that waits; done when it is on disk."""
        while (self._waiting or self._writing) and not self._closed:
            self._write()
            await self.in_thread(lambda: None)

    def close(self) -> None:
        """Write nothing more."""
        self._closed = True
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.recent is not None:
            self.recent.close()

    def _bug(self, failure: Failure) -> None:
        self.log.failure("a kernel's journal is not in order", failure)


# -- the functions below run in a thread


def write(path: str, size: int, chunks: Sequence[Chunk]) -> int:
    """Append a block to a file of ``size`` bytes; how many it has then.

    :raises OSError: the disk does not take it; the file is as it was.
    """
    packed: list[Bytes] = [b""]
    for chunk in chunks:
        pack_chunk(chunk, packed)
    pieces = gather(packed)
    data_size = sum(map(len, pieces))
    head = _BLOCK.pack(_MAGIC, data_size, checksum(pieces, data_size))
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        fd = os.open(path, flags, 0o600)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        fd = os.open(path, flags, 0o600)
    try:
        os.lseek(fd, size, os.SEEK_SET)
        write_all(fd, [head, *pieces])
    except OSError:
        with suppress(OSError):
            os.ftruncate(fd, size)
        raise
    finally:
        os.close(fd)
    return size + len(head) + data_size


def checksum(pieces: Iterable[Bytes], size: int) -> int:
    """CRC of ``size`` bytes; of many bytes, of one in :data:`STRIDE`.

    What a kill cuts off is seen by its length, and what a machine that dies has not written is whole pages of zeros.
    The sum of all would cost more than to write them.
    """
    crc = at = 0
    for piece in pieces:
        crc = zlib.crc32(piece if size <= WHOLE else memoryview(piece)[-at % STRIDE :: STRIDE].tobytes(), crc)
        at += len(piece)
    return crc


@dataclass
class Found:
    """What a journal has.

    :ivar chunks: with their numbers, in order, the newer where two have the same.
    :ivar files: path, number after the last message, bytes; for :meth:`Journal.resume`.
    :ivar asked: notes of what was asked, in order.
    :ivar said: how many messages the kernel had said on iopub, after the last of them.
    :ivar mark: the signature of that one; empty where there is none.
    """

    chunks: list[Chunk] = field(default_factory=list)
    files: list[tuple[str, int, int]] = field(default_factory=list)
    asked: list[Chunk] = field(default_factory=list)
    said: int = 0
    mark: bytes = b""


def read(directory: str) -> Found:
    """What a former daemon has left; what is damaged ends its file, and is cut off."""
    found = Found()
    try:
        names = os.listdir(directory)
    except OSError:
        return found
    numbered = sorted((int(match[1]), name) for name in names if (match := _name(name)))
    for _, name in numbered:
        path = os.path.join(directory, name)
        chunks, size = _read_file(path)
        end = 0
        for chunk in chunks:
            if chunk.channel == SAID:
                count, *mark = map(bytes, chunk.messages[0])
                found.said, found.mark = _COUNT.unpack(count)[0], b"".join(mark)
            elif chunk.channel.startswith(ASKED):
                found.asked.append(chunk)
            elif not found.chunks or chunk.first >= found.chunks[-1].end:
                found.chunks.append(chunk)
                end = chunk.end
        found.files.append((path, end, size))
    return found


def _read_file(path: str) -> tuple[list[Chunk], int]:
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        return [], 0
    chunks: list[Chunk] = []
    at = 0
    while at + _BLOCK.size <= len(data):
        magic, size, check = _BLOCK.unpack_from(data, at)
        block = data[at + _BLOCK.size : at + _BLOCK.size + size]
        if magic != _MAGIC or len(block) != size or checksum([block], size) != check:
            break
        chunks += unpack_chunks(block)
        at += _BLOCK.size + size
    if at < len(data):
        with suppress(OSError):
            os.truncate(path, at)
    return chunks, at


def remove(paths: Iterable[str]) -> None:
    """Remove files; those that are gone are no matter."""
    for path in paths:
        with suppress(FileNotFoundError):
            os.unlink(path)
