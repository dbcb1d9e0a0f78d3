"""A tab's websocket, through the real site, in memory."""

from __future__ import annotations

import json
import os
import struct
import tempfile

import pytest
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.python.failure import Failure

from jupyterd.errors import NotFound
from jupyterd.kernels.channels.kernel_channels import KernelChannels
from jupyterd.kernels.channels.settings import ZMQChannelsWebsocketConnection
from jupyterd.kernels.messages.websocket_codec import CODEC_V1, V1
from jupyterd.kernels.websocket.resource import ChannelsResource
from jupyterd.testing.deferreds import allowed, at_once
from jupyterd.testing.http import MemorySite
from jupyterd.testing.kernel_sockets import MemoryKernel
from tests.kernels.channels.tabs import Watch
from tests.kernels.messages.test_websocket_codec import frames, read_v1


def masked(payload: bytes, opcode: int) -> bytes:
    head = (
        bytes((0x80 | opcode, 0x80 | len(payload)))
        if len(payload) < 126
        else struct.pack("!BBH", 0x80 | opcode, 254, len(payload))
    )
    return head + bytes(4) + payload


class Kit:
    def __init__(self, directory, **traits) -> None:
        self.site = MemorySite()
        self.kernel = MemoryKernel()
        self.channels = KernelChannels(
            "k", reactor=self.site.reactor, settings=ZMQChannelsWebsocketConnection(**traits), in_thread=at_once,
            spill_dir=os.path.join(directory, "spill"), observer=Watch(), network=self.kernel,
        )  # fmt: skip
        self.channels.connect(self.kernel.info)
        self.kernel.answer_kernel_info()

        def find(kernel_id):
            if kernel_id != "k":
                raise NotFound(f"Kernel does not exist: {kernel_id}")
            return self.channels

        self.site.root.mount(
            "/api/kernels/*/channels",
            lambda: ChannelsResource(find, self.may_write).app.resource(),
            auth="kernels",
            websocket=True,
        )

    may_write = staticmethod(allowed)

    def open(self, protocol="", session="s", kernel="k", headers=""):
        connection = self.site.connect()
        offer = f"Sec-WebSocket-Protocol: {protocol}\r\n" if protocol else ""
        connection.send(
            f"GET /api/kernels/{kernel}/channels?session_id={session} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
            "Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            f"Sec-WebSocket-Version: 13\r\n{headers}{offer}\r\n".encode()
        )
        head = connection.received()
        connection.head, _, connection.rest = head.partition(b"\r\n\r\n")
        return connection


def said(data: bytes) -> list[tuple[int, bytes]]:
    """The frames in ``data`` but for pings."""
    return [frame for frame in frames(data) if frame[0] != 0x89]


def texts_of(data: bytes) -> list[str]:
    contents = [json.loads(read_v1(payload)[1][3]) for opcode, payload in frames(data) if opcode == 0x82]
    return [content["text"] for content in contents if "text" in content]


@pytest.fixture
def kit():
    with tempfile.TemporaryDirectory() as directory:
        yield Kit(directory)


HEADER = {"msg_id": "m1", "msg_type": "execute_request", "session": "s"}
TEXT = json.dumps(
    {"header": HEADER, "parent_header": {}, "metadata": {}, "content": {"code": "1"}, "channel": "shell"}
).encode()


def v1(channel: bytes = b"shell") -> bytes:
    frame = b"".join(CODEC_V1.encode(channel, [[json.dumps(HEADER).encode(), b"{}", b"{}", b'{"code": "1"}']]))
    return next(iter(frames(frame)))[1]


def test_the_default_protocol_both_ways(kit) -> None:
    tab = kit.open()
    assert b" 101 " in tab.head
    tab.send(masked(TEXT, 1))
    ((header, data, content),) = kit.kernel.heard("shell")
    assert (header, content) == (HEADER, {"code": "1"})
    kit.kernel.say("stream", {"name": "stdout", "text": "é"}, data)
    ((opcode, payload),) = said(tab.received())
    message = json.loads(payload)
    assert (opcode, message["channel"], message["content"]["text"]) == (0x81, "iopub", "é")
    assert message["parent_header"] == HEADER


def test_the_binary_protocol_both_ways(kit) -> None:
    tab = kit.open(V1)
    assert f"sec-websocket-protocol: {V1}".encode() in tab.head.lower()
    tab.send(masked(v1(), 2))
    ((_, data, _),) = kit.kernel.heard("shell")
    kit.kernel.say("display_data", {}, data, [b"\0\1\2"])
    ((opcode, payload),) = said(tab.received())
    channel, parts = read_v1(payload)
    assert (opcode, channel, parts[1], parts[4]) == (0x82, b"iopub", data, b"\0\1\2")


@pytest.mark.parametrize("may", [True, False])
def test_what_is_run_for_who_may_not_write_notebooks_is_not_written_there(kit, may) -> None:
    async def may_write(call) -> bool:
        return may

    kit.may_write = may_write
    assert b" 101 " in kit.open().head
    assert [cursor.records for cursor in kit.channels.messages.attached] == [may]


def test_of_several_protocols_the_known_one_is_chosen(kit) -> None:
    assert V1.encode() in kit.open(f"nope, {V1}").head
    assert b"Sec-WebSocket-Protocol" not in kit.open("nope").head


@pytest.mark.parametrize("preferred", ["", "other"])
def test_the_operator_may_prefer_a_protocol(preferred) -> None:
    with tempfile.TemporaryDirectory() as directory:
        kit = Kit(directory, kernel_ws_protocol=preferred)
        assert b"Sec-WebSocket-Protocol" not in kit.open(V1).head


