"""The outermost service and the front: what happens in which order, on a reactor in memory."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from threading import enumerate as all_threads
from typing import Any

import pytest
from twisted.application.service import Application, IServiceCollection, Service
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import ILogObserver
from zope.interface import directlyProvides

from jupyterd.supervision.daemon import EXIT_SECONDS, LEAVE_SECONDS, STOP_SECONDS, Daemon
from jupyterd.supervision.listener import LOOK_SECONDS, Listener
from jupyterd.supervision.open_files_limit import raise_open_files
from jupyterd.supervision.sockets import CannotListen
from jupyterd.supervision.start_stop_stages import Stage, Stages
from jupyterd.supervision.systemd_notify import (
    Notify,
    Watchdog,
    keep_from_children,
    service_variables,
    watchdog_seconds,
)
from jupyterd.system.threads import Threads
from tests.supervision.server import server


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The process has the signals, loggers and limits that it had."""
    import logging
    import resource

    monkeypatch.setattr("gc.freeze", lambda: None)
    root = logging.getLogger()
    handlers, level, limit = list(root.handlers), root.level, resource.getrlimit(resource.RLIMIT_NOFILE)
    signals = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("ServerApp").handlers.clear()
    resource.setrlimit(resource.RLIMIT_NOFILE, limit)
    for number, handler in signals.items():
        signal.signal(number, handler)


class Listening(MemoryReactorClock):
    """Keeps what it is asked to adopt; UNIX sockets too."""

    def __init__(self) -> None:
        super().__init__()
        self.adopted: list[tuple[Any, ...]] = []
        self.ports: list[Port] = []

    def adoptStreamPort(self, descriptor: int, family: int, factory: Any) -> Any:
        self.adopted.append((socket.fromfd(descriptor, family, socket.SOCK_STREAM).getsockname(), factory))
        self.ports.append(Port())
        return self.ports[-1]

    def callFromThread(self, function: Any, *args: Any) -> None:
        """Nobody is at home."""


class Port:
    def __init__(self) -> None:
        self.stopped = False

    def stopListening(self) -> None:
        self.stopped = True


