"""Places of sessions in a kernel's message log, in a file that is mapped into memory.

It is written with each message that a session gets: what is in it is true when the daemon is killed. A place is a
number, and the name of the message that the kernel had said last: what was not on disk when the daemon was killed is
heard again from the keeper, and has other numbers then.

What is about to be written to a client is noted before: where it will be in the client's stream, and what place that
makes. The keeper knows how much of the stream the system had taken when the daemon was killed; see :func:`settled`.
"""

from __future__ import annotations

import mmap
import os
from contextlib import suppress
from struct import Struct
from typing import NamedTuple

from jupyterd.kernels.messages.websocket_codec import V1, Bytes

SLOTS = 512
"""Sessions that have a place; others lose theirs with the daemon."""

MAX_SESSION_BYTES = 160
"""Bytes of a session's name at most."""

_SLOT = 512
_HEAD = Struct("<QQQQBdH")
_PLACE = Struct("<QQQB")
_UNTIL, _UNTIL_AT = Struct("<d"), 33
_STREAM, _STREAM_AT = Struct("<QQ"), 216
_PARCEL, _PARCELS_AT, PARCELS = Struct("<QQQQQB"), 256, 6
_PLAIN, _IS_V1 = 1, 2


PROTOCOLS = (None, V1)
"""The websocket protocols by their number in the file."""


def named(signature: Bytes) -> int:
    """A message by its signature, as a number; 0 where it has none."""
    digits = bytes(signature[:16])
    try:
        return int(digits, 16)
    except ValueError:
        return 0


class Written(NamedTuple):
    """What is written to a client at once.

    :ivar begin: where it begins in the client's stream.
    :ivar end: where it ends.
    :ivar first: the number of its first message.
    :ivar next: the number of the message behind it.
    :ivar said: names the last message that the kernel had said then; 0 where ``next`` is behind.
    :ivar plain: its messages are as the log has them.
    :ivar protocol: see :data:`PROTOCOLS`.
    """

    begin: int
    end: int
    first: int
    next: int
    said: int
    plain: bool
    protocol: str | None


class SavedCursor(NamedTuple):
    """Cursor of a session, as the file has it.

    :ivar slot: where it is in the file.
    :ivar number: its cursor's.
    :ivar position: the number of the next message that it gets.
    :ivar said: names the message that the kernel had said last, by :func:`named`; 0 where it was behind.
    :ivar part: bytes of the message there, and of those that came with it, that the session has in its protocol.
    :ivar protocol: which that is: see :data:`PROTOCOLS`.
    :ivar until: when it is forgotten, if it does not come back; 0 while it was here.
    :ivar key: of its connection, as the keeper holds it; 0 where it does not.
    :ivar base: what the system had taken for it when its stream began.
    :ivar parcels: what was written last, in order.
    """

    slot: int
    number: int
    position: int
    said: int
    part: int
    protocol: str | None
    until: float
    session: str
    key: int = 0
    base: int = 0
    parcels: tuple[Written, ...] = ()


def settled(cursor: SavedCursor, taken: int | None) -> SavedCursor:
    """A cursor as it was when the system had taken so much for its connection; as it was noted where that says nothing.

    :param taken: see :func:`jupyterd.keeper.taken.taken`.
    """
    if taken is None or not cursor.key or not cursor.parcels:
        return cursor
    arrived = taken - cursor.base
    first = cursor.parcels[0]
    if arrived < first.begin and len(cursor.parcels) == PARCELS:
        return cursor  # what was written before is not known any more
    position, said, part, protocol = (
        first.first,
        cursor.said if cursor.position == first.first else 0,
        0,
        cursor.protocol,
    )
    for parcel in cursor.parcels:
        if parcel.end <= arrived:
            position, said, part = parcel.next, parcel.said, 0
        elif parcel.begin < arrived:
            position, part, protocol = parcel.first, arrived - parcel.begin if parcel.plain else 0, parcel.protocol
    return cursor._replace(position=position, said=said, part=part, protocol=protocol)


