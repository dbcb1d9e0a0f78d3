"""The websocket protocols: what is encoded is what was said, what is decoded is what the kernel gets."""

from __future__ import annotations

import json
import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterd.kernels.messages.websocket_codec import (
    BINARY,
    CODEC_JSON,
    CODEC_V1,
    JOINED,
    NO_PARENT,
    TEXT,
    BadFrame,
    frame_head,
    gather,
    read_header,
    read_parent,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc é", max_size=3), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.text('abc é"\\', max_size=4), json_values, max_size=4)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=10)
headers = st.builds(
    lambda extra, msg_id, msg_type: {**extra, "msg_id": msg_id, "msg_type": msg_type}, objects, names, names
)


def dumps(value, ascii_only) -> bytes:
    return json.dumps(value, ensure_ascii=ascii_only).encode()


messages = st.builds(
    lambda header, parent, metadata, content, buffers, plain: (
        [dumps(header, plain), dumps(parent, plain), dumps(metadata, plain), dumps(content, plain), *buffers]
    ),
    headers, objects, objects, objects,
    st.lists(st.binary(max_size=64) | st.just(bytes(JOINED)), max_size=3), st.booleans(),
)  # fmt: skip
channels = st.sampled_from([b"iopub", b"shell", b"control", b"stdin"])


def frames(data: bytes):
    """Opcode and payload of each websocket frame in ``data``, read by the letter of RFC 6455."""
    while data:
        opcode, size, at = data[0], data[1], 2
        if size == 126:
            size, at = struct.unpack("!H", data[2:4])[0], 4
        elif size == 127:
            size, at = struct.unpack("!Q", data[2:10])[0], 10
        yield opcode, data[at : at + size]
        data = data[at + size :]


def read_v1(payload: bytes):
    count = struct.unpack_from("<Q", payload)[0]
    offsets = struct.unpack_from(f"<{count}Q", payload, 8)
    channel, *parts = [payload[a:b] for a, b in zip(offsets, offsets[1:], strict=False)]
    return channel, parts


@given(channels, st.lists(messages, max_size=5))
def test_v1_carries_the_parts_as_they_are(channel, said) -> None:
    found = list(frames(b"".join(CODEC_V1.encode(channel, said))))
    assert [opcode for opcode, _ in found] == [BINARY] * len(said)
    assert [read_v1(payload) for _, payload in found] == [(channel, parts) for parts in said]


@given(channels, st.lists(messages, max_size=5))
def test_json_carries_what_the_parts_mean(channel, said) -> None:
    found = list(frames(b"".join(CODEC_JSON.encode(channel, said))))
    assert len(found) == len(said)
    for (opcode, payload), parts in zip(found, said, strict=True):
        buffers = []
        if len(parts) > 4:
            assert opcode == BINARY
            count = struct.unpack_from("!I", payload)[0]
            offsets = [*struct.unpack_from(f"!{count}I", payload, 4), len(payload)]
            payload, *buffers = [payload[a:b] for a, b in zip(offsets, offsets[1:], strict=False)]
        else:
            assert opcode == TEXT
        message = json.loads(payload)
        header = json.loads(parts[0])
        assert message["header"] == header
        assert (message["msg_id"], message["msg_type"]) == (header["msg_id"], header["msg_type"])
        assert [message[key] for key in ("parent_header", "metadata", "content")] == [json.loads(p) for p in parts[1:4]]
        assert message["channel"] == channel.decode()
        assert buffers == parts[4:]


@given(channels, messages)
def test_v1_decodes_what_it_encodes(channel, parts) -> None:
    ((_, payload),) = frames(b"".join(CODEC_V1.encode(channel, [parts])))
    assert CODEC_V1.decode(payload, True) == (channel.decode(), parts)


@given(channels, messages)
def test_json_decodes_what_clients_send(channel, parts) -> None:
    said = {
        "header": json.loads(parts[0]), "parent_header": json.loads(parts[1]), "metadata": json.loads(parts[2]),
        "content": json.loads(parts[3]), "channel": channel.decode(), "msg_id": "x", "msg_type": "y",
    }  # fmt: skip
    text = json.dumps(said).encode()
    buffers = parts[4:]
    if buffers:
        pieces = [text, *buffers]
        offsets = [4 * (len(pieces) + 1)]
        for piece in pieces[:-1]:
            offsets.append(offsets[-1] + len(piece))
        payload = struct.pack(f"!{len(pieces) + 1}I", len(pieces), *offsets) + b"".join(pieces)
    else:
        payload = json.dumps({**said, "buffers": []}).encode()
    name, found = CODEC_JSON.decode(payload, bool(buffers))
    assert name == channel.decode()
    assert [json.loads(part) for part in found[:4]] == [json.loads(part) for part in parts[:4]]
    assert [bytes(part) for part in found[4:]] == buffers


@given(st.sampled_from([CODEC_JSON, CODEC_V1]), st.binary(max_size=200), st.booleans())
def test_garbage_is_a_bad_frame_and_nothing_else(codec, payload, binary) -> None:
    with suppress(BadFrame):
        codec.decode(payload, binary)


@given(messages, st.data())
def test_a_damaged_v1_message_is_decoded_within_its_bounds_or_refused(parts, data) -> None:
    ((_, payload),) = frames(b"".join(CODEC_V1.encode(b"shell", [parts])))
    at = data.draw(st.integers(0, len(payload) - 1))
    damaged = payload[:at] + data.draw(st.binary(min_size=1, max_size=8)) + payload[at + 1 :]
    try:
        _, found = CODEC_V1.decode(damaged, True)
    except BadFrame:
        return
    assert len(found) >= 4
    assert sum(map(len, found)) <= len(damaged)


@pytest.mark.parametrize(
    "payload",
    [b"hello", b"[1]", b"{}", b'{"header": "x", "parent_header": {}, "metadata": {}}',
     b'{"header": {}, "parent_header": {}}',
     b'{"header": {}, "parent_header": {}, "metadata": {}, "content": [1]}',
     b'{"header": {}, "parent_header": {}, "metadata": {}, "content": {}, "channel": [5]}',
     b'{"header": {}, "parent_header": {}, "metadata": {}, "content": {}, "buffers": [1]}', b""],
)  # fmt: skip
def test_what_is_no_json_message_is_refused(payload) -> None:
    with pytest.raises(BadFrame):
        CODEC_JSON.decode(payload, False)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"ab",
        b"\x7f\xff\xff\xff" + bytes(20),
        struct.pack("<Q", 1 << 20) + bytes(80),
        struct.pack("<Q", 5) + b"\xff" * 40,
    ],
)
def test_impossible_offsets_cost_nothing(payload) -> None:
    for codec in (CODEC_JSON, CODEC_V1):
        with pytest.raises(BadFrame):
            codec.decode(payload, True)


