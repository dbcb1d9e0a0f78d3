"""The message log: whatever happens in whatever order, nothing is lost, order is kept, memory is bounded."""

from __future__ import annotations

import os
import tempfile
from collections import deque
from itertools import accumulate

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.internet.task import Clock

from jupyterd.kernels.log import bounded_store, spill
from jupyterd.kernels.log.chunk import Chunk
from jupyterd.kernels.log.cursor_file import CursorFile
from jupyterd.kernels.log.message_log import MessageLog
from jupyterd.kernels.log.rate_limit import RateLimit
from jupyterd.kernels.log.spill import Spill
from jupyterd.testing.deferreds import at_once, result_of


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


@pytest.fixture
def directory():
    with tempfile.TemporaryDirectory() as name:
        yield name


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(spill, "BLOCK", 1500)
    monkeypatch.setattr(bounded_store, "SLACK", 4000)
    monkeypatch.setattr(bounded_store, "STEP", 500)
    monkeypatch.setattr(spill, "SEGMENT", 6000)


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


def test_memory_is_let_go_when_nobody_needs_it(directory) -> None:
    kit = Kit(directory, retained=2000)
    kit.log.attach(kit.log.open(), Reader())
    for _ in range(200):
        kit.say()
    assert kit.log.store.bytes <= 2000 + 1000


