"""Lost messages: what stands in a log for those that had to go, their numbers and how many they were."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from jupyterd.kernels.log.chunk import Chunk
from jupyterd.kernels.messages.websocket_codec import Bytes, read_type

STREAMS = frozenset({"stream"})
"""What goes first where there is no room."""

OUTPUTS = STREAMS | {"display_data", "update_display_data"}
"""What a cell may have any number of."""


def joined(chunks: Iterable[Chunk]) -> Iterable[Chunk]:
    """Neighbours that only tell of lost messages, made one."""
    gap: Chunk | None = None
    for chunk in chunks:
        if gap is not None and chunk.lost and (chunk.first, chunk.to) == (gap.end, gap.to):
            gap.count += chunk.count
            gap.name = chunk.name
            continue
        if gap is not None:
            yield gap
        gap = chunk if chunk.lost else None
        if gap is None:
            yield chunk
    if gap is not None:
        yield gap


def without(chunk: Chunk, kinds: frozenset[str]) -> Iterable[Chunk]:
    """``chunk`` with its runs of iopub messages of ``kinds`` replaced by what tells that they are lost."""
    if chunk.lost or chunk.channel != b"iopub":
        yield chunk
        return
    for piece in _pieces(chunk, kinds):
        piece.name = chunk.name if piece.end == chunk.end else 0
        yield piece


def _pieces(chunk: Chunk, kinds: frozenset[str]) -> Iterable[Chunk]:
    kept: list[Sequence[Bytes]] = []
    lost: list[Sequence[Bytes]] = []
    seq = chunk.first
    for parts in chunk.messages:
        goes = read_type(parts[0]).msg_type in kinds
        if kept and goes:
            yield Chunk(chunk.channel, kept, chunk.time, chunk.to, seq - len(kept))
            kept = []
        if lost and not goes:
            yield lost_chunk(chunk, seq - len(lost), len(lost), bytes(lost[0][1]))
            lost = []
        (lost if goes else kept).append(parts)
        seq += 1
    if kept:
        yield Chunk(chunk.channel, kept, chunk.time, chunk.to, seq - len(kept))
    if lost:
        yield lost_chunk(chunk, seq - len(lost), len(lost), bytes(lost[0][1]))


def lost_chunk(chunk: Chunk, first: int, count: int, parent: bytes) -> Chunk:
    """What tells that ``count`` messages are gone: it covers their numbers and keeps a parent header for the notice."""
    gap = Chunk(chunk.channel, [[b"", parent]], chunk.time, chunk.to, first)
    gap.count, gap.lost = count, True
    return gap