def test_what_nests_too_deep_is_unreadable() -> None:
    """Any parser's limit is far above what honest clients and kernels send."""
    deep = b"[" * 100_000 + b"]" * 100_000
    with pytest.raises(BadFrame):
        CODEC_JSON.decode(b'{"header": {}, "parent_header": {}, "metadata": {}, "content": {"a": %b}}' % deep, False)
    parts = [b'{"msg_id": "a", "msg_type": "b", "x": %b}' % deep, b"{}", b"{}", b"{}"]
    assert b"".join(map(bytes, CODEC_JSON.encode(b"iopub", [parts]))) == b""
    assert read_parent(parts[0]) == NO_PARENT


def test_text_on_the_binary_protocol_is_refused() -> None:
    with pytest.raises(BadFrame):
        CODEC_V1.decode(b"{}", False)


def test_without_a_channel_shell_is_meant_and_without_content_none() -> None:
    name, parts = CODEC_JSON.decode(b'{"header": {}, "parent_header": {}, "metadata": {}}', False)
    assert (name, parts) == ("shell", [b"{}"] * 4)


def test_content_that_is_a_string_is_encoded_json() -> None:
    _, parts = CODEC_JSON.decode(
        b'{"header": {}, "parent_header": {}, "metadata": {}, "content": "{\\"a\\": 1}"}', False
    )
    assert parts[3] == b'{"a": 1}'


def test_what_is_not_utf8_reaches_no_json_client() -> None:
    header = b'{"msg_id": "a", "msg_type": "b"}'
    good = [header, b"{}", b"{}", b'{"t": "\xc3\xa9"}']
    bad = [header, b"{}", b"{}", b'{"t": "\xff"}']
    assert len(list(frames(b"".join(CODEC_JSON.encode(b"iopub", [bad, good]))))) == 1


def test_large_parts_are_handed_on_and_small_ones_joined() -> None:
    large = memoryview(bytes(JOINED))
    assert [piece is large for piece in gather([b"a", b"b", large, b"c"])] == [False, True, False]
    assert gather([b"a", b"b", large, b"c"])[0] == b"ab"


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
def test_frame_heads_are_minimal(size) -> None:
    ((opcode, payload),) = frames(frame_head(BINARY, size) + bytes(size))
    assert (opcode, len(payload)) == (BINARY, size)


def test_parents_that_can_not_be_read_are_none() -> None:
    for data in (b"", b"{}", b"null", b"[]", b"\xff", b'{"msg_id": 5}'):
        assert read_parent(data) == NO_PARENT


def test_headers_are_read_whatever_their_order() -> None:
    header = read_header(b'{"z": [1, {"msg_type": "no"}], "msg_type": "yes", "a": null, "msg_id": "1"}')
    assert (header.msg_type, header.msg_id) == ("yes", "1")