class Spoken(Notify):
    """What the service manager is told."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def say(self, *lines: str) -> None:
        self.said.append(lines[0])


def front(home: Path, **settings: Any) -> tuple[Listener, Listening, Spoken]:
    reactor, spoken = Listening(), Spoken()
    factory = Factory.forProtocol(Protocol)
    return Listener(reactor, factory, server(home, **settings), spoken), reactor, spoken


# -- the front


def test_it_opens_first_and_accepts_last(tmp_path: Path) -> None:
    made, reactor, spoken = front(tmp_path, ip="127.0.0.1", port=0)
    made.privilegedStartService()
    port = made._server.port
    assert port > 0
    assert reactor.adopted == []
    with socket.create_connection(("127.0.0.1", port)):
        pass  # it waits in the queue
    made.startService()
    assert [address for address, _ in reactor.adopted] == [("127.0.0.1", port)]
    assert spoken.said == ["READY=1"]
    assert sorted(os.listdir(tmp_path / "runtime")) == [
        f"jpserver-{os.getpid()}-open.html",
        f"jpserver-{os.getpid()}.json",
    ]
    made.stopService()
    assert spoken.said == ["READY=1", "STOPPING=1"]
    assert [port.stopped for port in reactor.ports] == [True]
    assert os.listdir(tmp_path / "runtime") == []


def test_files_that_a_cleaner_has_taken_are_written_again(tmp_path: Path) -> None:
    made, reactor, _ = front(tmp_path, ip="127.0.0.1", port=0)
    made.startService()
    shutil.rmtree(tmp_path / "runtime")
    reactor.advance(LOOK_SECONDS)
    assert len(os.listdir(tmp_path / "runtime")) == 2
    (tmp_path / "runtime" / f"jpserver-{os.getpid()}.json").unlink()
    reactor.advance(LOOK_SECONDS)
    assert len(os.listdir(tmp_path / "runtime")) == 2
    made.stopService()
    assert os.listdir(tmp_path / "runtime") == []
    assert reactor.getDelayedCalls() == []


def test_files_that_can_not_be_written_are_told_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made, reactor, _ = front(tmp_path, ip="127.0.0.1", port=0)
    made.startService()
    shutil.rmtree(tmp_path / "runtime")
    (tmp_path / "runtime").write_text("no directory any more")
    for _ in range(3):
        reactor.advance(LOOK_SECONDS)
    assert caplog.text.count(f"Failed to write {made._server.info_file}") == 1
    assert reactor.getDelayedCalls() == []
    made.stopService()


def test_a_socket_is_there_and_goes(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    made, reactor, _ = front(tmp_path, sock=path, port=0, sock_mode="0660")
    made.privilegedStartService()
    made.startService()
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o660
    [port] = made._ports
    assert os.fspath(port.getHost().name) == os.fsencode(path)
    assert reactor.getReaders() == [port]
    made.stopService()
    assert reactor.getReaders() == []
    assert not os.path.exists(path)


def test_nothing_to_listen_on(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        made, reactor, _ = front(tmp_path, ip="127.0.0.1", port=taken.getsockname()[1], port_retries=0)
        with pytest.raises(CannotListen):
            made.privilegedStartService()
    assert list((tmp_path / "runtime").iterdir()) == []


def test_the_service_manager_s_socket_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        monkeypatch.setattr("jupyterd.supervision.sockets._FIRST_INHERITED", os.dup(listening.fileno()))
        monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
        monkeypatch.setenv("LISTEN_FDS", "1")
        made, reactor, _ = front(tmp_path, ip="127.0.0.1", port=1)
        made.privilegedStartService()
        assert made._server.port == listening.getsockname()[1]
        assert "LISTEN_FDS" not in os.environ
        made.startService()
    assert len(reactor.adopted) == 1


def test_a_unix_socket_of_the_service_manager_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        monkeypatch.setattr("jupyterd.supervision.sockets._FIRST_INHERITED", os.dup(listening.fileno()))
        monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
        monkeypatch.setenv("LISTEN_FDS", "1")
        made, _, _ = front(tmp_path, ip="127.0.0.1", port=8888)
        made.privilegedStartService()
        assert (made._server.sock, made._server.port) == (str(tmp_path / "s"), 0)
        made.stopService()
    assert (tmp_path / "s").exists()


def test_a_certificate_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "c.pem").write_text("nothing")
    made, _, _ = front(tmp_path, ip="127.0.0.1", port=0, certfile=str(tmp_path / "c.pem"))
    with pytest.raises(CannotListen, match=r"c\.pem can not be used"):
        made.privilegedStartService()


def test_the_browser_is_opened_in_a_thread(tmp_path: Path) -> None:
    made, reactor, _ = front(tmp_path, ip="127.0.0.1", port=0, open_browser=True)
    called: list[Any] = []
    reactor.callInThread = lambda *call: called.append(call)  # type: ignore[method-assign]
    made.startService()
    assert len(called) == 1


# -- the daemon


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


# -- limits and the service manager


def test_the_limit_of_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    limits = [(100, 1000)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: limits.append(new))
    assert raise_open_files(500) == (100, 500)
    assert raise_open_files(400) is None
    assert raise_open_files(5000) == (500, 1000)
    assert raise_open_files(None) is None
    assert limits == [(100, 1000), (500, 1000), (1000, 1000)]


def test_the_service_manager_is_told(tmp_path: Path) -> None:
    path = str(tmp_path / "n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.setblocking(False)
        Notify(path).ready()
        assert manager.recv(100) == f"READY=1\nMAINPID={os.getpid()}".encode()
        Notify(path).stopping()
        assert manager.recv(100) == b"STOPPING=1"
    Notify(path).ready()
    Notify("").ready()


def test_an_abstract_name() -> None:
    name = f"jupyterd-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name}")
        manager.setblocking(False)
        Notify(f"@{name}").stopping()
        assert manager.recv(100) == b"STOPPING=1"


def test_the_watchdog_is_fed_in_time() -> None:
    clock, said = MemoryReactorClock(), []
    watchdog = Watchdog(clock, said.append, watchdog_seconds({"WATCHDOG_USEC": "10000000"}))
    watchdog.startService()
    clock.advance(5)
    clock.advance(5)
    assert said == ["WATCHDOG=1"] * 2
    watchdog.stopService()
    clock.advance(50)
    assert len(said) == 2


def test_the_watchdog_is_not_fed_while_a_pool_is_silent() -> None:
    clock, said, silent = MemoryReactorClock(), [], ["contents"]
    watchdog = Watchdog(clock, said.append, 10.0, lambda: silent)
    watchdog.startService()
    clock.advance(5)
    assert said == []
    silent.clear()
    clock.advance(5)
    assert said == ["WATCHDOG=1"]
    watchdog.stopService()


def test_no_child_gets_what_the_service_manager_told_the_daemon() -> None:
    environment = {
        "NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "2", "LISTEN_FDS": "1", "LISTEN_PIDFDID": "3",
        "PATH": "/bin", "LISTENER": "mine",
    }  # fmt: skip
    assert service_variables(environment) == {"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "2"}
    keep_from_children(environment)
    assert environment == {"PATH": "/bin", "LISTENER": "mine"}


def test_nobody_watches() -> None:
    assert watchdog_seconds({}) == 0
    assert watchdog_seconds({"WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"}) == 0
    assert watchdog_seconds({"WATCHDOG_USEC": "x"}) == 0
    Watchdog(MemoryReactorClock(), print, 0).startService()


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
