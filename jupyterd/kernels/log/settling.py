"""Settling of a client's cursor after its daemon was killed: by how much the system had taken of the client's stream.

What is about to be written to a client is noted before: where it will be in the client's stream, and what place that
makes. Where the system counts other bytes than those of the stream, encrypted or compressed ones, it is noted besides
where what is read whole or not at all ends, a record of TLS or a message, in the one and in the other.
"""

from __future__ import annotations

from typing import NamedTuple

PARCELS = 6
"""How much of what was written last is noted of each session."""

RECORDS = 32
"""How many records or messages are: more records, of 16 KiB, than a connection holds that are not yet the system's."""


class Written(NamedTuple):
    """What is written to a client at once.

    :ivar begin: where it begins in the client's stream.
    :ivar end: where it ends.
    :ivar first: the number of its first message.
    :ivar next: the number of the message behind it.
    :ivar said: names the last message that the kernel had said then; 0 where ``next`` is behind.
    :ivar plain: its messages are as the log has them.
    :ivar protocol: see :data:`jupyterd.kernels.log.cursor_file.PROTOCOLS`.
    """

    begin: int
    end: int
    first: int
    next: int
    said: int
    plain: bool
    protocol: str | None


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
    :ivar position: the number of the next message that it gets.
    :ivar said: names the message that the kernel had said last, by :func:`jupyterd.kernels.log.cursor_file.named`; 0
        where it was behind.
    :ivar part: bytes of the message there, and of those that came with it, that the session has in its protocol.
    :ivar protocol: which that is: see :data:`jupyterd.kernels.log.cursor_file.PROTOCOLS`.
    :ivar until: when it is forgotten, if it does not come back; 0 while it was here.
    :ivar key: of its connection, as the keeper holds it; 0 where it does not.
    :ivar base: what the system had taken for it when its stream began.
    :ivar parcels: what was written last, in order.
    :ivar records: those that were last, in order; None where the system is given the stream as it is.
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
    records: tuple[Sealed, ...] | None = None


def settled(cursor: SavedCursor, taken: int | None) -> SavedCursor:
    """A cursor as it was when the system had taken so much for its connection; as it was noted where that says nothing.

    :param taken: see :func:`jupyterd.keeper.taken.taken`.
    """
    if taken is None or not cursor.key or not cursor.parcels:
        return cursor
    arrived: int | None = taken - cursor.base
    if cursor.records is not None:
        arrived = opened(cursor.records, taken - cursor.base)
    first = cursor.parcels[0]
    if arrived is None or (arrived < first.begin and len(cursor.parcels) == PARCELS):
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


def opened(records: tuple[Sealed, ...], wire: int) -> int | None:
    """How much of its stream a client can read when it has so many bytes; None where that is not known any more.

    :param records: the last ones, in order.
    """
    if len(records) == RECORDS and wire < records[0].wire:
        return None
    return max((record.stream for record in records if record.wire <= wire), default=0)
