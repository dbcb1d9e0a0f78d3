"""Places of sessions in a kernel's message log, in a file that is mapped into memory.

It is written with each message that a session gets: what is in it is true when the daemon is killed. A place is a
number, and the name of a message that the kernel had said: what was not on disk when the daemon was killed is heard
again from the keeper, and has other numbers then. Beside it is what :mod:`jupyterd.kernels.log.settling` needs.

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

from jupyterd.kernels.log.settling import PARCELS, RECORDS, Place, SavedCursor, Sealed, Written
from jupyterd.kernels.messages.websocket_codec import V1, Bytes

SLOTS = 256
"""Sessions that have a place; others lose theirs with the daemon."""

MAX_SESSION_BYTES = 160
"""Bytes of a session's name at most."""

REPLIES = 1024
"""Replies that are noted: more than there are in the moment until they are on disk."""

NOTHING = 1
"""In place of a message's name: the kernel has said nothing yet."""

FILE = "places"
"""The file's name, in the kernel's directory."""

_SLOT = 2048
_HEAD = Struct("<QQQQQQBdH")
_PLACE, _PLACE_AT = Struct("<QQQQQB"), 8
_UNTIL, _UNTIL_AT = Struct("<d"), 49
_KEY = Struct("<Q")
_STREAM, _STREAM_AT = Struct("<QB"), 224
_PARCEL, _PARCELS_AT = Struct("<QQQQQQQB"), 256
_SEALED, _SEALED_AT = Struct("<QQ"), 1056
_REPLY, _REPLIES_AT = Struct("<Qq"), SLOTS * _SLOT
_SIZE = _REPLIES_AT + REPLIES * _REPLY.size
_EARLIER = -1

PROTOCOLS = (None, V1)
"""The websocket protocols by their number in the file."""

IS_V1, PUBLIC, PLAIN = 1, 2, 4
"""Flags of what is written to a client: its protocol, and as in :class:`Place` and :class:`Written`."""


def named(signature: Bytes) -> int:
    """A message by its signature, as a number; 0 where it has none."""
    digits = bytes(signature[:16])
    try:
        return int(digits, 16)
    except ValueError:
        return 0


def _digest(msg_id: str) -> int:
    return int.from_bytes(blake2b(msg_id.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little") or 1


def _flags(place: Place) -> int:
    return (IS_V1 if place.protocol else 0) | (PUBLIC if place.public else 0)


def _place(position: int, said: int, since: int, part: int, flags: int) -> Place:
    return Place(position, said, since, part, bool(flags & PUBLIC), PROTOCOLS[flags & IS_V1])


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
        self._turns = [0] * SLOTS
        self._seals = [0] * SLOTS
        self._keys = [0] * SLOTS
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
            at = slot * _SLOT
            number, key, position, said, since, part, flags, until, length = _HEAD.unpack_from(self._map, at)
            if number and 0 < length <= MAX_SESSION_BYTES:
                session = self._map[at + _HEAD.size : at + _HEAD.size + length].decode("utf-8", "replace")
                base, is_sealed = _STREAM.unpack_from(self._map, at + _STREAM_AT)
                place = _place(position, said, since, part, flags)
                parcels = self._parcels(self._map, slot)
                records = self._records(self._map, slot) if is_sealed else None
                found.append(SavedCursor(slot, number, place, until, session, key, base, parcels, records))
                self._free.remove(slot)
        return found

    def _parcels(self, places: mmap.mmap, slot: int) -> tuple[Written, ...]:
        found = []
        for turn in range(PARCELS):
            *numbers, flags = _PARCEL.unpack_from(places, slot * _SLOT + _PARCELS_AT + turn * _PARCEL.size)
            begin, end, first, before, since, following, said = numbers
            if end:
                place = _place(first, before, since, 0, flags)
                found.append(Written(begin, end, place, following, said, bool(flags & PLAIN)))
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
            at = slot * _SLOT
            self._key(slot, 0)
            self._map[at + _PARCELS_AT : at + _SLOT] = bytes(_SLOT - _PARCELS_AT)
            _STREAM.pack_into(self._map, at + _STREAM_AT, base, is_sealed)
            self._turns[slot] = self._seals[slot] = 0
            self._key(slot, key)

    def _key(self, slot: int, key: int) -> None:
        assert self._map is not None
        self._keys[slot] = key
        _KEY.pack_into(self._map, slot * _SLOT + _PLACE_AT, key)

    def about_to_write(
        self,
        slot: int,
        begin: int,
        end: int,
        first: int,
        before: int,
        since: int,
        following: int,
        said: int,
        flags: int,
    ) -> None:
        """A session is about to be written something: a :class:`Written`, not made for each message.

        :param first: the number of its first message; its place is that, ``before`` and ``since``.
        """
        if self._map is not None:
            turn = self._turns[slot]
            self._turns[slot] = (turn + 1) % PARCELS
            at = slot * _SLOT + _PARCELS_AT + turn * _PARCEL.size
            self._map[at : at + _PARCEL.size] = _PARCEL.pack(  # at once, for a kill
                begin, end, first, before, since, following, said, flags
            )

    def sealed(self, slot: int, wire: int, stream: int) -> None:
        """A record or message is about to be written to a session; see :class:`Sealed`."""
        if self._map is not None:
            turn = self._seals[slot]
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
        _HEAD.pack_into(places, at, number, 0, position, 0, position, 0, 0, 0.0, len(name))
        self.connected(slot, 0, 0)
        return slot

    def mark(self, slot: int, place: Place, *, connected: bool = True) -> None:
        """Where a session is.

        :param connected: if not, its connection is gone, and what the system had taken for it says nothing any more.
        """
        if self._map is not None:
            if not connected:
                self._keys[slot] = 0
            begin = slot * _SLOT + _PLACE_AT
            position, said, since, part, _, _ = place
            self._map[begin : begin + _PLACE.size] = _PLACE.pack(  # at once, for a kill
                self._keys[slot], position, said, since, part, _flags(place)
            )

    def has_all(self, slot: int, position: int, said: int, since: int) -> None:
        """A session has all before ``position``: as :meth:`mark`, without a part."""
        if self._map is not None:
            begin = slot * _SLOT + _PLACE_AT
            self._map[begin : begin + _PLACE.size] = _PLACE.pack(self._keys[slot], position, said, since, 0, 0)

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
