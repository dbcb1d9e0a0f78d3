"""Kernel messages <-> websocket frames: two protocols, pure functions, no parsing of content or metadata.

A message's *parts* are the bytes that ZeroMQ carries behind the signature: header, parent header, metadata,
content, then any number of binary buffers. Two protocols carry them over a websocket:

- the default one: a JSON text message ``{"header": ..., "channel": ...}`` or, with buffers, a binary message: the
  number of pieces and the offset of each as big-endian 32-bit integers, then the JSON, then the buffers;
- ``v1.kernel.websocket.jupyter.org``: always binary: the number of offsets and the offsets as little-endian 64-bit
  integers, then the channel's name and the parts.

Sources: Jupyter Server documentation, "WebSocket kernel wire protocols"; jupyter_client documentation, "Messaging
in Jupyter".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from struct import Struct, pack, unpack_from
from typing import Protocol

import msgspec

from jupyterd.errors import Invalid

Bytes = bytes | memoryview
Parts = Sequence[Bytes]

DELIMITER = b"<IDS|MSG>"
"""What stands between a message's addresses and its signature on ZeroMQ."""

V1 = "v1.kernel.websocket.jupyter.org"
TEXT, BINARY = 0x81, 0x82
"""First byte of an unfragmented websocket frame. Source: RFC 6455, section 5.2."""

JOINED = 32 * 1024
"""Parts below so many bytes are copied into one write; larger ones are handed on as they are."""

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What reading JSON of others may end in: the second where a key is not UTF-8, the third where it nests too deep."""

COMMS = frozenset({"comm_open", "comm_msg", "comm_close"})
"""Types of the messages about comms. Source: jupyter_client documentation, "Messaging in Jupyter"."""

MAX_PARTS = 4096
"""No honest client sends more pieces in one message."""


class BadFrame(Invalid):
    """A client sent what is no kernel message."""


class BadMessage(Invalid):
    """A kernel sent what can not be passed on."""


class Header(msgspec.Struct, gc=False):
    """What is read of a header; the rest passes unread."""

    msg_type: str
    msg_id: str
    session: str = ""
    version: str = ""
    subshell_id: str | None = None


class _Kind(msgspec.Struct, gc=False):
    msg_type: str


class Parent(msgspec.Struct, gc=False):
    """What is read of a parent header, which may be empty."""

    msg_type: str = ""
    msg_id: str = ""
    session: str = ""


NO_PARENT = Parent()
read_type = msgspec.json.Decoder(_Kind).decode
read_header = msgspec.json.Decoder(Header).decode
_read_parent = msgspec.json.Decoder(Parent | None).decode


def read_parent(data: Bytes) -> Parent:
    """The parent header in ``data``; an empty one where it can not be read: then the message has no known parent."""
    try:
        return _read_parent(data) or NO_PARENT
    except UNREADABLE:
        return NO_PARENT


class Codec(Protocol):
    """One websocket protocol."""

    @property
    def name(self) -> str | None:
        """Its subprotocol; None for the default."""

    def encode(self, channel: bytes, messages: Iterable[Parts]) -> list[Bytes]:
        """Whole websocket frames, one a message, as few buffers to write in order."""

    def decode(self, payload: bytes, binary: bool) -> tuple[str, list[Bytes]]:
        """Channel and parts of a client's message. Raises :class:`BadFrame`."""

    def payload(self, channel: bytes, parts: Parts) -> tuple[bytes, bool]:
        """A message without the frame around it, and whether it is binary. Raises :class:`BadMessage`."""


_head16 = Struct("!BBH").pack
_head64 = Struct("!BBQ").pack
_offsets4 = Struct("<7Q").pack


def frame_head(opcode: int, size: int) -> bytes:
    """The head of an unmasked, unfragmented frame. Source: RFC 6455, section 5.2."""
    if size < 126:
        return bytes((opcode, size))
    if size < 65536:
        return _head16(opcode, 126, size)
    return _head64(opcode, 127, size)


def frame_size(data: Bytes) -> int:
    """Bytes of the frame of ours that ``data`` begins with; 0 where there is none."""
    if len(data) < 2:
        return 0
    size = data[1]
    if size < 126:
        return 2 + size
    (size,) = unpack_from("!H" if size == 126 else "!Q", data, 2)
    return int(size) + (4 if data[1] == 126 else 10)


