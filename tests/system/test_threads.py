"""The pools for blocking work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from queue import SimpleQueue
from threading import Event, Thread, current_thread
from threading import enumerate as all_threads
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from jupyterd.system.threads import PATIENCE, PAUSE, NoThread, Threads

LIMIT = 30.0


class Loop(Clock):
    """A reactor as far as a pool needs one: runs what threads hand to it when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: SimpleQueue[tuple[Callable[..., Any], tuple[Any, ...]]] = SimpleQueue()

    def callFromThread(self, function: Callable[..., Any], *args: Any) -> None:
        """Keep it."""
        self._calls.put((function, args))

    def turn(self) -> None:
        """Wait for one call and make it."""
        function, args = self._calls.get(timeout=LIMIT)
        function(*args)


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def threads(loop: Loop) -> Iterator[Threads]:
    pool = Threads(loop, "test", 2, loop.seconds)  # type: ignore[arg-type]
    yield pool
    pool.stopService()


def collect(deferred: Deferred[Any]) -> list[Any]:
    results: list[Any] = []
    deferred.addBoth(results.append)
    return results


def test_a_call_runs_in_a_thread_of_the_pool_and_its_result_comes_back(loop: Loop, threads: Threads) -> None:
    results = collect(threads(lambda a, b: (current_thread().name, a, b), 1, b=2))
    assert results == []
    loop.turn()
    assert results == [("test-0", 1, 2)]


def test_what_fails_is_a_failure_of_its_caller_and_the_thread_goes_on(loop: Loop, threads: Threads) -> None:
    failed = collect(threads(int, "x"))
    loop.turn()
    assert failed[0].check(ValueError)
    assert collect_one(loop, threads, int, "7") == 7


def collect_one(loop: Loop, threads: Threads, function: Callable[..., Any], *args: Any) -> Any:
    results = collect(threads(function, *args))
    loop.turn()
    return results[0]


def test_calls_one_after_the_other_need_one_thread(loop: Loop, threads: Threads) -> None:
    names = {collect_one(loop, threads, lambda: current_thread().name) for _ in range(5)}
    assert names == {"test-0"}


def test_more_calls_than_threads_wait_in_line(loop: Loop, threads: Threads) -> None:
    go, entered = Event(), SimpleQueue[int]()

    def work(number: int) -> int:
        entered.put(number)
        assert go.wait(LIMIT)
        return number

    results = [collect(threads(work, number)) for number in range(3)]
    assert entered.get(timeout=LIMIT) == 0
    loop.advance(PATIENCE * 0.9)
    assert entered.empty()
    loop.advance(PATIENCE)
    assert entered.get(timeout=LIMIT) == 1
    loop.pump([PATIENCE] * 10)
    assert entered.empty()
    go.set()
    for _ in range(3):
        loop.turn()
    assert results == [[0], [1], [2]]


def test_a_thread_sleeps_again_when_another_is_free(loop: Loop, threads: Threads) -> None:
    go, entered = Event(), SimpleQueue[str]()

    def hold() -> None:
        entered.put(current_thread().name)
        assert go.wait(LIMIT)

    def name() -> str:
        return current_thread().name

    held = collect(threads(hold))
    assert entered.get(timeout=LIMIT) == "test-0"
    short = [collect(threads(name)) for _ in range(3)]
    loop.advance(PATIENCE)
    loop.advance(PATIENCE)
    for _ in range(3):
        loop.turn()
    assert short == [["test-1"]] * 3
    go.set()
    loop.turn()
    assert held == [None]
    names = {collect_one(loop, threads, name) for _ in range(5)}
    assert len(names) == 1, "the others sleep"
    assert threads.describe() == {"name": "test", "size": 2, "busy": 0, "waiting": 0}


def test_many_calls_of_many_lengths_are_each_made_once(loop: Loop, threads: Threads) -> None:
    made, results = SimpleQueue[int](), []
    for number in range(300):
        results.append(collect(threads(made.put, number)))
        if number % 7 == 0:
            loop.advance(PATIENCE)
    for _ in range(300):
        loop.turn()
    loop.advance(PAUSE)
    assert sorted(made.get_nowait() for _ in range(300)) == list(range(300))
    assert results == [[None]] * 300
    assert not loop.getDelayedCalls()


def test_a_cancelled_call_tells_nobody(loop: Loop, threads: Threads) -> None:
    waiting = threads(lambda: 1)
    results = collect(waiting)
    waiting.cancel()
    loop.turn()
    assert results[0].check(CancelledError)


