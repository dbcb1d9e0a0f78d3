"""Websockets of every kind: what a client can do wrong, what one that does not read costs, compression."""

from __future__ import annotations

import os
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from jupyterd.testing.http import Connection, MemorySite
from jupyterd.web.api import Routes, json_api
from jupyterd.web.call import Call
from jupyterd.web.root import Root
from jupyterd.web.websocket.compression import LARGEST, Compression, offer
from jupyterd.web.websocket.open_sockets import CLOSE_TIMEOUT, GOING_AWAY, SERVICE_RESTART, Goodbye
from jupyterd.web.websocket.protocol import SocketProtocol

DEFLATE = "permessage-deflate"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Echo(SocketProtocol):
    max_message = 1000

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.sendMessage(payload * (5 if payload == b"long" * 100 else 1), isBinary)


class Echoes:
    app = Routes()
    api = json_api(app)

    def __init__(self) -> None:
        self.protocols: list[Echo] = []

    @api.websocket("/api/echo")
    async def echo(self, call: Call) -> SocketProtocol:
        self.protocols.append(Echo())
        return self.protocols[-1]


def opened(
    compression: Compression | None = None, extensions: str = "", more: str = ""
) -> tuple[Connection, bytes, Echo]:
    """A client, the head of the answer, and the server's end."""
    echoes = Echoes()
    root = Root("/")
    root.mount("/api/echo", lambda: echoes.app.resource(), auth="things", websocket=True)
    memory = MemorySite(root)
    memory.site.compression = compression
    connection = memory.connect()
    more += f"Sec-WebSocket-Extensions: {extensions}\r\n" if extensions else ""
    connection.send(
        "GET /api/echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n{more}\r\n".encode()
    )
    head = connection.received()
    assert head.startswith(b"HTTP/1.1 101 ")
    return connection, head, echoes.protocols[0]


def frame(opcode: int, data: bytes = b"", *, fin: int = 1, rsv: int = 0, mask: bool = True, size: int = -1) -> bytes:
    size = len(data) if size < 0 else size
    bit = 0x80 if mask else 0
    head = bytes([fin << 7 | rsv << 4 | opcode])
    if size < 126:
        head += bytes([bit | size])
    elif size < 65536:
        head += struct.pack("!BH", bit | 126, size)
    else:
        head += struct.pack("!BQ", bit | 127, size)
    return head + (bytes(4) if mask else b"") + data


def frames(data: bytes) -> list[tuple[int, bytes]]:
    """First byte and payload of each frame of the server's."""
    found = []
    while data:
        size, at = data[1] & 127, 2
        if size > 125:
            (size,), at = struct.unpack_from("!H" if size == 126 else "!Q", data, 2), 4 if size == 126 else 10
        found.append((data[0], data[at : at + size]))
        data = data[at + size :]
    return found