def gather(pieces: Iterable[Bytes]) -> list[Bytes]:
    """Join neighbours that are small, keep what is large as it is."""
    out: list[Bytes] = []
    small: list[Bytes] = []
    for piece in pieces:
        if len(piece) < JOINED:
            small.append(piece)
        else:
            if small:
                out.append(b"".join(small))
                small = []
            out.append(piece)
    if small:
        out.append(b"".join(small))
    return out


class V1Codec:
    """``v1.kernel.websocket.jupyter.org``: the parts as they are."""

    name = V1

    def encode(self, channel: bytes, messages: Iterable[Parts]) -> list[Bytes]:
        """See :class:`Codec`."""
        pieces: list[Bytes] = []
        add = pieces.extend
        first = 56 + len(channel)
        large = False
        for parts in messages:
            if len(parts) == 4:
                header, parent, metadata, content = parts
                a = first + len(header)
                b = a + len(parent)
                c = b + len(metadata)
                size = c + len(content)
                if size < 65536:
                    head = _head16(BINARY, 126, size) if size > 125 else frame_head(BINARY, size)
                    add((head, _offsets4(6, 56, first, a, b, c, size), channel, header, parent, metadata, content))
                    continue
            large = True
            add(self.message(channel, parts))
        return gather(pieces) if large else [b"".join(pieces)]

    def message(self, channel: bytes, parts: Parts) -> list[Bytes]:
        """One frame's pieces, with any number of parts."""
        count = len(parts) + 2
        offsets = [8 * (count + 1)]
        offsets.append(offsets[0] + len(channel))
        for part in parts:
            offsets.append(offsets[-1] + len(part))
        return [frame_head(BINARY, offsets[-1]), pack(f"<{count + 1}Q", count, *offsets), channel, *parts]

    def payload(self, channel: bytes, parts: Parts) -> tuple[bytes, bool]:
        """See :class:`Codec`."""
        return b"".join(self.message(channel, parts)[1:]), True

    def decode(self, payload: bytes, binary: bool) -> tuple[str, list[Bytes]]:
        """See :class:`Codec`. The offsets must be in order, inside of the message and cover four parts at least."""
        if not binary:
            raise BadFrame("text on the binary protocol")
        if len(payload) < 8:
            raise BadFrame("too short for its count of offsets")
        (count,) = unpack_from("<Q", payload)
        if not 6 <= count <= MAX_PARTS or len(payload) < 8 * (count + 1):
            raise BadFrame("an impossible count of offsets")
        offsets = unpack_from(f"<{count}Q", payload, 8)
        if offsets[0] < 8 * (count + 1) or offsets[-1] > len(payload) or list(offsets) != sorted(offsets):
            raise BadFrame("offsets out of order")
        view = memoryview(payload)
        try:
            channel = str(view[offsets[0] : offsets[1]], "utf-8")
        except UnicodeDecodeError:
            raise BadFrame("a channel that is not UTF-8") from None
        parts: list[Bytes] = [bytes(view[offsets[i] : offsets[i + 1]]) for i in range(1, 5)]
        parts.extend(view[offsets[i] : offsets[i + 1]] for i in range(5, count - 1))
        return channel, parts


_TEXT = (
    b'{"header": %b, "msg_id": %b, "msg_type": %b, "parent_header": %b, "metadata": %b, "content": %b, '
    b'"buffers": [], "channel": "%b"}'
)
_BESIDE_BUFFERS = (
    b'{"header": %b, "msg_id": %b, "msg_type": %b, "parent_header": %b, "metadata": %b, "content": %b, "channel": "%b"}'
)


class _Named(msgspec.Struct, gc=False):
    msg_id: msgspec.Raw
    msg_type: msgspec.Raw


class _FromClient(msgspec.Struct):
    header: msgspec.Raw
    parent_header: msgspec.Raw
    metadata: msgspec.Raw
    content: msgspec.Raw = msgspec.Raw(b"{}")
    channel: str | int | float | bool | None = None
    buffers: list[str] | None = None


_read_named = msgspec.json.Decoder(_Named).decode
_read_from_client = msgspec.json.Decoder(_FromClient).decode
_read_string = msgspec.json.Decoder(str).decode


