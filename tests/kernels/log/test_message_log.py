"""The message log: whatever happens in whatever order, nothing is lost, order is kept, memory is bounded."""

from __future__ import annotations

import os
import tempfile
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from jupyterd.kernels.log.cursor_file import CursorFile
from jupyterd.kernels.log.rate_limit import RateLimit
from jupyterd.testing.deferreds import result_of
from tests.kernels.log.readers import Kit, Later, Reader


def test_what_a_pong_has_confirmed_may_be_more_than_tcp_tells_at_the_end(directory) -> None:
    kit, reader, again = Kit(directory), Reader(), Reader()
    reader.unsent = again.unsent = lambda: 0
    kit.log.cursor_file = CursorFile(os.path.join(directory, "places"))
    cursor = kit.log.open("s")
    kit.log.attach(cursor, reader)
    kit.say()
    confirmed = reader.bytes
    reader.unanswered = lambda: reader.bytes - confirmed
    (header,) = kit.say()
    assert kit.log.needed == 2
    reader.lost_in_flight = reader.bytes
    kit.log.detach(cursor)
    kit.log.attach(cursor, again)
    assert again.got == [header]


def test_a_client_that_keeps_up_gets_each_chunk_as_it_comes(directory) -> None:
    kit, reader = Kit(directory), Reader()
    kit.log.attach(kit.log.open(), reader)
    expected = [header for _ in range(100) for header in kit.say(3)]
    assert reader.got == expected
    assert kit.log.store.spill.bytes == 0, "nothing was written to disk"


def test_another_client_is_not_held_back(directory) -> None:
    kit, slow, fast = Kit(directory), Reader(), Reader()
    kit.log.attach(kit.log.open(), slow)
    kit.log.attach(kit.log.open(), fast)
    slow.blocked = True
    expected = [header for _ in range(100) for header in kit.say(2, 100)]
    assert (slow.got, fast.got) == ([], expected)


def test_what_is_for_one_reaches_one(directory) -> None:
    kit, mine, other = Kit(directory), Reader(), Reader()
    cursor = kit.log.open("mine")
    kit.log.attach(cursor, mine)
    kit.log.attach(kit.log.open("other"), other)
    everybody = kit.say()
    private = kit.say(to=cursor.number)
    assert (mine.got, other.got) == ([*everybody, *private], everybody)


def test_a_session_that_comes_back_gets_what_it_missed(directory) -> None:
    kit, reader = Kit(directory), Reader()
    cursor = kit.log.open("s")
    kit.log.attach(cursor, reader)
    before = kit.say(2)
    kit.log.detach(cursor)
    missed = [*kit.say(3), *kit.say(to=cursor.number), *kit.say(200, 50)]
    again = Reader()
    kit.log.attach(cursor, again)
    assert (reader.got, again.got) == (before, missed)


def test_what_its_peer_did_not_acknowledge_is_said_again(directory) -> None:
    kit, reader = Kit(directory, retained=10**6), Reader()
    cursor = kit.log.open("s")
    kit.log.attach(cursor, reader)
    kit.say(5)
    said = kit.say(5)
    reader.lost_in_flight = len(said[-1]) + len(said[-2]) + 1  # and one byte of the third last
    kit.log.detach(cursor)
    again = Reader()
    kit.log.attach(cursor, again)
    assert again.got == said[-3:]


def test_late_neighbours_are_merged(directory) -> None:
    kit, reader = Kit(directory, late=30.0), Reader()
    cursor = kit.log.open("s")
    kit.log.attach(cursor, reader)
    reader.blocked = True
    kit.say(5)
    first, *_ = said = kit.say(1, kind="error")
    kit.say(4)
    kit.clock.advance(31)
    reader.blocked = False
    kit.log.pull(cursor)
    assert len(reader.got) == 3
    assert reader.got[1] == first
    assert said


@pytest.mark.parametrize("arrived", range(4))
def test_merged_neighbours_that_have_arrived_do_not_come_again(directory, arrived) -> None:
    kit, reader = Kit(directory, late=30.0), Reader()
    cursor = kit.log.open("s")
    kit.log.attach(cursor, reader)
    reader.blocked, reader.lost_in_flight = True, 10**6
    kit.say(5)
    kit.say(1, kind="error")
    kit.say(4)
    kit.clock.advance(31)
    reader.blocked = False
    kit.log.pull(cursor)
    reader.lost_in_flight = sum(map(len, reader.got[arrived:]))
    kit.log.detach(cursor)
    again = Reader()
    kit.log.attach(cursor, again)
    assert reader.got[:arrived] + again.got == reader.got


@pytest.mark.parametrize("arrived", range(4))
def test_limited_messages_that_have_arrived_do_not_come_again(directory, arrived) -> None:
    kit, reader = Kit(directory), Reader()
    cursor = kit.log.open("s")
    cursor.limit = RateLimit(1000.0, 0.0, 1.0)
    kit.log.attach(cursor, reader)
    reader.lost_in_flight = 10**6
    kit.say(3)
    reader.lost_in_flight = sum(map(len, reader.got[arrived:]))
    kit.log.detach(cursor)
    again = Reader()
    kit.log.attach(cursor, again)
    assert reader.got[:arrived] + again.got == reader.got


