"""ZeroMQ under the reactor: bounded turns, malformed messages, waiting sends, and a high-water mark in bytes."""

from __future__ import annotations

import random

import pytest
import pytest_twisted
import zmq
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from jupyterd.kernels.zmq import (
    DELIMITER,
    LEAST_MESSAGES,
    RECEIVE_BYTES,
    RECEIVE_MESSAGES,
    TURN_MESSAGES,
    ReceiveLimit,
    address,
    network_of,
    realigned,
)

D = DELIMITER


def test_addresses() -> None:
    assert address({"transport": "tcp", "ip": "127.0.0.1", "shell_port": 5}, "shell") == "tcp://127.0.0.1:5"
    assert address({"transport": "ipc", "ip": "/run/k", "iopub_port": 3}, "iopub") == "ipc:///run/k-3"


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ([b"s", b"t", D, b"s", b"h", b"p", b"m", b"c"], [b"s", b"h", b"p", b"m", b"c"]),
        ([b"s", b"h", b"p", b"m", b"c", D], [b"s", b"h", b"p", b"m", b"c", D]),
        ([b"t2", D, b"s", b"h", b"p", b"m", b"c", b"b"], [b"s", b"h", b"p", b"m", b"c", b"b"]),
    ],
)
def test_a_message_read_across_a_malformed_one_is_found(parts, found) -> None:
    assert realigned(parts) == found


class Pipe:
    """libzmq's pipe, as far as marks go: the reader tells what it has read at multiples of half the mark only."""

    def __init__(self) -> None:
        self.written = self.read = self.told = 0
        self.mark = 2 * LEAST_MESSAGES
        self.blocked = False
        self.limit = ReceiveLimit(self.change)

    def change(self, mark: int) -> None:
        self.mark = mark

    def write(self) -> None:
        if not self.blocked:
            self.blocked = self.written - self.told >= self.mark
        if not self.blocked:
            self.written += 1

    def take(self, count: int, size: int) -> None:
        for _ in range(count):
            self.read += 1
            if self.read % ((self.mark + 1) // 2) == 0:
                self.told, self.blocked = self.read, False
        self.limit.took(count, count * size)


@given(
    st.lists(
        st.tuples(st.integers(0, 400), st.integers(1, 200), st.sampled_from([50, 3000, 100_000, 5_000_000])),
        max_size=60,
    )
)
def test_no_mark_ever_leaves_the_writer_waiting_for_a_reader_that_has_read_all(steps) -> None:
    pipe = Pipe()
    for writes, reads, size in steps:
        for _ in range(writes):
            pipe.write()
        left = min(reads, pipe.written - pipe.read)
        while left:
            batch = min(left, pipe.limit.left, TURN_MESSAGES)
            assert batch > 0
            pipe.take(batch, size)
            left -= batch
        assert LEAST_MESSAGES <= pipe.mark <= RECEIVE_MESSAGES * 2
    while pipe.read < pipe.written:
        pipe.take(min(pipe.written - pipe.read, pipe.limit.left), 50)
    pipe.write()
    assert not pipe.blocked


def test_the_mark_follows_the_size_of_messages() -> None:
    pipe = Pipe()
    for size in (100, 5_000_000, 100):
        for _ in range(200_000):
            pipe.take(pipe.limit.left, size)
            if pipe.read > 50_000:
                break
        pipe.read = pipe.told = 0
        fitting = max(LEAST_MESSAGES, min(RECEIVE_MESSAGES, RECEIVE_BYTES // size))
        assert fitting // 2 <= pipe.mark <= 2 * fitting
        pipe = pipe if size != 100 else Pipe()


class Wire:
    """A bound socket in the kernel's place, and ours connected to it."""

    def __init__(self, channel, kind) -> None:
        self.context = zmq.Context()
        self.theirs = self.context.socket(kind)
        self.theirs.sndhwm = 0  # what is missing was lost by us
        port = self.theirs.bind_to_random_port("tcp://127.0.0.1")
        self.turns: list[list] = []
        self.writable = 0
        info = {"transport": "tcp", "ip": "127.0.0.1", f"{channel}_port": port}
        self.ours = network_of(reactor).open(channel, info, b"id", self.turns.append, self.room)

    def room(self) -> None:
        self.writable += 1

    async def until(self, count) -> list:
        for _ in range(400):
            if sum(map(len, self.turns)) >= count:
                break
            await deferLater(reactor, 0.01)
        return [message for turn in self.turns for message in turn]

    def close(self) -> None:
        self.ours.close()
        self.context.destroy(linger=0)


@pytest.mark.real
@pytest_twisted.ensureDeferred
async def test_malformed_messages_do_not_take_others_with_them() -> None:
    wire = Wire("iopub", zmq.PUB)
    await deferLater(reactor, 0.2)
    good = [b"s", b"h", b"p", b"m", b"c"]
    for bad in (
        [b"x"],
        [b"t", D],
        [b"t", D, b"s"],
        [b"t", D, b"s", b"h", b"p"],
        [b"a", b"b", b"c"],
        [b""],
        [D],
        [D, b"s"],
    ):
        wire.theirs.send_multipart(bad)
        wire.theirs.send_multipart([b"topic", D, *good])
    wire.theirs.send_multipart([b"one", b"two", D, *good, b"buffer"])
    wire.theirs.send_multipart([D, *good, D])
    found = await wire.until(10)
    assert found == [good] * 8 + [[*good, b"buffer"], [*good, D]]
    wire.close()


@pytest.mark.real
@pytest_twisted.ensureDeferred
async def test_a_flood_is_read_in_turns_and_the_reactor_serves_others_between() -> None:
    wire = Wire("iopub", zmq.PUB)
    await deferLater(reactor, 0.2)
    for number in range(20_000):
        wire.theirs.send_multipart([b"t", D, b"s", b"%d" % number, b"p", b"m", b"c" * 100])
    others = 0

    async def tick() -> None:
        nonlocal others
        while sum(map(len, wire.turns)) < 20_000:
            others += 1
            await deferLater(reactor, 0)

    ticking = Deferred.fromCoroutine(tick())
    found = await wire.until(20_000)
    await ticking
    assert [int(message[1]) for message in found] == list(range(20_000))
    assert max(map(len, wire.turns)) <= TURN_MESSAGES
    assert others > 100
    wire.close()


@pytest.mark.real
@pytest_twisted.ensureDeferred
async def test_whatever_the_sizes_nothing_stalls() -> None:
    wire = Wire("iopub", zmq.PUB)
    await deferLater(reactor, 0.2)
    chance = random.Random(1)
    count = 0
    for _ in range(60):
        size = chance.choice([100, 3000, 50_000, 1_000_000])
        for _ in range(chance.randrange(1, 400 if size < 50_000 else 10)):
            wire.theirs.send_multipart([b"t", D, b"s", b"%d" % count, b"p", b"m", bytes(size)], copy=size < 50_000)
            count += 1
        if chance.random() < 0.3:
            wire.ours.pause()
            await deferLater(reactor, 0.01)
            wire.ours.resume()
    found = await wire.until(count)
    assert [int(bytes(message[1])) for message in found] == list(range(count))
    wire.close()
