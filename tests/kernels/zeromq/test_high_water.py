"""The high-water mark against a model of libzmq's pipe: never stuck, high for small messages, low for large ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterd.kernels.zeromq.high_water import BYTES, FAR, LARGE_BYTES, MAX_MARK, MIN_MARK, HighWater, placed

MB = 1_000_000


class Pipe:
    """libzmq's pipe, as far as marks go.

    The reader tells what it has read at multiples of half its mark only. Marks and what is told reach the writer in
    order, and some time later.
    """

    def __init__(self) -> None:
        self.written = self.read = self.told = 0
        self.half = MAX_MARK // 2
        self.mark = MAX_MARK
        self.blocked = False
        self.commands: list[tuple[str, int]] = []
        self.limit = HighWater(self.change)

    def change(self, mark: int) -> None:
        self.half = (mark + 1) // 2
        self.commands.append(("mark", mark))

    def process(self, count: int | None = None) -> None:
        """The writer takes notice of the next ``count`` commands."""
        due, self.commands = self.commands[:count], [] if count is None else self.commands[count:]
        for name, value in due:
            if name == "mark":
                self.mark = value
            else:
                self.told, self.blocked = value, False

    def write(self) -> None:
        if not self.blocked:
            self.blocked = self.written - self.told >= self.mark
        if not self.blocked:
            self.written += 1

    def take(self, count: int, size: int) -> None:
        """Read ``count`` messages at most; less where there are less."""
        while count and self.read < self.written:
            batch = min(count, self.written - self.read, self.limit.left)
            for _ in range(batch):
                self.read += 1
                if self.read % self.half == 0:
                    self.commands.append(("told", self.read))
            count -= batch
            self.limit.took(batch, batch * size, self.read < self.written)

    def flow(self, count: int, size: int) -> None:
        """``count`` messages, each read as soon as it is written."""
        for _ in range(count):
            self.write()
            self.take(1, size)
            self.process()


STEPS = st.tuples(
    st.integers(0, 400), st.integers(0, 3), st.integers(1, 400), st.sampled_from([50, 3000, 100_000, 5 * MB])
)


@given(st.integers(0, 3000), st.lists(STEPS, max_size=60))
def test_a_writer_never_waits_for_a_reader_that_has_read_all(before, steps) -> None:
    pipe = Pipe()
    pipe.flow(before, 50)
    for writes, commands, reads, size in steps:
        for _ in range(writes):
            pipe.write()
        pipe.process(commands)
        pipe.take(reads, size)
        assert MIN_MARK <= pipe.limit.mark <= max(MAX_MARK, 2 * MIN_MARK)
    while True:
        pipe.take(MAX_MARK, 50)
        pipe.process()
        written = pipe.written
        pipe.write()
        assert pipe.written == written + 1
        if written > 5 * MAX_MARK or not steps:
            break
        for _ in range(50):
            pipe.write()


def test_a_young_kernel_may_say_much_at_once() -> None:
    pipe = Pipe()
    pipe.flow(20, 300)
    for _ in range(MAX_MARK):
        pipe.write()
    assert pipe.written == MAX_MARK


@given(st.integers(0, 200))
def test_the_first_large_messages_of_a_young_kernel_lower_its_mark_at_once(before) -> None:
    pipe = Pipe()
    pipe.flow(before, 300)
    pipe.flow(1, 5 * MB)
    for _ in range(10):
        pipe.write()
    assert pipe.written - pipe.read <= 4
    pipe.flow(MIN_MARK, 5 * MB)
    assert pipe.limit.mark * 5 * MB <= 10 * LARGE_BYTES


@pytest.mark.parametrize("before", [0, 5, 300, 3000])
def test_a_young_kernel_that_says_much_at_once_stays_in_bounds(before) -> None:
    pipe = Pipe()
    pipe.flow(before, 300)
    for _ in range(40):
        for _ in range(500):
            pipe.write()
        pipe.take(100, 10_000)
        pipe.process()
    assert (pipe.written - pipe.read) * 10_000 < 2 * BYTES


@pytest.mark.parametrize("before", [0, 1, 3, 4, 5, 100, 1001, MAX_MARK // 2 - 1, MAX_MARK // 2, MAX_MARK])
def test_a_young_socket_that_is_to_be_paused_takes_no_more_at_once(before) -> None:
    pipe = Pipe()
    pipe.flow(before, 300)
    pipe.limit.settle()
    pipe.process()
    if before < MAX_MARK // 2:
        assert pipe.limit.fits
        for _ in range(10):
            pipe.write()
        assert pipe.written - pipe.read <= 4
    pipe.flow(2 * FAR, 10_000)
    assert pipe.limit.fits


def test_the_mark_is_high_while_messages_are_small() -> None:
    pipe = Pipe()
    pipe.flow(1000, 300)
    assert pipe.limit.mark == MAX_MARK
    pipe.flow(20_000, 300)
    assert pipe.limit.mark >= MAX_MARK // 4


def test_a_few_large_messages_lower_it_and_a_few_small_ones_raise_it_again() -> None:
    pipe = Pipe()
    pipe.flow(3000, 300)
    pipe.flow(2 * MIN_MARK, 5 * MB)
    assert pipe.limit.mark * 5 * MB <= 10 * LARGE_BYTES
    pipe.flow(3 * MIN_MARK, 300)
    assert pipe.limit.mark >= 1000


def test_a_mark_that_is_too_high_for_what_comes_now_says_so() -> None:
    pipe = Pipe()
    pipe.flow(MAX_MARK, 300)
    assert pipe.limit.fits
    for _ in range(200):
        pipe.write()
    pipe.take(150, 300)
    pipe.process()
    pipe.flow(1, 5 * MB)
    assert not pipe.limit.fits
    pipe.take(FAR, 5 * MB)
    assert pipe.limit.fits


@given(
    st.integers(0, 10**9),
    st.integers(MIN_MARK // 2, MAX_MARK // 2),
    st.integers(4, FAR),
    st.integers(MIN_MARK, MAX_MARK),
)
def test_a_mark_is_placed_where_it_can_be_changed_again(read, most, near, far) -> None:
    half = placed(read, most, near, far)
    assert 1 <= half <= max(most, far)
    assert half - read % half <= far
