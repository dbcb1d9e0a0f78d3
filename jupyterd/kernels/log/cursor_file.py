"""Places of sessions in a kernel's message log, in a file that is mapped into memory.

It is written with each message that a session gets: what is in it is true when the daemon is killed. A place is a
number, and the name of the message that the kernel had said last: what was not on disk when the daemon was killed is
heard again from the keeper, and has other numbers then.
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

_SLOT = 256
_HEAD = Struct("<QQQQBdH")
_PLACE = Struct("<QQQB")
_UNTIL, _UNTIL_AT = Struct("<d"), 33


PROTOCOLS = (None, V1)
"""The websocket protocols by their number in the file."""


def named(signature: Bytes) -> int:
    """A message by its signature, as a number; 0 where it has none."""
    digits = bytes(signature[:16])
    try:
        return int(digits, 16)
    except ValueError:
        return 0


class SavedCursor(NamedTuple):
    """Cursor of a session, as the file has it.

    :ivar slot: where it is in the file.
    :ivar number: its cursor's.
    :ivar position: the number of the next message that it gets.
    :ivar said: names the message that the kernel had said last, by :func:`named`; 0 where it was behind.
    :ivar part: bytes of the message there, and of those that came with it, that the session has in its protocol.
    :ivar protocol: which that is: see :data:`PROTOCOLS`.
    :ivar until: when it is forgotten, if it does not come back; 0 while it was here.
    """

    slot: int
    number: int
    position: int
    said: int
    part: int
    protocol: str | None
    until: float
    session: str


class CursorFile:
    """One kernel's; made with the first place.

    :param path: readable by its owner only.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._map: mmap.mmap | None = None
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
                found.append(SavedCursor(slot, number, position, said, part, PROTOCOLS[protocol & 1], until, session))
                self._free.remove(slot)
        return found

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