WRONG = {
    "unmasked": frame(TEXT, b"x", mask=False),
    "a reserved bit": frame(TEXT, b"x", rsv=4),
    "other reserved bits": frame(TEXT, b"x", rsv=3),
    "a reserved opcode": frame(3, b"x"),
    "a reserved control opcode": frame(11),
    "a ping in fragments": frame(PING, b"x", fin=0),
    "a long ping": frame(PING, b"x" * 126),
    "a continuation of nothing": frame(0, b"x"),
    "a message within a message": frame(TEXT, b"a", fin=0) + frame(TEXT, b"b"),
    "no UTF-8": frame(TEXT, b"\xff\xfe"),
    "no UTF-8 over two fragments": frame(TEXT, b"\xc3", fin=0) + frame(0, b"\x28"),
    "a goodbye of one byte": frame(CLOSE, b"x"),
    "a goodbye with a code that is none": frame(CLOSE, b"\x03\xe7"),
    "a goodbye without UTF-8": frame(CLOSE, b"\x03\xe8\xff"),
    "a length of 2^63": frame(TEXT, size=2**63),
    "a length of 2^62": frame(TEXT, size=2**62),
    "too long": frame(TEXT, b"x" * 1001),
    "too long in fragments": frame(TEXT, b"x" * 600, fin=0) + frame(0, b"x" * 600),
    "a length with needless bytes": b"\x81\xfe\0\2" + bytes(4) + b"zz",
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_websocket_ends_the_connection(wrong: str) -> None:
    connection, _, _ = opened()
    connection.send(WRONG[wrong])
    assert connection.transport.disconnecting or connection.transport.disconnected
    assert [first for first, _ in frames(connection.received()) if first & 15 in (TEXT, BINARY)] == []


def test_the_limit_is_the_client_s_not_ours() -> None:
    connection, _, _ = opened()
    connection.send(frame(TEXT, b"long" * 100))
    assert frames(connection.received()) == [(0x81, b"long" * 500)]


def test_pings_of_a_client_that_does_not_read_are_answered_by_one_pong() -> None:
    connection, _, protocol = opened()
    connection.send(frame(PING, b"0"))
    assert frames(connection.received()) == [(0x8A, b"0")]
    protocol.pauseProducing()
    for number in range(1000):
        connection.send(frame(PING, b"%d" % number))
    assert connection.received() == b""
    protocol.resumeProducing()
    assert frames(connection.received()) == [(0x8A, b"999")]
    protocol.resumeProducing()
    assert connection.received() == b""


@pytest.mark.parametrize(
    "origin",
    ["", "null", "file://", "http://x:8888.evil", "http://[::1", "vscode-file://vscode-app", "app://.", "x"],
)
def test_origins_are_judged_by_the_guard_alone(origin: str) -> None:
    opened(more=f"Origin: {origin}\r\nSec-WebSocket-Origin: {origin}\r\n")


# -- compression


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


def inflated(data: bytes) -> bytes:
    return zlib.decompressobj(-15).decompress(data + b"\0\0\xff\xff")


def test_nothing_is_compressed_by_default() -> None:
    connection, head, _ = opened(None, DEFLATE)
    assert b"xtensions" not in head
    connection.send(frame(TEXT, b"a" * 500))
    assert frames(connection.received()) == [(0x81, b"a" * 500)]


def test_messages_are_compressed_both_ways_where_it_is_wanted() -> None:
    connection, head, _ = opened(Compression(), f"{DEFLATE}; client_max_window_bits")
    assert f"Sec-WebSocket-Extensions: {DEFLATE}\r\n".encode() in head
    connection.send(frame(TEXT, deflated(b"a" * 500), rsv=4))
    ((first, payload),) = frames(connection.received())
    assert (first, inflated(payload)) == (0xC1, b"a" * 500)
    assert len(payload) < 50
    connection.send(frame(TEXT, b"plain"))
    assert frames(connection.received())[0][0] == 0xC1


def test_a_client_that_does_not_ask_gets_plain_messages() -> None:
    connection, head, _ = opened(Compression())
    assert b"xtensions" not in head
    connection.send(frame(BINARY, b"a"))
    assert frames(connection.received()) == [(0x82, b"a")]


def test_large_messages_stay_as_they_are() -> None:
    connection, _, protocol = opened(Compression(), DEFLATE)
    protocol.sendMessage(b"a" * (LARGEST + 1), True)
    assert [(first, len(payload)) for first, payload in frames(connection.received())] == [(0x82, LARGEST + 1)]


def test_the_limit_counts_what_is_inflated() -> None:
    for rest in (deflated(b"a" * 1001), deflated(b"a" * 100_000_000)):
        connection, _, _ = opened(Compression(), DEFLATE)
        connection.send(frame(TEXT, rest, rsv=4))
        assert connection.transport.disconnecting or connection.transport.disconnected
        assert [first for first, _ in frames(connection.received()) if first & 15 == TEXT] == []


def test_what_can_not_be_inflated_ends_the_connection() -> None:
    connection, _, _ = opened(Compression(), DEFLATE)
    connection.send(frame(TEXT, b"\xff\xff\xff\xff", rsv=4))
    assert connection.transport.disconnecting or connection.transport.disconnected


@pytest.mark.parametrize("level", [-1, 0, 1, 9])
def test_levels(level: int) -> None:
    text = os.urandom(20).hex().encode() * 20
    connection, _, _ = opened(Compression(level, 1), DEFLATE)
    connection.send(frame(TEXT, text))
    ((_, payload),) = frames(connection.received())
    assert inflated(payload) == text
    assert (len(payload) > len(text)) == (level == 0)


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("", ""),
        ("permessage-deflate", DEFLATE),
        ("x-foo, permessage-deflate; client_max_window_bits", "permessage-deflate; client_max_window_bits"),
        ("permessage-deflate; server_max_window_bits=8", ""),
        ("permessage-deflate; server_max_window_bits=8, permessage-deflate", DEFLATE),
        ('permessage-deflate;server_max_window_bits="9"', 'permessage-deflate;server_max_window_bits="9"'),
        ("permessage-deflate; server_max_window_bits", ""),
        ("permessage-deflate; server_no_context_takeover=1", ""),
        ("permessage-deflate; client_max_window_bits=16", ""),
        ("permessage-deflate; client_no_context_takeover; client_no_context_takeover", ""),
        ("permessage-bzip2", ""),
        (";;,=", ""),
    ],
)
def test_offers(header: str, accepted: str) -> None:
    assert offer(header) == accepted
    _, head, _ = opened(Compression(), header)
    assert (b"xtensions" in head) == bool(accepted)


