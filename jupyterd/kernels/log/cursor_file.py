"""Places of sessions in a kernel's message log, in a file that is mapped into memory.

It is written with each message that a session gets: what is in it is true when the daemon is killed. A place is a
number, and the name of the message that the kernel had said last: what was not on disk when the daemon was killed is
heard again from the keeper, and has other numbers then. Beside it is what :mod:`jupyterd.kernels.log.settling` needs.

At the file's end is which requests were replied to last, and by the message of which number: a session whose place is
behind has that reply, although it may not be on disk.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable
from contextlib import suppress
from hashlib import blake2b
from struct import Struct

from jupyterd.kernels.log.settling import PARCELS, RECORDS, SavedCursor, Sealed, Written
from jupyterd.kernels.messages.websocket_codec import V1, Bytes

SLOTS = 512
"""Sessions that have a place; others lose theirs with the daemon."""

MAX_SESSION_BYTES = 160
"""Bytes of a session's name at most."""

REPLIES = 1024
"""Replies that are noted: more than there are in the moment until they are on disk."""

_SLOT = 1024
_HEAD = Struct("<QQQQBdH")
_PLACE = Struct("<QQQB")
_UNTIL, _UNTIL_AT = Struct("<d"), 33
_STREAM, _STREAM_AT = Struct("<QQB"), 216
_PARCEL, _PARCELS_AT = Struct("<QQQQQB"), 256
_SEALED, _SEALED_AT = Struct("<QQ"), 512
_PLAIN, _IS_V1 = 1, 2
_REPLY, _REPLIES_AT = Struct("<Qq"), SLOTS * _SLOT
_SIZE = _REPLIES_AT + REPLIES * _REPLY.size
_EARLIER = -1

PROTOCOLS = (None, V1)
"""The websocket protocols by their number in the file."""


def named(signature: Bytes) -> int:
    """A message by its signature, as a number; 0 where it has none."""
    digits = bytes(signature[:16])
    try:
        return int(digits, 16)
    except ValueError:
        return 0


def _digest(msg_id: str) -> int:
    return int.from_bytes(blake2b(msg_id.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little") or 1


def mapped(path: str, size: int) -> mmap.mmap:
    """A file of so many bytes in memory, readable by its owner only; what is written to it outlives the process.

    :raises OSError: there can be none.
    """
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(fd, 0, size)  # no write into the map meets a full disk
        else:
            os.truncate(fd, size)
        return mmap.mmap(fd, size)
    finally:
        os.close(fd)


class CursorFile:
    """One kernel's; made with the first place.

    :param path: readable by its owner only.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._map: mmap.mmap | None = None
        self._turns: dict[int, int] = {}
        self._seals: dict[int, int] = {}
        self._reply_turn = 0
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
                key, base, is_sealed = _STREAM.unpack_from(self._map, slot * _SLOT + _STREAM_AT)
                parcels = self._parcels(self._map, slot)
                records = self._records(self._map, slot) if is_sealed else None
                found.append(cursor._replace(key=key, base=base, parcels=parcels, records=records))
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

    def _records(self, places: mmap.mmap, slot: int) -> tuple[Sealed, ...]:
        begin = slot * _SLOT + _SEALED_AT
        found = [Sealed(*each) for each in _SEALED.iter_unpack(places[begin : begin + RECORDS * _SEALED.size])]
        return tuple(sorted(record for record in found if record.wire))

    def connected(self, slot: int, key: int, base: int, *, is_sealed: bool = False) -> None:
        """A session has a connection, of which nothing is written yet; see :class:`SavedCursor`. With 0 it has none.

        :param is_sealed: the system is given other bytes than those of its stream.
        """
        if self._map is not None:
            begin, end = slot * _SLOT + _PARCELS_AT, (slot + 1) * _SLOT
            self._map[begin:end] = bytes(end - begin)
            _STREAM.pack_into(self._map, slot * _SLOT + _STREAM_AT, key, base, is_sealed)
            self._turns[slot] = self._seals[slot] = 0

    def about_to_write(self, slot: int, parcel: Written) -> None:
        """A session is about to be written something."""
        if self._map is not None:
            turn = self._turns.get(slot, 0)
            self._turns[slot] = (turn + 1) % PARCELS
            flags = (_PLAIN if parcel.plain else 0) | (_IS_V1 if parcel.protocol else 0)
            begin = slot * _SLOT + _PARCELS_AT + turn * _PARCEL.size
            self._map[begin : begin + _PARCEL.size] = _PARCEL.pack(*parcel[:5], flags)  # at once, for a kill

    def sealed(self, slot: int, wire: int, stream: int) -> None:
        """A record or message is about to be written to a session; see :class:`Sealed`."""
        if self._map is not None:
            turn = self._seals.get(slot, 0)
            self._seals[slot] = (turn + 1) % RECORDS
            begin = slot * _SLOT + _SEALED_AT + turn * _SEALED.size
            self._map[begin : begin + _SEALED.size] = _SEALED.pack(wire, stream)

    # -- replies

    def replied(self, msg_id: str, number: int) -> None:
        """A request is about to be replied to, by the message of a number."""
        if self._map is not None:
            begin = _REPLIES_AT + self._reply_turn * _REPLY.size
            self._reply_turn = (self._reply_turn + 1) % REPLIES
            self._map[begin : begin + _REPLY.size] = _REPLY.pack(_digest(msg_id), number)

    def had_reply(self, requests: Iterable[tuple[str, int]]) -> set[str]:
        """Those of a former daemon's requests whose reply who asked has got; the rest is forgotten.

        :param requests: the id of each, and the number of the next message that who asked gets.
        """
        if self._map is None:
            return set()
        noted = dict(_REPLY.iter_unpack(self._map[_REPLIES_AT:_SIZE]))
        found = {msg_id for msg_id, position in requests if noted.get(_digest(msg_id), position) < position}
        self._map[_REPLIES_AT:_SIZE] = bytes(_SIZE - _REPLIES_AT)
        self._reply_turn = 0
        for msg_id in found:
            self.replied(msg_id, _EARLIER)  # numbers of a former daemon may be given again
        return found

    def _open(self) -> mmap.mmap:
        if self._map is None:
            self._map = mapped(self._path, _SIZE)
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
