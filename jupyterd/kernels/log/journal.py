"""Journal of what is in memory of a kernel's message log: the next daemon goes on where a killed one was.

A journal is a few files of blocks, appended to a few times a second. A block's head is written behind what it is the
head of: one that was cut off by a kill has none, and ends its file. The journal covers what the store has in memory:
older messages lie in the spill, or are not needed. Beside the messages it has what clients asked and was not replied
to, and how many messages the kernel has said.

A file that is not needed any more is written over by the next: what lies in the system's page cache costs a quarter of
what a new file costs. Each time a file has another generation, and so have the heads of its blocks.

The class lives in the reactor's thread; the functions run in another.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import getrandbits
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple

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

WHOLE, STRIDE = 64 * 1024, 4093
"""Bytes that have a sum of each; of more bytes one in so many has: one of each page at least."""

SPARE, MAX_SPARE = 2, 16 * 1024 * 1024
"""How many files that are not needed are kept to be written over, and of how many bytes at most."""

SPARE_TIMEOUT = 5.0
"""Seconds in which they are, else they go."""

SAID = b"#said"
"""The channel of a note: how many messages the kernel had said on iopub, where it stands, and the last's signature."""

_FILE = Struct("<4sQ")
_FILE_MAGIC = b"jlf3"
_BLOCK = Struct("<4sQII")
_MAGIC = b"jlb3"
_COUNT = Struct("<Q")
_name = re.compile(r"j(\d+)\.log").fullmatch
_FIRST = "spare0.log"
_spare = re.compile(r"spare\d+\.log").fullmatch


class Written(NamedTuple):
    """A file as it is on disk.

    :ivar end: the number after the last message in it.
    :ivar size: bytes up to the end of its last block; 0 where it is still to be made.
    """

    path: str
    end: int = 0
    size: int = 0
    generation: int = 0


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
    _files: list[Written] = field(default_factory=list)
    _spares: list[str] = field(default_factory=list)
    _spares_timer: Any = None
    _number: int = 0
    _timer: Any = None
    _writing: bool = False
    _closed: bool = False
    _missing: int = 0
    log = Logger()

    def resume(self, files: Iterable[Written]) -> None:
        """Go on after the files of a former daemon."""
        self._files = list(files)
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
            path, generation = os.path.join(self.directory, f"j{self._number}.log"), getrandbits(64)
            self._files.append(Written(path, generation=generation))
            chunks = [*self.asked(), *chunks]
        said = Chunk(SAID, [[_COUNT.pack(self.said), self.mark]], 0.0)
        said.count = 0
        chunks.append(said)
        file = self._files[-1]
        spare = self._spares.pop() if not file.size and self._spares else None
        mark, notes = self.mark, 0 if self.recent is None else self.recent.count
        self._writing = True
        done = self.in_thread(write, file, chunks, spare)
        done.addCallbacks(self._written, self._not_written, (mark, notes))
        done.addErrback(self._bug)

    def _written(self, file: Written, mark: Bytes, notes: int) -> None:
        self._writing = False
        self._files[-1] = file
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

    def _not_written(self, failure: Failure) -> None:
        self._writing = False
        if not self._closed:
            self.log.warn(
                "a kernel's messages can not be kept for the next daemon: {error}", error=failure.getErrorMessage()
            )

    def _tidy(self) -> None:
        first = self.kept()
        gone = []
        while len(self._files) > 1 and self._files[0].end <= first:
            gone.append(self._files.pop(0))
        if gone:
            keep = [each.path for each in gone if each.size <= MAX_SPARE][: SPARE - len(self._spares)]
            self.in_thread(retire, [each.path for each in gone], keep).addCallbacks(self._retired, self._bug)

    def _retired(self, spares: list[str]) -> None:
        self._spares += spares
        if self._spares_timer is not None:
            self._spares_timer.cancel()
            self._spares_timer = None
        if self._closed:
            self._remove_spares()
        elif self._spares:
            self._spares_timer = self.clock.callLater(SPARE_TIMEOUT, self._spares_are_old)

    def _spares_are_old(self) -> None:
        self._spares_timer = None
        self._remove_spares()

    def _remove_spares(self) -> None:
        spares, self._spares = self._spares, []
        if spares:
            self.in_thread(remove, spares).addErrback(self._bug)

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
        if self._spares_timer is not None:
            self._spares_timer.cancel()
            self._spares_timer = None
        self._remove_spares()
        if self.recent is not None:
            self.recent.close()

    def _bug(self, failure: Failure) -> None:
        self.log.failure("a kernel's journal is not in order", failure)


