"""The outermost service and the front: what happens in which order, on a reactor in memory."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from threading import Event
from threading import enumerate as all_threads
from typing import Any

import pytest
from twisted.application.service import Application, IServiceCollection, Service
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver
from zope.interface import directlyProvides

from jupyterd.supervision.daemon import EXIT_SECONDS, LEAVE_SECONDS, STOP_SECONDS, Daemon
from jupyterd.supervision.sockets import CannotListen
from jupyterd.supervision.start_stop_stages import Stage, Stages
from jupyterd.system.threads import Threads
from tests.supervision.listening import Listening, Spoken
from tests.supervision.server import server

pytestmark = pytest.mark.usefixtures("as_it_was")


class Slow(Service):
    """Takes its time to stop."""

    def __init__(self) -> None:
        self.stopping: Deferred[None] = Deferred()

    def stopService(self) -> Deferred[None]:
        super().stopService()
        return self.stopping


class Stopped(Service):
    """Stops at once."""


def daemon(home: Path, **settings: Any) -> tuple[Daemon, Listening, list[Any]]:
    """A daemon, its reactor, and what it left with or gave up for."""
    reactor = Listening()
    lines: list[Any] = []
    observer = lambda event: None  # noqa: E731
    directlyProvides(observer, ILogObserver)
    made = Daemon(
        reactor,
        server(home, **settings),
        make_observer=lambda: observer,
        give_up=lines.append,
        leave=lambda status, seconds: lines.append((status, seconds)),
    )
    return made, reactor, lines


def test_it_waits_for_its_services(tmp_path: Path) -> None:
    made, reactor, left = daemon(tmp_path)
    slow = Slow()
    slow.setServiceParent(made)
    made.startService()
    done: list[object] = []
    made.stopService().addCallback(done.append)
    assert done == []
    assert left == []
    slow.stopping.callback(None)
    assert done == [None]
    assert left == [(0, EXIT_SECONDS)]
    assert [call for call in reactor.getDelayedCalls() if call.active()] == []


def test_it_does_not_wait_for_ever(tmp_path: Path) -> None:
    made, reactor, left = daemon(tmp_path)
    Slow().setServiceParent(made)
    made.startService()
    done: list[object] = []
    made.stopService().addCallback(done.append)
    reactor.advance(STOP_SECONDS - 0.1)
    assert done == []
    reactor.advance(0.2)
    assert done == [None]
    assert left[0] == (1, LEAVE_SECONDS)


def test_a_call_that_never_returns_holds_up_neither_the_end_nor_kernels(tmp_path: Path) -> None:
    """A pool has a thread on a filesystem that does not answer: all else stops, and the process ends in time."""
    made, reactor, left = daemon(tmp_path)
    stages, never, entered = Stages(), Event(), Event()
    stages.setServiceParent(made)
    pool = Threads(reactor, "hung", 1)  # type: ignore[arg-type]
    contents, kernels, ports = Slow(), Stopped(), Stopped()
    for stage, service in (
        (Stage.THREADS, pool),
        (Stage.DOMAINS, kernels),
        (Stage.DOMAINS, contents),
        (Stage.PORTS, ports),
    ):
        stages.add(stage, service)
    made.startService()
    pool(lambda: (entered.set(), never.wait()))
    contents.stopping = pool(lambda: None)  # waits in line behind it
    assert entered.wait(30)
    done: list[object] = []
    before = time.monotonic()
    made.stopService().addCallback(done.append)
    assert time.monotonic() - before < 5
    assert not ports.running
    assert not kernels.running
    assert pool.running
    assert done == []
    reactor.advance(STOP_SECONDS)
    assert done == [None]
    assert left[0] == (1, LEAVE_SECONDS)
    assert all(thread.daemon for thread in all_threads() if thread.name.startswith("hung"))
    never.set()


def test_a_pool_that_hangs_alone_is_waited_for_and_no_longer(tmp_path: Path) -> None:
    made, reactor, left = daemon(tmp_path)
    stages, never = Stages(), Event()
    stages.setServiceParent(made)
    pool = Threads(reactor, "hung", 1)  # type: ignore[arg-type]
    stages.add(Stage.THREADS, pool)
    made.startService()
    pool(never.wait)
    made.stopService()
    made._signals._hurry()
    assert left[0] == (0, LEAVE_SECONDS)
    never.set()


def test_a_second_request_ends_the_waiting(tmp_path: Path) -> None:
    made, _, left = daemon(tmp_path)
    slow = Slow()
    slow.setServiceParent(made)
    made.startService()
    done: list[object] = []
    made.stopService().addCallback(done.append)
    made._signals._hurry()
    assert done == [None]
    assert left[0] == (0, LEAVE_SECONDS)
    slow.stopping.callback(None)
    assert done == [None]


def test_a_failure_to_stop_is_no_hindrance(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made, _, _ = daemon(tmp_path)
    slow = Slow()
    slow.setServiceParent(made)
    made.startService()
    done: list[object] = []
    made.stopService().addCallback(done.append)
    slow.stopping.errback(RuntimeError("no"))
    assert done == [None]


def test_who_can_not_listen_gives_up(tmp_path: Path) -> None:
    made, _, lines = daemon(tmp_path)

    class Refused(Service):
        def privilegedStartService(self) -> None:
            raise CannotListen("no port")

    Refused().setServiceParent(made)
    with pytest.raises(CannotListen):
        made.privilegedStartService()
    assert lines == ["no port"]


def test_a_reload_is_told_from_its_beginning_to_its_end(tmp_path: Path) -> None:
    made, _, _ = daemon(tmp_path)
    order = made._notify = Spoken()
    made._reload_settings = lambda: order.said.append("reload")
    made._signals._reload()
    assert order.said == ["RELOADING=1", "reload", "READY=1"]


def test_it_brings_its_log_observer(tmp_path: Path) -> None:
    application = Application("x")
    made, _, _ = daemon(tmp_path)
    made.setServiceParent(application)
    assert application.getComponent(ILogObserver) is not None  # type: ignore[attr-defined]
    assert list(IServiceCollection(application)) == [made]


LEAVES = """
import threading
from jupyterd.supervision.daemon import leave

def no_thread(self):
    raise RuntimeError("can't start new thread")

other = threading.Event()
threading.Thread(target=other.wait).start()  # would keep the process for ever
threading.Thread.start = no_thread
leave(3, 0.05)
"""


def test_it_leaves_where_the_system_gives_no_thread() -> None:
    assert subprocess.run([sys.executable, "-c", LEAVES], timeout=30, check=False).returncode == 3