def _text_of(template: bytes, channel: bytes, parts: Parts) -> bytes:
    header = parts[0]
    named = _read_named(header)
    text = template % (header, named.msg_id, named.msg_type, parts[1], parts[2], parts[3], channel)
    if not text.isascii():
        text.decode()  # browsers close a websocket on text that is not UTF-8
    return text


class JSONCodec:
    """The default protocol: the JSON parts spliced into one object."""

    name = None

    def encode(self, channel: bytes, messages: Iterable[Parts]) -> list[Bytes]:
        """See :class:`Codec`.

        A message that is no UTF-8 is left out: no client of this protocol could read it.
        """
        pieces: list[Bytes] = []
        add = pieces.extend
        large = False
        for parts in messages:
            try:
                if len(parts) > 4:
                    large = True
                    add(self.message(channel, parts))
                    continue
                text = _text_of(_TEXT, channel, parts)
            except UNREADABLE:
                continue
            size = len(text)
            large = large or size >= JOINED
            add((_head16(TEXT, 126, size) if 125 < size < 65536 else frame_head(TEXT, size), text))
        return gather(pieces) if large else [b"".join(pieces)]

    def message(self, channel: bytes, parts: Parts) -> list[Bytes]:
        """The pieces of one binary frame: a message with buffers."""
        text = _text_of(_BESIDE_BUFFERS, channel, parts)
        buffers = parts[4:]
        count = len(buffers) + 1
        offsets = [4 * (count + 1)]
        for piece in (text, *buffers):
            offsets.append(offsets[-1] + len(piece))
        if offsets[-2] > 0xFFFFFFFF:
            raise BadMessage("more than this protocol's offsets can tell")
        size = offsets.pop()
        return [frame_head(BINARY, size), pack(f"!{count + 1}I", count, *offsets), text, *buffers]

    def payload(self, channel: bytes, parts: Parts) -> tuple[bytes, bool]:
        """See :class:`Codec`."""
        try:
            if len(parts) > 4:
                return b"".join(self.message(channel, parts)[1:]), True
            return _text_of(_TEXT, channel, parts), False
        except UNREADABLE as error:
            raise BadMessage(str(error)) from None

    def decode(self, payload: bytes, binary: bool) -> tuple[str, list[Bytes]]:
        """See :class:`Codec`. Without a channel, ``shell`` is meant, as the reference has it."""
        buffers: list[Bytes] = []
        if binary:
            payload, buffers = self._split(payload)
        try:
            message = _read_from_client(payload)
            if not payload.isascii():
                payload.decode()
        except UNREADABLE as error:
            raise BadFrame(str(error)) from None
        if message.buffers:
            raise BadFrame("buffers inside of JSON")
        head: list[Bytes] = [bytes(message.header), bytes(message.parent_header), bytes(message.metadata)]
        if any(part[:1] != b"{" for part in head):
            raise BadFrame("a header that is no object")
        channel = "shell" if message.channel is None else str(message.channel)
        return channel, [*head, _content(bytes(message.content)), *buffers]

    def _split(self, payload: bytes) -> tuple[bytes, list[Bytes]]:
        if len(payload) < 4:
            raise BadFrame("too short for its count of pieces")
        (count,) = unpack_from("!I", payload)
        if not 1 <= count <= MAX_PARTS or len(payload) < 4 * (count + 1):
            raise BadFrame("an impossible count of pieces")
        offsets = [*unpack_from(f"!{count}I", payload, 4), len(payload)]
        if offsets[0] < 4 * (count + 1) or offsets != sorted(offsets):
            raise BadFrame("offsets out of order")
        view = memoryview(payload)
        pieces = [view[offsets[i] : offsets[i + 1]] for i in range(count)]
        return bytes(pieces[0]), list(pieces[1:])


def _content(raw: bytes) -> bytes:
    """Content as the kernel gets it: an object; a string is taken for encoded JSON, null for nothing."""
    if raw[:1] == b"{":
        return raw
    if raw[:1] == b'"':
        return _read_string(raw).encode()
    if raw == b"null":
        return b"{}"
    raise BadFrame("content that is no object")


CODEC_V1: Codec = V1Codec()
CODEC_JSON: Codec = JSONCodec()
