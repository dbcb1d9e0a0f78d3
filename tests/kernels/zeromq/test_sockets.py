"""ZeroMQ under the reactor: bounded turns, malformed messages, waiting sends, and what a busy reactor does not lose."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest
import pytest_twisted
import zmq
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from jupyterd.kernels.zeromq.network import Opening
from jupyterd.kernels.zeromq.sockets import (
    DELIMITER,
    TURN_MESSAGES,
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


class Wire:
    """A bound socket in the kernel's place, and ours connected to it."""

    def __init__(self, channel, kind, limit=0, directory="") -> None:
        self.context = zmq.Context()
        self.theirs = self.context.socket(kind)
        self.theirs.sndhwm = limit  # without one, what is missing was lost by us
        if directory:
            self.theirs.bind(f"ipc://{directory}/k-1")
        port = 1 if directory else self.theirs.bind_to_random_port("tcp://127.0.0.1")
        self.turns: list[list] = []
        self.writable = 0
        transport, ip = ("ipc", f"{directory}/k") if directory else ("tcp", "127.0.0.1")
        info = {"transport": transport, "ip": ip, f"{channel}_port": port}
        self.ours = network_of(reactor).open(Opening(channel, info, b"id", self.turns.append, self.room))

    def room(self) -> None:
        self.writable += 1

    async def until(self, count) -> list:
        for _ in range(3000):
            if sum(map(len, self.turns)) >= count:
                break
            await deferLater(reactor, 0.01)
        return [message for turn in self.turns for message in turn]

    def close(self) -> None:
        self.ours.close()
        self.context.destroy(linger=0)


@pytest.fixture
def wire() -> Iterator[Wire]:
    """A kernel's iopub; closed at the end, or ZeroMQ would keep the process."""
    made = Wire("iopub", zmq.PUB)
    yield made
    made.close()


@pytest.mark.real
@pytest_twisted.ensureDeferred
async def test_malformed_messages_do_not_take_others_with_them(wire) -> None:
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


@pytest.mark.real
@pytest_twisted.ensureDeferred
async def test_a_flood_is_read_in_turns_and_the_reactor_serves_others_between(wire) -> None:
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


@pytest.fixture
def limited(tmp_path) -> Iterator[Wire]:
    """A kernel's iopub with the limit that ipykernel has, and no more room between than a UNIX socket gives.

    Where a kernel would drop, it raises: the threads that carry messages may be late on a busy machine.
    """
    made = Wire("iopub", zmq.PUB, 1000, tmp_path)
    made.theirs.set(zmq.XPUB_NODROP, 1)
    yield made
    made.close()


@pytest.mark.real
@pytest.mark.parametrize("before", [100, 100_000], ids=["small", "large"])
@pytest_twisted.ensureDeferred
async def test_what_a_kernel_says_while_the_reactor_is_busy_waits_for_it(limited, before) -> None:
    """The kernel's own limit is a thousand messages, and the system's buffers hold some hundred."""

    def say(begin: int, end: int, size: int) -> None:
        for number in range(begin, end):
            message = [b"t", D, b"s", b"%d" % number, b"p", b"m", b"c" * size]
            patient_until = time.monotonic() + 20
            while not limited.theirs.poll(50, zmq.POLLOUT):
                assert time.monotonic() < patient_until, "a kernel would have dropped this"
            limited.theirs.send_multipart(message, zmq.NOBLOCK)

    await deferLater(reactor, 0.2)
    for begin in range(0, 2000, 50):
        say(begin, begin + 50, 100 if begin < 1000 else before)
        await limited.until(begin + 50)
    say(2000, 2020, 100)
    await limited.until(2020)
    for begin in range(2020, 5020, 40):
        say(begin, begin + 40, 100)
        time.sleep(0.002)  # the reactor waits: this is its thread
    found = await limited.until(5020)
    assert [int(message[1]) for message in found] == list(range(5020))


@pytest.mark.real
@pytest_twisted.ensureDeferred
async def test_whatever_the_sizes_nothing_stalls(wire) -> None:
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
