"""Coalescing of neighbouring ``stream`` messages, for a client that gets them late.

Only messages of the same request and the same stream, without metadata and buffers, that follow each other
directly: the text that the client sees, and its order among all other outputs, are the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from jupyterd.kernels.messages.websocket_codec import UNREADABLE, Bytes, Parts, read_header

LARGEST = 256 * 1024
"""A merged message has about so many bytes at most."""


class _Stream(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    text: str


_read = msgspec.json.Decoder(_Stream).decode
_write = msgspec.json.Encoder().encode


def coalesced(messages: Iterable[Parts]) -> list[tuple[Parts, int]]:
    """``messages`` with runs of mergeable stream messages merged, and how many each of them stands for.

    A run keeps the header of its first.
    """
    out: list[tuple[Parts, int]] = []
    run: list[Parts] = []
    name: str | None = None
    texts: list[str] = []
    size = 0

    def end_run() -> None:
        if len(run) == 1:
            out.append((run[0], 1))
        elif run:
            first = run[0]
            merged = [first[0], first[1], first[2], _write(_Stream(name or "", "".join(texts)))]
            out.append((merged, len(run)))

    for parts in messages:
        stream = _stream_of(parts)
        if stream is not None and run and stream.name == name and parts[1] == run[0][1] and size < LARGEST:
            run.append(parts)
            texts.append(stream.text)
            size += len(parts[3])
            continue
        end_run()
        run, texts, name, size = [], [], None, 0
        if stream is None:
            out.append((parts, 1))
        else:
            run, texts, name, size = [parts], [stream.text], stream.name, len(parts[3])
    end_run()
    return out


def _stream_of(parts: Sequence[Bytes]) -> _Stream | None:
    if len(parts) != 4 or bytes(parts[2]).strip() != b"{}":
        return None
    try:
        return _read(parts[3]) if read_header(parts[0]).msg_type == "stream" else None
    except UNREADABLE:
        return None
