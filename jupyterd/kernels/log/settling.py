"""Settling of a client's cursor after its daemon was killed: by how much the system had taken of the client's stream.

What is about to be written to a client is noted before: where it will be in the client's stream, and what place that
makes. Where the system counts other bytes than those of the stream, encrypted or compressed ones, it is noted besides
where what is read whole or not at all ends, a record of TLS or a message, in the one and in the other.

Beside it is noted what the system is known to have taken, each time it has. Neither is ever too much: the later counts.
"""

from __future__ import annotations

from typing import NamedTuple

PARCELS = 14
"""How much of what was written last is noted of each session."""

HELD_BACK = PARCELS - 2
"""A client that has so much on its way that the system has not taken is given nothing more: the oldest would not be
noted any more."""

RECORDS = 62
"""How many records or messages are: more records, of 16 KiB and of what is written at once, than a connection holds
that are not yet the system's."""


class Place(NamedTuple):
    """Where a client is in the log, for a daemon whose log lacks what was not on disk and has other numbers then.

    :ivar position: the number of the next message that it gets.
    :ivar said: names the message that the kernel had said last before ``since``, to all, by its signature; 0 where
        that is not known, :data:`jupyterd.kernels.log.cursor_file.NOTHING` where it had said nothing.
    :ivar since: a number, from which on ``position`` counts the kernel's own messages.
    :ivar part: bytes of the message there, and of those that came with it, that the session has in its protocol.
    :ivar public: what came with it are the kernel's own messages to all.
    :ivar protocol: which that is: see :data:`jupyterd.kernels.log.cursor_file.PROTOCOLS`.
    """

    position: int
    said: int = 0
    since: int = 0
    part: int = 0
    public: bool = False
    protocol: str | None = None

    @property
    def further(self) -> int:
        """How many messages of the kernel it has behind the one that is named."""
        return max(0, self.position - self.since)


class Written(NamedTuple):
    """What is written to a client at once.

    :ivar begin: where it begins in the client's stream.
    :ivar end: where it ends.
    :ivar place: where the client is before, without a part.
    :ivar next: the number of the message behind it.
    :ivar said: names the last message that the kernel had said then; 0 where it ends within what the kernel said at
        once.
    :ivar plain: its messages are as the log has them.
    """

    begin: int
    end: int
    place: Place
    next: int
    said: int
    plain: bool

    def after(self) -> Place:
        """Where the client is that has it whole."""
        if self.said:
            return Place(self.next, self.said, self.next)
        return Place(self.next, self.place.said if self.place.public else 0, self.place.since)

    def within(self, size: int) -> Place:
        """Where the client is that has its first bytes."""
        return self.place._replace(part=size if self.plain else 0)


class Sealed(NamedTuple):
    """A record of TLS, or a compressed message: it is read whole or not at all.

    :ivar wire: where it ends in what the system is given.
    :ivar stream: where it ends in the client's stream.
    """

    wire: int
    stream: int


class SavedCursor(NamedTuple):
    """Cursor of a session, as the file has it.

    :ivar slot: where it is in the file.
    :ivar number: its cursor's.
    :ivar place: where it is, by what the system was known to have taken last.
    :ivar until: when it is forgotten, if it does not come back; 0 while it was here.
    :ivar key: of its connection, as the keeper holds it; 0 where it does not.
    :ivar base: what the system had taken for it when its stream began.
    :ivar parcels: what was written last, in order.
    :ivar records: those that were last, in order; None where the system is given the stream as it is.
    """

    slot: int
    number: int
    place: Place
    until: float
    session: str
    key: int = 0
    base: int = 0
    parcels: tuple[Written, ...] = ()
    records: tuple[Sealed, ...] | None = None


def settled(cursor: SavedCursor, taken: int | None) -> Place:
    """Where a client was when the system had taken so much for its connection; as it was noted where that says nothing.

    :param taken: see :func:`jupyterd.keeper.taken.taken`.
    """
    noted = cursor.place
    if taken is None or not cursor.key or not cursor.parcels:
        return noted
    arrived: int | None = taken - cursor.base
    if cursor.records is not None:
        arrived = opened(cursor.records, taken - cursor.base)
    first = cursor.parcels[0]
    if arrived is None or (arrived < first.begin and len(cursor.parcels) == PARCELS):
        return noted  # what was written before is not known any more
    found = first.place
    for parcel in cursor.parcels:
        if parcel.end <= arrived:
            found = parcel.after()
        elif parcel.begin < arrived:
            found = parcel.within(arrived - parcel.begin)
    return noted if (noted.position, noted.part) > (found.position, found.part) else found


def opened(records: tuple[Sealed, ...], wire: int) -> int | None:
    """How much of its stream a client can read when it has so many bytes; None where that is not known any more.

    :param records: the last ones, in order.
    """
    if len(records) == RECORDS and wire < records[0].wire:
        return None
    return max((record.stream for record in records if record.wire <= wire), default=0)
