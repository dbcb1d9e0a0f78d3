"""What daemon and keeper both know: frames, the file of what was heard, the screen of a terminal, process times."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterd.keeper import record
from jupyterd.keeper.children import spawn
from jupyterd.keeper.processes import is_same, signal_process, start_time
from jupyterd.keeper.screen_file import SIZE, ScreenFile
from jupyterd.keeper.wire import MAX_MESSAGE_BYTES, BadFrame, Decoder, encode

JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=4))
PARTS = st.lists(st.binary(max_size=50), min_size=5, max_size=9)


@given(st.lists(st.dictionaries(st.text(max_size=5), JSON, max_size=4), max_size=5), st.integers(1, 40))
def test_messages_come_out_as_they_went_in(messages: list[dict], size: int) -> None:
    data = b"".join(map(encode, messages))
    decoder = Decoder()
    came = [each for at in range(0, len(data), size) for each in decoder.feed(data[at : at + size])]
    assert came == messages


@pytest.mark.parametrize(
    "data",
    [
        b"\0\0\0\2[]",
        b"\0\0\0\1{",
        b"\0\0\0\2\xff\xff",
        (MAX_MESSAGE_BYTES + 1).to_bytes(4, "big"),
        b"GET / HTTP/1.1\r\n",
    ],
)
def test_what_is_no_frame_is_refused(data: bytes) -> None:
    with pytest.raises(BadFrame):
        list(Decoder().feed(data))


@given(st.lists(st.tuples(st.integers(0, 3), PARTS), max_size=8), st.binary(max_size=30))
def test_what_was_heard_is_read_again(heard: list[tuple[int, list[bytes]]], cut: bytes) -> None:
    whole = [record.pack(1.5, channel, [b"topic", record.DELIMITER, *parts]) for channel, parts in heard]
    data = b"".join(each for each in whole if each is not None)
    last = record.pack(2.0, 0, [record.DELIMITER, *[b"x" * 40] * 5])
    found, size = record.unpack(data + last[:-1])
    assert [(each.channel, each.parts) for each in found] == [
        (record.CHANNELS[channel], parts) for channel, parts in heard
    ]
    assert size == len(data)
    for packed, (_, parts) in zip(whole, heard, strict=True):
        assert record.signature(packed) == parts[0]


@pytest.mark.parametrize("frames", [[], [b"a", b"b"], [record.DELIMITER, b"1", b"2", b"3", b"4"]])
def test_what_is_no_message_is_not_recorded(frames: list[bytes]) -> None:
    assert record.pack(0.0, 0, frames) is None


def test_a_screen_goes_on_where_the_other_side_was(tmp_path: Path) -> None:
    ours, theirs = ScreenFile(str(tmp_path / "s")), ScreenFile(str(tmp_path / "s"))
    ours.append(b"abc")
    theirs.refresh()
    theirs.append(b"def")
    assert (theirs.read(), theirs.total) == (b"abcdef", 6)
    assert ScreenFile(str(tmp_path / "s")).read() == b"abcdef"
    assert os.stat(tmp_path / "s").st_mode & 0o777 == 0o600


@given(st.lists(st.integers(0, SIZE * 2), min_size=1, max_size=4))
def test_a_screen_keeps_the_tail(tmp_path_factory: pytest.TempPathFactory, sizes: list[int]) -> None:
    screen = ScreenFile(str(tmp_path_factory.mktemp("screen") / "s"))
    said = b""
    for number, size in enumerate(sizes):
        piece = (b"%d" % number) * size
        said += piece
        screen.append(piece)
    assert screen.read() == said[-SIZE:]
    assert screen.total == len(said)


def test_a_number_that_is_used_again_is_another_process() -> None:
    child = subprocess.Popen(["sleep", "60"])
    started = start_time(child.pid)
    assert started is not None
    assert is_same(child.pid, started)
    with pytest.raises(ProcessLookupError):
        signal_process(child.pid, started + 1, signal.SIGKILL, group=False)
    assert child.poll() is None
    signal_process(child.pid, started, signal.SIGKILL, group=False)
    deadline = time.monotonic() + 5
    while start_time(child.pid) is not None:  # a zombie is no process
        assert time.monotonic() < deadline
    child.wait()
    with pytest.raises(ProcessLookupError):
        signal_process(child.pid, started, 0, group=False)


def test_a_terminal_is_its_shell_s_controlling_one(tmp_path: Path) -> None:
    child = spawn(
        {
            "name": "t", "kind": "terminal", "argv": ["sh", "-c", "stty size; tty >/dev/null && echo yes; exit 3"],
            "program": "/bin/sh", "env": {}, "size": [33, 44], "screen": str(tmp_path / "s"),
        }
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 5
        while b"yes" not in child.screen.read():
            assert time.monotonic() < deadline
            child.drain(lambda *_: None)
        assert b"33 44" in child.screen.read()
        child.reap()
        assert (child.running, child.status) == (False, 3)
    finally:
        child.close()