def test_stopping_finishes_what_is_in_line(loop: Loop) -> None:
    pool, done = Threads(loop, "test", 1), []  # type: ignore[arg-type]
    for number in range(3):
        pool(done.append, number)
    stopped = collect(pool.stopService())
    for _ in range(3):
        assert stopped == []
        loop.turn()
    assert done == [0, 1, 2]
    assert stopped == [None]


def test_stopping_waits_for_what_a_result_leads_to(loop: Loop) -> None:
    pool = Threads(loop, "test", 1)  # type: ignore[arg-type]
    results = collect(pool(lambda: 1).addCallback(lambda one: pool(lambda: one + 1)))
    stopped = collect(pool.stopService())
    loop.turn()
    assert stopped == []
    loop.turn()
    assert (results, stopped) == ([2], [None])


def test_a_call_that_never_returns_is_not_waited_for(loop: Loop) -> None:
    pool, never = Threads(loop, "test", 1), Event()  # type: ignore[arg-type]
    results = collect(pool(never.wait))
    stopped = collect(pool.stopService())  # returns
    assert (results, stopped) == ([], [])
    never.set()
    loop.turn()
    assert (results, stopped) == ([True], [None])


def test_the_loop_of_an_asyncio_reactor_is_told_itself(loop: Loop) -> None:
    class AsyncioLoop:
        call_soon_threadsafe = loop.callFromThread

    class Reactor:
        _asyncioEventloop = AsyncioLoop

    pool = Threads(Reactor(), "test", 1)  # type: ignore[arg-type]
    results = collect(pool(lambda: 1))
    loop.turn()
    pool.stopService()
    assert results == [1]


def test_what_comes_after_the_end_is_done_in_a_thread_that_ends(loop: Loop) -> None:
    threads = Threads(loop, "late", 2)  # type: ignore[arg-type]
    threads.startService()
    assert collect(threads.stopService()) == [None]
    thread = collect_one(loop, threads, current_thread)
    assert thread.name.startswith("late")
    thread.join(LIMIT)
    assert not [each for each in all_threads() if "late" in each.name]


def test_a_thread_that_can_not_start_fails_that_call_and_the_pool_heals(
    loop: Loop, threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with RLIMIT_NPROC, or a container's limit of pids."""

    def start(self: Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(Thread, "start", start)
        failed = collect(threads(int, "1"))
        assert failed[0].check(NoThread)
        assert not threads.works()
    assert collect_one(loop, threads, int, "7") == 7
    assert threads.works()
    assert collect_one(loop, threads, lambda: current_thread().name) == "test-0"
    go, entered = Event(), Event()

    def hold() -> None:
        entered.set()
        go.wait(LIMIT)

    first = collect(threads(hold))
    assert entered.wait(LIMIT)
    with monkeypatch.context() as patched:
        patched.setattr(Thread, "start", start)
        second = collect(threads(int, "2"))  # it waits for the thread that there is
        loop.pump([PATIENCE, PATIENCE, PAUSE])
        assert threads.works()
    go.set()
    loop.turn()
    loop.turn()
    assert (first, second) == ([None], [2])
    assert collect(threads.stopService()) == [None]


def test_readiness_tries_a_thread(threads: Threads, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Thread, "start", lambda self: (_ for _ in ()).throw(RuntimeError("can't start new thread")))
        assert threads.works()  # nothing failed so far: nothing is tried
        collect(threads(int, "1"))
        assert not threads.works()
    assert threads.works()


def test_a_pool_that_nobody_uses_answers_and_starts_no_thread(threads: Threads) -> None:
    assert threads.answers()
    assert threads.answers()
    assert threads.describe()["busy"] == 0


def test_a_pool_that_is_busy_with_long_work_is_not_dead(loop: Loop, threads: Threads) -> None:
    go_on = Event()
    for _ in range(5):
        threads(go_on.wait, LIMIT)
    assert [threads.answers() for _ in range(4)] == [True] * 4
    go_on.set()
    for _ in range(6):  # the question too
        loop.turn()
    assert threads.answers()
    loop.turn()


def test_a_free_thread_that_does_not_take_what_waits_is_told(loop: Loop, threads: Threads) -> None:
    threads(lambda: None)
    loop.turn()
    assert threads.answers(), "it is asked"
    assert not threads.answers(), "nothing came back meanwhile"
    loop.turn()
    assert threads.answers()


def test_a_thread_that_has_ended_is_told(threads: Threads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_take", lambda worker: None)
    threads(lambda: None)
    threads._awake[0].thread.join(LIMIT)
    assert not threads.answers()