@pytest.mark.parametrize(
    ("protocol", "opcode", "payload"),
    [("", 1, b"hello"), ("", 1, b"{}"), ("", 2, b"\0\1"), ("", 2, b"\x7f\xff\xff\xff" + bytes(20)),
     (V1, 1, b"hello"), (V1, 1, TEXT), (V1, 2, b""), (V1, 2, b"garbage garbage!"), (V1, 2, b"\xff" * 60)],
)  # fmt: skip
def test_what_is_no_message_ends_the_connection_without_a_handshake(kit, protocol, opcode, payload) -> None:
    tab = kit.open(protocol)
    tab.send(masked(payload, opcode))
    assert tab.transport.disconnected or tab.transport.disconnecting
    assert tab.received() == b"", "no close frame, as the reference has it: the client sees 1006"
    assert kit.kernel.heard("shell") == []


@pytest.mark.parametrize("channel", [b"iopub", b"nope"])
def test_an_unknown_channel_is_ignored(kit, channel) -> None:
    tab = kit.open(V1)
    tab.send(masked(v1(channel), 2))
    tab.send(masked(v1(), 2))
    assert len(kit.kernel.heard("shell")) == 1


def test_an_unknown_kernel_is_404(kit) -> None:
    assert b" 404 " in kit.open(kernel="nope").head


def test_a_slow_tab_is_not_written_to_and_goes_on_where_it_was(kit) -> None:
    slow, fast = kit.open(V1, "slow"), kit.open(V1, "fast")
    slow.transport.producer.pauseProducing()
    for number in range(5):
        kit.kernel.say("stream", {"text": f"{number}"})
    assert slow.received() == b""
    assert len(said(fast.received())) == 5
    slow.transport.producer.resumeProducing()
    texts = [json.loads(read_v1(payload)[1][3])["text"] for _, payload in said(slow.received())]
    assert texts == ["0", "1", "2", "3", "4"]


def test_a_large_message_is_written_piece_by_piece_and_nothing_comes_between(kit) -> None:
    tab = kit.open(V1)
    big = bytes(range(256)) * 4096
    producer = tab.transport.producer
    write = tab.transport.write

    def write_and_fill(data):
        write(data)
        producer.pauseProducing()

    tab.transport.write = write_and_fill
    kit.kernel.say("display_data", {}, b"{}", [big])
    tab.send(masked(b"ping", 9))
    received = tab.received()
    assert len(received) < 200_000, "it stops where the client stops"
    while producer.blocked:
        producer.resumeProducing()
        received += tab.received()
    (_, payload), (pong, data) = said(received)
    assert read_v1(payload)[1][4] == big
    assert (pong, data) == (0x8A, b"ping")


def test_a_tab_that_comes_back_gets_what_it_missed(kit) -> None:
    tab = kit.open(V1)
    kit.kernel.say("stream", {"text": "seen"})
    tab.received()
    tab.transport.protocol.connectionLost(Failure(ConnectionDone()))
    assert kit.channels.connections == 0
    kit.kernel.say("stream", {"text": "missed"})
    assert texts_of(kit.open(V1).rest) == ["missed"]


def test_after_a_reset_only_what_a_pong_confirmed_was_read(kit) -> None:
    tab = kit.open(V1)
    ping = next(payload for opcode, payload in frames(tab.rest) if opcode == 0x89)
    tab.send(masked(ping, 10))
    kit.kernel.say("stream", {"text": "in flight"})
    tab.transport.protocol.connectionLost(Failure(ConnectionLost()))
    assert texts_of(kit.open(V1).rest) == ["in flight"]


@pytest.mark.parametrize("says", ["X-Forwarded-For: 192.0.2.1\r\n", "Via: 1.1 x\r\n", ""])
def test_behind_a_proxy_only_pongs_confirm(says) -> None:
    with tempfile.TemporaryDirectory() as directory:
        kit = Kit(directory, confirm_by_pongs=None if says else True)
        tab = kit.open(V1, headers=says)
        kit.kernel.say("stream", {"text": "seen"})
        _, (opcode, ping) = frames(tab.received())
        assert opcode == 0x89
        tab.send(masked(ping, 10))
        kit.kernel.say("stream", {"text": "in the proxy"})
        tab.transport.protocol.connectionLost(Failure(ConnectionDone()))
        assert texts_of(kit.open(V1).rest) == ["in the proxy"]


def test_a_ping_between_two_messages_is_no_part_of_them(kit) -> None:
    """Its bytes are in the stream, but a message before it that has arrived does not come again."""
    tab = kit.open(V1)
    ping = next(payload for opcode, payload in frames(tab.rest) if opcode == 0x89)
    tab.send(masked(ping, 10))
    kit.site.reactor.advance(1)
    kit.kernel.say("stream", {"text": "seen"})
    tab.received()
    kit.kernel.say("stream", {"text": "missed"})
    *_, (_, last) = frames(tab.received())
    tab.transport.protocol._receipts._sent.unconfirmed = lambda given: len(last) + 2
    tab.transport.protocol.connectionLost(Failure(ConnectionDone()))
    assert texts_of(kit.open(V1).rest) == ["missed"]


def test_a_stale_websocket_of_the_same_session_is_closed(kit) -> None:
    stale = kit.open(V1)
    kit.open(V1)
    assert next(iter(frames(stale.received())))[0] == 0x88
    assert kit.channels.connections == 1
