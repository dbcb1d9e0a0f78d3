"""Readers of a message log that take, block and leave as a test says, and threads that work when it says."""

from __future__ import annotations

import os
from collections import deque

import orjson
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock

from jupyterd.kernels.log.chunk import Chunk
from jupyterd.kernels.log.message_log import MessageLog
from jupyterd.kernels.log.spill import Spill
from jupyterd.testing.deferreds import at_once


class Plain:
    """A codec whose frames are the messages' own first parts."""

    name = "plain"

    def encode(self, channel, messages):
        return [bytes(parts[0]) for parts in messages]

    def decode(self, payload, binary):
        raise NotImplementedError


class Reader:
    """A client that takes what it is given unless told not to."""

    codec = Plain()

    def __init__(self) -> None:
        self.blocked = False
        self.got: list[bytes] = []
        self.bytes = 0
        self.lost_in_flight: int | None = 0
        self.capacity = None

    connection = None

    def begin(self, frames):
        return None

    def write(self, frames):
        self.got += frames
        self.bytes += sum(map(len, frames))
        if self.capacity is not None:
            self.capacity -= len(frames)
            self.blocked = self.blocked or self.capacity <= 0
        return self.bytes

    def unacknowledged(self):
        return sum(map(len, self.got[-3:])) if self.lost_in_flight is None else self.lost_in_flight

    unanswered = unacknowledged


class Later:
    """Threads that work when the test says."""

    def __init__(self) -> None:
        self.jobs: deque = deque()

    def __call__(self, function, /, *args, **kwargs):
        done: Deferred = Deferred()
        self.jobs.append((done, function, args, kwargs))
        return done

    def work(self, count=1) -> None:
        for _ in range(min(count, len(self.jobs))):
            done, function, args, kwargs = self.jobs.popleft()
            maybeDeferred(function, *args, **kwargs).chainDeferred(done)

    def work_all(self) -> None:
        while self.jobs:
            self.work()


def message(number: int, size: int = 10, kind: str = "stream"):
    header = orjson.dumps({"msg_id": f"{number}", "msg_type": kind})
    return [header, b"{}", b"{}", orjson.dumps({"name": "stdout", "text": "x" * size})]


def notice(text, parent):
    return [b"LOST " + text.split()[1].encode(), parent, b"{}", b"{}"]


class Kit:
    def __init__(self, directory, in_thread=at_once, *, retained=0, memory=4000, quota=10**9, late=0.0) -> None:
        self.clock = Clock()
        self.flow: list[bool] = []
        self.log = MessageLog(
            Spill(os.path.join(directory, "spill"), quota), in_thread, retained=retained, memory=memory, late=late,
            clock=self.clock, flow=self.flow.append, notice=notice,
        )  # fmt: skip
        self.said = 0

    def say(self, count=1, size=10, to=0, kind="stream") -> list[bytes]:
        messages = [message(self.said + index, size, kind) for index in range(count)]
        self.said += count
        self.log.append(Chunk(b"iopub" if not to else b"shell", messages, self.clock.seconds(), to))
        return [parts[0] for parts in messages]