@given(st.text(st.characters(codec="latin-1", exclude_categories=["Cc"])))
def test_no_offer_fails_a_handshake(text: str) -> None:
    for header in (text, f"{DEFLATE}; {text}"):
        opened(Compression(), offer(header))
        opened(None, "x " + header.strip())


@pytest.mark.parametrize(
    ("options", "compression"),
    [
        (None, None),
        ({}, Compression(6, 8)),
        ({"compression_level": 1, "mem_level": 9, "other": 1}, Compression(1, 9)),
        ({"compression_level": None}, Compression(6, 8)),
    ],
)
def test_options(options: Any, compression: Compression | None) -> None:
    assert Compression.of(options) == compression


@pytest.mark.parametrize("options", [True, "x", {"compression_level": 10}, {"mem_level": 0}, {"mem_level": "8"}])
def test_options_that_are_none(options: Any) -> None:
    with pytest.raises(ValueError, match="expected|is a number"):
        Compression.of(options)


# -- when the daemon stops


def goodbye_of(protocol: Echo, clock: Clock, restarts: bool = False) -> Goodbye:
    return Goodbye(clock, protocol.factory.open_sockets, lambda: restarts)


@pytest.mark.parametrize(("restarts", "code"), [(False, GOING_AWAY), (True, SERVICE_RESTART)])
def test_open_websockets_are_told_that_the_server_goes(restarts: bool, code: int) -> None:
    connection, _, protocol = opened()
    stopped = goodbye_of(protocol, Clock(), restarts).stopService()
    [(first, payload)] = frames(connection.received())
    assert (first, int.from_bytes(payload[:2], "big")) == (0x80 | CLOSE, code)
    assert payload[2:].startswith(b"The server ")
    assert not stopped.called, "the client has not answered"
    connection.send(frame(CLOSE, payload[:2]))
    connection.transport.protocol.connectionLost(Failure(ConnectionDone()))
    assert stopped.called


def test_who_does_not_answer_is_not_waited_for_long() -> None:
    _, _, protocol = opened()
    clock = Clock()
    stopped = goodbye_of(protocol, clock).stopService()
    clock.advance(CLOSE_TIMEOUT - 0.1)
    assert not stopped.called
    clock.advance(0.1)
    assert stopped.called


def test_nothing_follows_a_goodbye() -> None:
    connection, _, protocol = opened()
    told: list[str] = []
    protocol.paused = lambda: told.append("paused")  # type: ignore[method-assign]
    protocol.resumed = lambda: told.append("resumed")  # type: ignore[method-assign]
    protocol.go_away(GOING_AWAY, "")
    protocol.go_away(GOING_AWAY, "")
    protocol.resumeProducing()
    protocol.sendMessage(b"late")
    assert told == ["paused"]
    assert [first & 15 for first, _ in frames(connection.received())] == [CLOSE]


def test_who_comes_while_all_leave_leaves_too() -> None:
    _, _, first = opened()
    sockets = first.factory.open_sockets
    connection, _, late = opened()
    sockets.leave(GOING_AWAY, "x")
    connection.received()
    sockets.opened(late)
    assert [kind & 15 for kind, _ in frames(connection.received())] == [CLOSE]


def test_without_any_the_stop_does_not_wait() -> None:
    connection, _, protocol = opened()
    connection.transport.protocol.connectionLost(Failure(ConnectionDone()))
    assert goodbye_of(protocol, Clock()).stopService().called