def test_a_client_that_does_not_read_costs_bounded_memory_and_gets_all_later(directory) -> None:
    kit, reader = Kit(directory), Reader()
    cursor = kit.log.open()
    kit.log.attach(cursor, reader)
    reader.blocked = True
    expected = [header for _ in range(300) for header in kit.say(2, 100)]
    assert kit.log.store.bytes <= 4000 + 4000 + 3000
    assert kit.log.store.spill.bytes > 50_000
    assert reader.got == []
    behind, half = (kit.log.store.size_from(number) for number in (cursor.position, kit.log.next // 2))
    assert behind == kit.log.store.bytes + kit.log.store.spill.bytes
    assert behind * 0.4 < half < behind * 0.6
    assert kit.log.store.size_from(kit.log.next) == 0
    reader.blocked = False
    kit.log.pull(cursor)
    assert reader.got == expected
    kit.say()
    assert kit.log.store.spill.bytes == 0 or kit.log.store.spill.segments[0].blocks[-1].end > kit.log.needed
    assert len(os.listdir(kit.log.store.spill.directory)) <= 1


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


def test_what_is_no_output_is_never_dropped_and_the_kernel_waits_for_a_slow_disk(directory) -> None:
    threads = Later()
    kit, reader = Kit(directory, threads), Reader()
    cursor = kit.log.open()
    kit.log.attach(cursor, reader)
    reader.blocked = True
    said = []
    while not kit.flow:
        said += kit.say(1, 100, kind="comm_msg")
    assert kit.flow == [False]
    assert kit.log.store.bytes <= 4000 + 2 * 4000 + 1500
    threads.work_all()
    assert kit.flow == [False, True]
    reader.blocked = False
    kit.log.pull(cursor)
    threads.work_all()
    assert reader.got == said


def test_large_messages_wait_in_the_kernel_for_a_slow_disk(directory, monkeypatch) -> None:
    monkeypatch.setattr(bounded_store, "LARGE", 100)
    threads = Later()
    kit, reader = Kit(directory, threads), Reader()
    kit.log.attach(kit.log.open(), reader)
    kit.log.open()
    reader.blocked = True
    while not kit.flow:
        kit.say(1, 100)
    assert kit.log.store.bytes <= 4000 + 4000 + 1500
    threads.work_all()
    assert kit.flow == [False, True]


def test_small_messages_do_not_wait_in_the_kernel_however_many_come_at_once(directory, monkeypatch) -> None:
    monkeypatch.setattr(bounded_store, "LARGE", 1000)
    kit, reader = Kit(directory, Later()), Reader()
    cursor = kit.log.open()
    kit.log.attach(cursor, reader)
    reader.blocked = True
    said = [header for _ in range(30) for header in kit.say(8, 100)]
    assert kit.flow == []
    reader.blocked = False
    kit.log.pull(cursor)
    assert reader.got[0].startswith(b"LOST") or reader.got[0] == said[0]


def test_outputs_so_small_that_telling_would_take_more_are_kept(directory) -> None:
    kit, reader = Kit(directory, Later()), Reader()
    cursor = kit.log.open()
    kit.log.attach(cursor, reader)
    reader.blocked = True
    while not kit.flow:
        messages = [message(number, 10, kind) for number, kind in enumerate(["stream", "comm_msg"] * 3)]
        kit.log.append(Chunk(b"iopub", messages, 0.0))
    assert not any(chunk.lost for chunk in kit.log.store._chunks)
    assert kit.log.store.bytes == sum(chunk.size for chunk in kit.log.store._chunks)


@given(st.lists(st.tuples(st.integers(1, 12), st.booleans(), st.integers(0, 2)), max_size=80))
def test_a_disk_that_is_too_slow_costs_outputs_alone_and_all_are_counted(steps) -> None:
    with tempfile.TemporaryDirectory() as directory:
        threads = Later()
        kit, reader = Kit(directory, threads), Reader()
        cursor = kit.log.open()
        kit.log.attach(cursor, reader)
        reader.blocked = True
        said = []
        for count, output, work in steps:
            said += [(header, output) for header in kit.say(count, 300, kind="stream" if output else "status")]
            threads.work(work)
            if kit.flow[-1:] == [False]:
                threads.work_all()
            assert kit.log.store.bytes <= 4000 + 2 * 4000 + 12 * 1200 + 500
        reader.blocked = False
        kit.log.pull(cursor)
        threads.work_all()
        at = 0
        for header in reader.got:
            count = int(header.split()[1]) if header.startswith(b"LOST") else 0
            assert all(output for _, output in said[at : at + count])
            at += count
            if not count:
                assert header == said[at][0]
                at += 1
        assert at == len(said)


def test_a_full_disk_loses_but_tells_and_stays_bounded(directory) -> None:
    def no_disk(function, /, *args, **kwargs):
        return (
            fail(OSError(28, "No space left on device"))
            if function is spill.write
            else at_once(function, *args, **kwargs)
        )

    kit, reader = Kit(directory, no_disk), Reader()
    cursor = kit.log.open()
    kit.log.attach(cursor, reader)
    reader.blocked = True
    said = [header for _ in range(100) for header in kit.say(1, 100)]
    assert kit.log.store.bytes <= 4000 + 4000
    reader.blocked = False
    kit.log.pull(cursor)
    lost = int(reader.got[0].split()[1])
    assert reader.got[0].startswith(b"LOST")
    assert reader.got[1:] == said[lost:]


def test_a_file_that_is_being_written_is_not_removed_when_all_before_is_read(directory) -> None:
    threads = Later()
    kit, reader = Kit(directory, threads), Reader()
    cursor = kit.log.open()
    kit.log.attach(cursor, reader)
    reader.blocked = True
    said = []
    while not threads.jobs:
        said += kit.say(1, 100)
    threads.work()  # the first blocks are on disk
    while not threads.jobs:
        said += kit.say(1, 100)
    writing = threads.jobs.popleft()  # the next are on their way
    reader.blocked, reader.capacity = False, kit.log.store.spill.segments[0].blocks[-1].end - 1
    kit.log.pull(cursor)
    threads.work_all()
    assert (reader.blocked, cursor.position) == (True, kit.log.store._written_from)
    threads.jobs.append(writing)
    threads.work_all()
    reader.blocked, reader.capacity = False, None
    kit.log.pull(cursor)
    threads.work_all()
    assert reader.got == said


@pytest.mark.parametrize(("goes", "stays"), [("stream", "display_data"), ("display_data", "status")])
def test_at_the_quota_streams_go_first_then_what_is_displayed_and_all_else_stays(directory, goes, stays) -> None:
    kit, reader = Kit(directory, quota=40_000), Reader()
    cursor = kit.log.open()
    kit.log.attach(cursor, reader)
    reader.blocked = True
    kept = []
    for number in range(1500):
        said = kit.say(1, 100, kind=goes if number % 50 else stays)
        kept += [] if number % 50 else said
    assert kit.log.store.spill.bytes <= 40_000 + 6000
    reader.blocked = False
    kit.log.pull(cursor)
    assert [header for header in reader.got if stays.encode() in header] == kept
    told = sum(int(frame.split()[1]) for frame in reader.got if frame.startswith(b"LOST"))
    assert told > 0
    assert told + sum(not frame.startswith(b"LOST") for frame in reader.got) == 1500


def test_what_went_whole_is_told_below_the_request_of_what_follows(directory) -> None:
    kit, reader = Kit(directory, quota=20_000), Reader()
    told = []
    kit.log._notice = lambda text, parent: told.append(parent) or notice(text, parent)
    cursor = kit.log.open()
    kit.log.attach(cursor, reader)
    reader.blocked = True
    for number in range(600):
        parts = message(number, 100, "error")
        kit.log.append(Chunk(b"iopub", [[parts[0], b'{"msg_id": "m"}', *parts[2:]]], 0.0))
    reader.blocked = False
    kit.log.pull(cursor)
    assert told == [b'{"msg_id": "m"}']


def test_at_the_quota_with_nothing_to_compact_the_oldest_go(directory) -> None:
    kit, reader = Kit(directory, quota=20_000), Reader()
    cursor = kit.log.open()
    kit.log.attach(cursor, reader)
    reader.blocked = True
    said = [header for _ in range(600) for header in kit.say(1, 100, kind="error")]
    assert kit.log.store.spill.bytes <= 20_000 + 6000
    reader.blocked = False
    kit.log.pull(cursor)
    lost = int(reader.got[0].split()[1])
    assert reader.got[1:] == said[lost:]


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


def test_closing_removes_the_files(directory) -> None:
    kit, reader = Kit(directory), Reader()
    kit.log.attach(kit.log.open(), reader)
    reader.blocked = True
    for _ in range(200):
        kit.say(1, 100)
    assert oct(os.stat(kit.log.store.spill.directory).st_mode)[-3:] == "700"
    assert {
        oct(os.stat(os.path.join(kit.log.store.spill.directory, name)).st_mode)[-3:]
        for name in os.listdir(kit.log.store.spill.directory)
    } == {"600"}
    result_of(kit.log.close())
    assert not os.path.exists(kit.log.store.spill.directory)


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
