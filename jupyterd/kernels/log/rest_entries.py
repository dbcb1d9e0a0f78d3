"""Entries: messages of the log as REST clients get them."""

from __future__ import annotations

from typing import Any

import orjson

from jupyterd.kernels.log.chunk import Chunk
from jupyterd.kernels.messages.websocket_codec import Bytes, Parts

Entry = dict[str, Any]


def entry(seq: int, channel: bytes, parts: Parts) -> Entry:
    """One message; what is no JSON is null, of buffers there are the sizes."""
    header, parent, metadata, content = (decoded(part) for part in parts[:4])
    return {
        "seq": seq,
        "channel": channel.decode(),
        "header": header,
        "parent_header": parent,
        "metadata": metadata,
        "content": content,
        "buffers": [len(part) for part in parts[4:]],
    }


def decoded(part: Bytes) -> Any:
    """A part of a message; None where it is no JSON."""
    try:
        return orjson.loads(part)
    except orjson.JSONDecodeError:
        return None


def entries(chunk: Chunk, since: int) -> list[Entry]:
    """The messages of a chunk from ``since`` on."""
    return [
        entry(chunk.first + number, chunk.channel, parts)
        for number, parts in enumerate(chunk.messages)
        if chunk.first + number >= since
    ]
