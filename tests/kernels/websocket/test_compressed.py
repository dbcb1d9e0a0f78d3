"""A tab that compresses: its log knows nothing of it."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from jupyterd.kernels.log.cursor import Client, Held
from jupyterd.kernels.messages.websocket_codec import frame_head
from jupyterd.kernels.websocket.compressed import CompressedChannelsProtocol, messages
from jupyterd.kernels.websocket.protocol import ChannelsProtocol
from jupyterd.web.websocket.compression import LARGEST, Compression
from tests.kernels.websocket.test_protocol import TEXT, Kit, masked, said


@pytest.fixture
def kit() -> Iterator[Kit]:
    with tempfile.TemporaryDirectory() as directory:
        made = Kit(directory)
        made.site.site.compression = Compression()
        yield made


def texts(data: bytes, inflate: zlib._Decompress) -> list[bytes]:
    return [inflate.decompress(payload + b"\0\0\xff\xff") if first & 0x40 else payload for first, payload in said(data)]


def squeezing(kit: Kit, session: str = "s"):  # type: ignore[no-untyped-def]
    tab = kit.open("x\r\nSec-WebSocket-Extensions: permessage-deflate", session)
    assert b"permessage-deflate" in tab.head
    return tab


def test_messages_are_compressed(kit: Kit) -> None:
    tab = squeezing(kit)
    tab.send(masked(TEXT, 1))
    ((_, data, _),) = kit.kernel.heard("shell")
    for number in range(3):
        kit.kernel.say("stream", {"name": "stdout", "text": f"{number}" * 2000}, data)
    out = tab.received()
    assert len(out) < 1500
    assert all(first == 0xC1 for first, _ in said(out))
    found = texts(tab.rest + out, zlib.decompressobj(-15))[1:]
    assert [b"0" * 2000 in found[0], b"1" * 2000 in found[1], b"2" * 2000 in found[2]] == [True] * 3


def test_large_messages_are_sent_as_they_are(kit: Kit) -> None:
    tab = squeezing(kit)
    kit.kernel.say("stream", {"name": "stdout", "text": "x" * LARGEST})
    kit.kernel.say("stream", {"name": "stdout", "text": "small"})
    out = tab.received()
    plain, squeezed = said(out)
    assert (plain[0], b"x" * LARGEST in plain[1]) == (0x81, True)
    assert (squeezed[0], b"small" in texts(tab.rest + out, zlib.decompressobj(-15))[-1]) == (0xC1, True)


def test_a_client_that_does_not_ask_is_served_as_always(kit: Kit) -> None:
    tab = kit.open()
    kit.kernel.say("stream", {"name": "stdout", "text": "x" * 1000})
    assert [first for first, _ in said(tab.received())] == [0x81]


def test_a_lost_client_gets_what_it_had_not_confirmed(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system tells bytes of the wire; the log goes back by its own."""
    tab = squeezing(kit)
    ends = []
    for number in range(6):
        kit.kernel.say("stream", {"name": "stdout", "text": f"{number}" * 3000})
        ends.append(len(tab.transport.value()))
    confirmed = ends[2] + 1  # the third message, and a byte of the fourth
    monkeypatch.setattr(ChannelsProtocol, "unacknowledged", lambda _: ends[-1] - confirmed)
    (tab.transport.protocol or tab.protocol).connectionLost(Failure(ConnectionLost()))
    monkeypatch.undo()
    back = squeezing(kit)
    found = texts(back.rest + back.received(), zlib.decompressobj(-15))
    assert [number for number in range(6) for text in found if b"%d" % number * 3000 in text] == [3, 4, 5]


@given(
    st.lists(st.tuples(st.sampled_from([0x81, 0x82]), st.integers(0, 70_000)), max_size=5),
    st.lists(st.integers(1, 100_000), max_size=20),
)
def test_frames_are_found_wherever_they_are_cut(wanted: list[tuple[int, int]], cuts: list[int]) -> None:
    stream = b"".join(frame_head(opcode, size) + bytes([size & 255]) * size for opcode, size in wanted)
    pieces, start = [], 0
    for cut in cuts:
        pieces.append(stream[start : start + cut])
        start += cut
    pieces.append(memoryview(stream)[start:])
    found = [(opcode, b"".join(parts)) for size, opcode, parts in messages(pieces)]
    assert found == [(opcode, bytes([size & 255]) * size) for opcode, size in wanted]


def test_marks_reach_as_far_back_as_the_log_s(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jupyterd.kernels.websocket.compressed.WINDOW", 10_000)
    tab = squeezing(kit)
    for number in range(500):
        kit.kernel.say("stream", {"name": "stdout", "text": str(number)})
        tab.received()
    protocol = tab.transport.protocol
    assert isinstance(protocol, CompressedChannelsProtocol)
    assert len(protocol._marks) < 100
    assert protocol._in_the_log(0) == 0
    assert 9_000 < protocol._in_the_log(1_000_000) < 12_000


def test_all_that_counts_bytes_for_the_log_counts_its_own() -> None:
    counting = {name for name in vars(Client) if not name.startswith("_")} - {"codec", "blocked", "connection"}
    assert counting <= set(vars(CompressedChannelsProtocol))


@pytest.mark.parametrize("tls", [False, True])
def test_what_a_killed_daemon_had_sent_is_told_in_bytes_of_the_log(
    kit: Kit, monkeypatch: pytest.MonkeyPatch, tls: bool
) -> None:
    """Where each message ends, before it is sent; over TLS which whole messages are in each record."""
    tab = squeezing(kit)
    protocol = tab.transport.protocol
    records = SimpleNamespace(noted=None) if tls else None
    told: list[tuple[int, int]] = []

    def hold(self: ChannelsProtocol, standin: object, socket: object) -> None:
        self._held = Held(1, 0, records)

    monkeypatch.setattr(ChannelsProtocol, "_have_it_held", hold)
    protocol._have_it_held(None, None)
    held = protocol.connection
    held.records.noted = lambda wire, stream: told.append((wire, stream))
    begins, ends = [], []
    for number in range(3):
        begins.append(protocol.begin([b""]))
        kit.kernel.say("stream", {"name": "stdout", "text": f"{number}" * 3000})
        ends.append(protocol._receipts.written)
    assert begins == sorted(begins)
    if records is not None:
        assert told == []
        for cut in (ends[0] - 1, ends[0], ends[2] - 1, ends[2]):
            records.noted(cut + 40, cut)
        assert told == [
            (ends[0] + 39, begins[0]), (ends[0] + 40, begins[1]), (ends[2] + 39, begins[2]),
            (ends[2] + 40, protocol.begin([b""])),
        ]  # fmt: skip
    else:
        assert told == list(zip(ends, [*begins[1:], protocol.begin([b""])], strict=True))
    protocol._uncounted()
    assert (held.records.noted, protocol.connection) == (None, None)