class CursorFile:
    """One kernel's; made with the first place.

    :param path: readable by its owner only.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._map: mmap.mmap | None = None
        self._turns: dict[int, int] = {}
        self._free = list(range(SLOTS - 1, -1, -1))

    def read(self) -> list[SavedCursor]:
        """Cursors that a former daemon has left; they go on here."""
        if not os.path.exists(self._path):
            return []
        found = []
        with suppress(OSError, ValueError):
            self._open()
        if self._map is None:
            return []
        for slot in range(SLOTS):
            number, position, said, part, protocol, until, length = _HEAD.unpack_from(self._map, slot * _SLOT)
            if number and 0 < length <= MAX_SESSION_BYTES:
                begin = slot * _SLOT + _HEAD.size
                session = self._map[begin : begin + length].decode("utf-8", "replace")
                cursor = SavedCursor(slot, number, position, said, part, PROTOCOLS[protocol & 1], until, session)
                key, base = _STREAM.unpack_from(self._map, slot * _SLOT + _STREAM_AT)
                found.append(cursor._replace(key=key, base=base, parcels=self._parcels(self._map, slot)))
                self.connected(slot, 0, 0)
                self._free.remove(slot)
        return found

    def _parcels(self, places: mmap.mmap, slot: int) -> tuple[Written, ...]:
        found = []
        for turn in range(PARCELS):
            *numbers, flags = _PARCEL.unpack_from(places, slot * _SLOT + _PARCELS_AT + turn * _PARCEL.size)
            if numbers[1]:
                begin, end, first, following, said = numbers
                protocol = PROTOCOLS[flags // _IS_V1 & 1]
                found.append(Written(begin, end, first, following, said, bool(flags & _PLAIN), protocol))
        return tuple(sorted(found, key=lambda parcel: parcel.begin))

    def connected(self, slot: int, key: int, base: int) -> None:
        """A session has a connection, of which nothing is written yet; see :class:`Place`. With 0 it has none."""
        if self._map is not None:
            begin = slot * _SLOT + _PARCELS_AT
            self._map[begin : begin + PARCELS * _PARCEL.size] = bytes(PARCELS * _PARCEL.size)
            _STREAM.pack_into(self._map, slot * _SLOT + _STREAM_AT, key, base)
            self._turns[slot] = 0

    def about_to_write(self, slot: int, parcel: Written) -> None:
        """A session is about to be written something."""
        if self._map is not None:
            turn = self._turns.get(slot, 0)
            self._turns[slot] = (turn + 1) % PARCELS
            flags = (_PLAIN if parcel.plain else 0) | (_IS_V1 if parcel.protocol else 0)
            begin = slot * _SLOT + _PARCELS_AT + turn * _PARCEL.size
            self._map[begin : begin + _PARCEL.size] = _PARCEL.pack(*parcel[:5], flags)  # at once, for a kill

    def _open(self) -> mmap.mmap:
        if self._map is None:
            os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(fd, 0, SLOTS * _SLOT)  # no write into the map meets a full disk
                else:
                    os.truncate(fd, SLOTS * _SLOT)
                self._map = mmap.mmap(fd, SLOTS * _SLOT)
            finally:
                os.close(fd)
        return self._map

    def take(self, number: int, session: str, position: int) -> int:
        """A slot for a session's place; -1 where there is none."""
        name = session.encode("utf-8", "surrogatepass")
        if not self._free or len(name) > MAX_SESSION_BYTES:
            return -1
        try:
            places = self._open()
        except (OSError, ValueError):
            return -1
        slot = self._free.pop()
        at = slot * _SLOT
        places[at + _HEAD.size : at + _HEAD.size + len(name)] = name
        _HEAD.pack_into(places, at, number, position, 0, 0, 0, 0.0, len(name))
        self.connected(slot, 0, 0)
        return slot

    def mark(self, slot: int, position: int, said: int = 0, part: int = 0, protocol: str | None = None) -> None:
        """A session has all before ``position``; see :class:`SavedCursor`."""
        if self._map is not None:
            _PLACE.pack_into(self._map, slot * _SLOT + 8, position, said, part, 1 if protocol else 0)

    def until(self, slot: int, when: float) -> None:
        """A session is away until then; 0: it is here."""
        if self._map is not None:
            _UNTIL.pack_into(self._map, slot * _SLOT + _UNTIL_AT, when)

    def give_back(self, slot: int) -> None:
        """Nobody comes back for it."""
        self._clear(slot)
        self._free.append(slot)

    def _clear(self, slot: int) -> None:
        if self._map is not None:
            self._map[slot * _SLOT : slot * _SLOT + _HEAD.size] = bytes(_HEAD.size)

    def close(self) -> None:
        """Let go of it; the file stays."""
        if self._map is not None:
            self._map.close()
            self._map = None