def test_reading_without_a_client(directory) -> None:
    kit = Kit(directory)
    kit.log.open(position=1)
    said = [header for _ in range(100) for header in kit.say(2, 100)]
    found = []

    async def read() -> None:
        async for chunk in kit.log.since(1, None):
            found.extend(parts[0] for parts in chunk.messages)

    result_of(Deferred.fromCoroutine(read()))
    assert found == said


actions = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.integers(1, 5), st.integers(0, 300)),
        st.tuples(st.just("private"), st.integers(0, 2), st.integers(0, 300)),
        st.tuples(st.just("block"), st.integers(0, 2), st.just(0)),
        st.tuples(st.just("read"), st.integers(0, 2), st.integers(1, 30)),
        st.tuples(st.just("drop"), st.integers(0, 2), st.integers(0, 500)),
        st.tuples(st.just("resume"), st.integers(0, 2), st.just(0)),
        st.tuples(st.just("work"), st.integers(1, 4), st.just(0)),
        st.tuples(st.just("time"), st.integers(0, 1), st.just(0)),
    ),
    max_size=80,
)


class Sessions:
    """Three sessions on one log; each method is a step that may come at any time.

    :ivar expected: of each session, all that the log has for it.
    """

    def __init__(self, directory: str, retained: int) -> None:
        self.threads = Later()
        self.limit = 4000 + retained
        self.kit = Kit(directory, self.threads, retained=retained, memory=self.limit)
        self.cursors = [self.kit.log.open(f"s{index}") for index in range(3)]
        self.readers = [self._new_reader() for _ in self.cursors]
        self.expected: list[list[bytes]] = [[], [], []]
        self._got: list[list[bytes]] = [[], [], []]
        self._attached = [True] * 3
        for cursor, reader in zip(self.cursors, self.readers, strict=True):
            self.kit.log.attach(cursor, reader)

    @staticmethod
    def _new_reader() -> Reader:
        reader = Reader()
        reader.lost_in_flight = None  # its peer has not acknowledged the last three
        return reader

    @property
    def _held_back(self) -> bool:
        return self.kit.flow[-1:] == [False]

    def say(self, count: int, size: int) -> None:
        if not self._held_back:
            said = self.kit.say(count, size, kind="comm_msg")
            for each in self.expected:
                each += said

    def private(self, index: int, size: int) -> None:
        if not self._held_back:
            self.expected[index] += self.kit.say(1, size, to=self.cursors[index].number)

    def block(self, index: int, _: int) -> None:
        self.readers[index].blocked = True

    def read(self, index: int, capacity: int | None) -> None:
        self.readers[index].blocked, self.readers[index].capacity = False, capacity
        self.kit.log.pull(self.cursors[index])

    def drop(self, index: int, unacknowledged: int) -> None:
        if not self._attached[index]:
            return
        reader = self.readers[index]
        reader.lost_in_flight = min(unacknowledged, reader.unacknowledged())
        before = self.cursors[index].position
        self.kit.log.detach(self.cursors[index])
        assert self.cursors[index].position <= before
        sizes = accumulate(len(frame) for frame in reader.got)
        arrived = sum(size <= reader.bytes - reader.lost_in_flight for size in sizes)
        self._got[index] += reader.got[:arrived]
        self.readers[index] = self._new_reader()
        self._attached[index] = False

    def resume(self, index: int, _: int = 0) -> None:
        if not self._attached[index]:
            self._attached[index] = True
            self.kit.log.attach(self.cursors[index], self.readers[index])

    def work(self, calls: int, _: int) -> None:
        self.threads.work(calls)

    def time(self, seconds: int, _: int) -> None:
        self.kit.clock.advance(seconds)

    def read_all(self) -> list[list[bytes]]:
        """All of them come back and read to the end: what each has got since the beginning."""
        for index in range(3):
            self.resume(index)
            self.read(index, None)
        self.threads.work_all()
        return [got + reader.got for got, reader in zip(self._got, self.readers, strict=True)]

    def acknowledge_all(self) -> None:
        for reader in self.readers:
            reader.lost_in_flight = 0


@settings(max_examples=300, deadline=None)
@given(actions, st.sampled_from([0, 9000]))
def test_nothing_is_lost_whatever_happens(steps, retained) -> None:
    """Three sessions; any interleaving of saying, blocking, reading, dropping, resuming and slow threads."""
    with tempfile.TemporaryDirectory() as directory:
        sessions = Sessions(directory, retained)
        log = sessions.kit.log
        for what, a, b in steps:
            getattr(sessions, what)(a, b)
            assert log.store.bytes <= sessions.limit + 2 * 4000 + 5 * 800 + 500, "memory is bounded"
        assert sessions.read_all() == sessions.expected
        sessions.acknowledge_all()
        assert log.needed == log.next
        sessions.threads.work_all()
        log.store._look()
        log.store.reclaim()
        sessions.threads.work_all()
        assert log.store.spill.bytes == 0
