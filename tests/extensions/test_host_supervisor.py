"""The life of the host: what is told of it, who waits, who is left out."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from jupyterd.errors import Unavailable
from jupyterd.extensions.host_failures import BACK_OFF
from jupyterd.extensions.host_supervisor import ExtensionHost, HostSettings
from jupyterd.extensions.http.private_api import HostGate
from jupyterd.system.daemon_directory import DaemonDirectory
from jupyterd.testing.deferreds import at_once

READY = {
    "do": "ready",
    "routes": [{"pattern": "/one/(.*)", "extension": "one"}],
    "page_config": {"a": 1},
    "extensions": [{"name": "one", "version": "1", "seconds": 1.0, "memory": 2, "error": ""}],
    "static": [],
    "contents": "",
}


class Pipes:
    """A process's transport."""

    pid = 0

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.signals: list[str] = []

    def writeToChild(self, fd: int, data: bytes) -> None:
        self.sent.append(data)

    def signalProcess(self, name: str) -> None:
        self.signals.append(name)

    def loseConnection(self) -> None: ...


class Reactor(MemoryReactorClock):
    """A clock on which processes are started that do nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[Any] = []

    def spawnProcess(self, protocol: Any, *args: Any, **options: Any) -> None:
        protocol.makeConnection(Pipes())
        protocol.transport.environment = options["env"]
        self.started.append(protocol)


class House:
    """A host whose processes are spoken for by the test."""

    def __init__(self, tmp_path: Path, **settings: Any) -> None:
        self.reactor = Reactor()
        self.heard: list[Any] = []
        self.host = ExtensionHost(
            self.reactor,
            HostSettings(**settings),
            wanted=["one", "two"],
            again=lambda: ["three"],
            directory=DaemonDirectory("host-", [str(tmp_path)]),
            setup=lambda: {"token": "t"},
            kernels=list,
            heard=self.heard.append,
            listen=lambda path: SimpleNamespace(stopListening=lambda: None),
            in_thread=at_once,
        )
        self.host.startService()

    @property
    def process(self) -> Any:
        return self.reactor.started[-1]

    def say(self, **message: Any) -> None:
        self.process._heard(message)

    def end(self, status: int | None = 1, signal: int | None = None) -> None:
        ended = ProcessDone(0) if status == 0 else ProcessTerminated(status, signal)
        self.process.processExited(Failure(ended))


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def failure_of(waiting: Any) -> Any:
    failures: list[Any] = []
    waiting.addErrback(failures.append)
    return failures[0].value if failures else None


def test_who_asks_waits_until_it_is_ready(house: House) -> None:
    waiting = house.host.ready()
    assert not waiting.called
    house.say(**READY)
    assert waiting.called
    assert house.host.report.page_config == {"a": 1}
    assert house.host.routes.find("/one/x", ["one", "x"]) is not None
    assert house.host.report.extensions["one"].routes == 1
    assert house.host.ready().called


def test_but_not_for_ever(house: House) -> None:
    house.say(do="loading", extension="one")
    waiting = house.host.ready()
    house.reactor.advance(house.host.settings.wait)
    error = failure_of(waiting)
    assert isinstance(error, Unavailable)
    assert "it is loading one" in error.message


def test_one_that_ends_is_started_again_later_and_later(house: House) -> None:
    for seconds in (*BACK_OFF, BACK_OFF[-1]):
        house.say(**READY)
        count = len(house.reactor.started)
        house.end()
        house.reactor.advance(seconds - 0.1)
        assert len(house.reactor.started) == count
        house.reactor.advance(0.2)
        assert len(house.reactor.started) == count + 1


def test_each_run_has_another_mark_and_the_key_is_in_no_environment(house: House) -> None:
    house.end()
    house.reactor.advance(2)
    environments = [process.transport.environment for process in house.reactor.started]
    marks = [environment["JUPYTERD_EXTENSION_HOST"] for environment in environments]
    assert len(set(marks)) == 2
    assert all(house.host.key.hex() not in str(environment) for environment in environments)
    assert house.host.key.hex().encode() in house.process.transport.sent[0]


def test_an_extension_that_ends_it_while_it_is_loaded_is_left_out(house: House) -> None:
    house.say(do="loading", extension="two")
    house.end()
    assert "two" in house.host.failures.excluded
    house.reactor.advance(2)
    assert b'"wanted": ["one"]' in house.process.transport.sent[0]


def test_one_that_was_killed_by_a_signal_gets_another_chance(house: House) -> None:
    for excluded in (False, True):
        house.say(do="loading", extension="two")
        house.end(None, 9)
        assert ("two" in house.host.failures.excluded) is excluded
        house.reactor.advance(10)


def test_one_that_never_loads_is_ended(house: House) -> None:
    house.say(do="loading", extension="two")
    house.reactor.advance(house.host.settings.start_timeout)
    assert house.process.transport.signals == ["KILL"]
    house.end(None, 9)
    assert "has not loaded two within" in house.host.failures.excluded["two"]


def test_what_others_took_before_it_is_not_its_own(house: House) -> None:
    for name in ("one", "two", "one"):
        house.reactor.advance(house.host.settings.start_timeout - 1)
        house.say(do="loading", extension=name)
    assert house.process.transport.signals == []


def test_one_that_is_loaded_while_the_host_is_to_end_gets_no_more_time(house: House) -> None:
    house.host.restart()
    house.say(do="loading", extension="two")
    house.reactor.advance(5)
    assert house.process.transport.signals == ["KILL"]


def test_one_that_blocks_for_too_long_is_ended(house: House) -> None:
    house.say(**READY)
    house.say(do="stalled", extension="one", seconds=10.0, stack="s")
    assert house.process.transport.signals == []
    house.say(do="stalled", extension="one", seconds=400.0, stack="s")
    assert house.process.transport.signals == ["KILL"]
    assert "one blocked the extension host for 10 seconds" in str(house.host.failures.history)


def test_its_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    house = House(tmp_path, memory_limit=1000)
    house.say(**READY)
    monkeypatch.setattr("jupyterd.extensions.host_supervisor.resident", lambda pid: 999)
    house.reactor.advance(5)
    assert house.process.transport.signals == []
    monkeypatch.setattr("jupyterd.extensions.host_supervisor.resident", lambda pid: 1001)
    house.reactor.advance(5)
    assert house.process.transport.signals == ["KILL"]


def test_a_new_run_is_told_up_to_which_update_it_need_not_wait(house: House) -> None:
    """Requests name the last update, which a run that is gone has had, or none: no other comes to the new one."""
    house.host.mirror.event("s", {})
    house.end()
    house.host.mirror.event("s", {})
    house.reactor.advance(2)
    assert json.loads(house.process.transport.sent[0])["update"] == house.host.mirror.number == 2


def test_a_restart_reads_the_configuration_again(house: House) -> None:
    house.say(**READY)
    house.host.restart()
    assert b'"stop"' in house.process.transport.sent[-1]
    house.end(0)
    assert b'"wanted": ["three"]' in house.process.transport.sent[0]


def test_a_reload_with_the_same_extensions_leaves_it(house: House) -> None:
    house.say(**READY)
    house.host.wanted = ("three",)
    house.host.reload()
    assert house.host.state == "ready"
    house.host.wanted = ("one",)
    house.host.reload()
    assert house.host.state == "restarting"


def test_the_end_waits_for_it_and_kills_it_when_it_does_not_end(house: House) -> None:
    house.say(**READY)
    stopped = house.host.stopService()
    assert not stopped.called
    house.reactor.advance(5)
    assert house.process.transport.signals == ["KILL"]
    house.end(None, 9)
    assert stopped.called
    house.reactor.advance(100)
    assert len(house.reactor.started) == 1


def test_one_that_is_ready_while_it_is_to_end_is_killed_all_the_same(house: House) -> None:
    stopped = house.host.stopService()
    house.reactor.advance(2)
    house.say(**READY)
    assert not house.host.is_ready
    house.reactor.advance(3)
    assert house.process.transport.signals == ["KILL"]
    house.end(None, 9)
    assert stopped.called


def test_one_that_is_ready_while_it_is_to_be_started_anew_is_killed_and_started_anew(house: House) -> None:
    house.host.restart()
    house.say(**READY)
    house.reactor.advance(5)
    assert house.process.transport.signals == ["KILL"]
    house.end(None, 9)
    assert len(house.reactor.started) == 2
    assert house.host.failures.history == []


def test_what_is_not_about_itself_is_passed_on(house: House) -> None:
    house.say(do="event", schema_id="s", data={})
    assert house.heard == [{"do": "event", "schema_id": "s", "data": {}}]


@pytest.mark.parametrize("line", [b"not json\n", b"x" * (33 << 20)])
def test_one_that_does_not_keep_to_its_protocol_is_ended(house: House, line: bytes) -> None:
    house.process.childDataReceived(4, line)
    assert house.process.transport.signals == ["KILL"]


def test_the_private_api_takes_the_key_alone() -> None:
    gate = HostGate(b"k" * 32, lambda: 3)
    right = SimpleNamespace(getHeader=lambda name: b"Bearer " + (b"k" * 32).hex().encode())
    wrong = SimpleNamespace(getHeader=lambda name: b"Bearer x")
    mount: Any = object()
    assert gate.admit(right, mount) is None  # type: ignore[arg-type]
    refusal = gate.admit(wrong, mount)  # type: ignore[arg-type]
    assert refusal is not None
    assert refusal.status == 403