# -- the functions below run in a thread


def write(file: Written, chunks: Sequence[Chunk], spare: str | None = None) -> Written:
    """Append a block to a file, and make the file if need be; how it is then.

    :param spare: a file that may become it.
    :raises OSError: the disk does not take it; the file is as it was.
    """
    packed: list[Bytes] = [b""]
    for chunk in chunks:
        pack_chunk(chunk, packed)
    pieces = gather(packed)
    data_size = sum(map(len, pieces))
    head = _BLOCK.pack(_MAGIC, file.generation, data_size, checksum(pieces, data_size))
    fd = _open(file.path) if file.size else _begin(file, spare)
    size = file.size or _FILE.size
    try:
        os.lseek(fd, size + len(head), os.SEEK_SET)
        write_all(fd, pieces)
        os.pwrite(fd, head, size)
    except OSError:
        with suppress(OSError):
            os.ftruncate(fd, size)
        raise
    finally:
        os.close(fd)
    end = max([file.end, *(chunk.end for chunk in chunks)])
    return file._replace(end=end, size=size + len(head) + data_size)


def _open(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _begin(file: Written, spare: str | None) -> int:
    """Make a file, of a spare one if there is one: as soon as it has the name it has the head too."""
    made = spare or os.path.join(os.path.dirname(file.path), _FIRST)
    try:
        fd = _open(made)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(file.path), mode=0o700, exist_ok=True)
        fd = _open(made)
    try:
        os.pwrite(fd, _FILE.pack(_FILE_MAGIC, file.generation), 0)
        os.rename(made, file.path)
    except OSError:
        os.close(fd)
        raise
    return fd


def checksum(pieces: Iterable[Bytes], size: int) -> int:
    """CRC of ``size`` bytes; of many bytes, of one in :data:`STRIDE`.

    What a kill cuts off has no head, and what a machine that dies has not written is whole pages of zeros. The sum of
    all would cost more than to write them.
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
    :ivar files: for :meth:`Journal.resume`.
    :ivar asked: notes of what was asked, in order.
    :ivar said: how many messages the kernel had said on iopub, after the last of them.
    :ivar mark: the signature of that one; empty where there is none.
    """

    chunks: list[Chunk] = field(default_factory=list)
    files: list[Written] = field(default_factory=list)
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
    remove(os.path.join(directory, name) for name in names if _spare(name))
    numbered = sorted((int(match[1]), name) for name in names if (match := _name(name)))
    for _, name in numbered:
        path = os.path.join(directory, name)
        chunks, size, generation = _read_file(path)
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
        found.files.append(Written(path, end, size, generation))
    return found


def _read_file(path: str) -> tuple[list[Chunk], int, int]:
    """Its chunks, bytes up to the last one's end, and its generation; no bytes if it has to be made anew."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        return [], 0, getrandbits(64)
    if len(data) < _FILE.size or not data.startswith(_FILE_MAGIC):
        return [], 0, getrandbits(64)
    _, generation = _FILE.unpack_from(data)
    chunks: list[Chunk] = []
    at = _FILE.size
    while at + _BLOCK.size <= len(data):
        magic, of_generation, size, check = _BLOCK.unpack_from(data, at)
        block = data[at + _BLOCK.size : at + _BLOCK.size + size]
        if (magic, of_generation) != (_MAGIC, generation) or len(block) != size or checksum([block], size) != check:
            break
        chunks += unpack_chunks(block)
        at += _BLOCK.size + size
    if at < len(data):
        with suppress(OSError):
            os.truncate(path, at)
    return chunks, at, generation


def retire(paths: Iterable[str], keep: Sequence[str]) -> list[str]:
    """Remove files, but for some that are kept as spare ones, under names that :func:`read` takes for no journal's.

    :returns: the spare ones.
    """
    spares = []
    for path in paths:
        if path in keep:
            directory, name = os.path.split(path)
            spare = os.path.join(directory, f"spare{name[1:]}")
            with suppress(OSError):
                os.rename(path, spare)
                spares.append(spare)
                continue
        remove([path])
    return spares


def remove(paths: Iterable[str]) -> None:
    """Remove files; those that are gone are no matter."""
    for path in paths:
        with suppress(FileNotFoundError):
            os.unlink(path)
