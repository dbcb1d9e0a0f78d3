"""Terminals, with a process in memory: REST, the websocket protocol, screens, slow clients, culling."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import ProcessDone
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from jupyterd.errors import Failed, Invalid
from jupyterd.terminals.manager import NoSuchTerminal, Terminals
from jupyterd.terminals.resource import TerminalsResource
from jupyterd.terminals.screen import RESET, Screen
from jupyterd.terminals.settings import Shell, TerminalManager
from jupyterd.terminals.terminal import SIGNAL_INTERVAL
from jupyterd.testing.deferreds import at_once
from jupyterd.testing.http import MemorySite
from jupyterd.web.root import Root
from tests.memory_websocket import Socket


@dataclass
class MemoryProcess:
    """A process's side of a pseudo-terminal."""

    protocol: Any
    command: Any
    options: dict[str, Any]
    pid: int = 0
    written: list[bytes] = field(default_factory=list)
    paused: bool = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert streaming

    def say(self, text: str | bytes) -> None:
        self.protocol.childDataReceived(1, text if isinstance(text, bytes) else text.encode())

    def end(self) -> None:
        self.protocol.processEnded(Failure(ProcessDone(None)))


class Reactor(MemoryReactorClock):
    """Starts processes in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.processes: list[MemoryProcess] = []

    def spawnProcess(self, protocol: Any, program: str, command: Any, **options: Any) -> None:  # type: ignore[override]
        process = MemoryProcess(protocol, command, {"program": program, **options}, pid=1000 + len(self.processes))
        self.processes.append(process)
        protocol.makeConnection(process)


@dataclass
class House:
    site: MemorySite
    terminals: Terminals
    reactor: Reactor
    signals: list[tuple[int, int]]

    @property
    def process(self) -> MemoryProcess:
        return self.reactor.processes[-1]

    def open(self, name: str = "1") -> Socket:
        return Socket(self.site, f"/terminals/websocket/{name}")

    def text(self, socket: Socket) -> str:
        return "".join(value for kind, value in socket.receive() if kind == "stdout")


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    signals: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "killpg", lambda pid, number: signals.append((pid, number)))
    return build(tmp_path, signals)


def build(root_dir: Path, signals: Any = None, **settings: Any) -> House:
    reactor = Reactor()
    shell = Shell(("sh", "-l"), {"TERM": "xterm"}, str(root_dir))
    terminals = Terminals(reactor, TerminalManager(**settings), lambda: shell)
    resource = TerminalsResource(terminals, str(root_dir), at_once, (0.0, 0.0)).app.resource()
    root = Root()
    root.mount("/api/terminals", lambda: resource, auth="terminals")
    root.mount("/terminals/websocket", lambda: resource, auth="terminals", websocket=True)
    return House(MemorySite(root, reactor=reactor), terminals, reactor, signals)


# -- REST


def test_terminals_are_started_listed_and_ended(house: House) -> None:
    site = house.site
    assert site.request("GET", "/api/terminals").json() == []
    model = site.request("POST", "/api/terminals").json()
    assert set(model) == {"name", "last_activity"}
    assert model["name"] == "1"
    assert model["last_activity"].endswith("Z")
    assert site.request("GET", "/api/terminals/1").json()["name"] == "1"
    assert [each["name"] for each in site.request("GET", "/api/terminals").json()] == ["1"]
    assert site.request("POST", "/api/terminals").json()["name"] == "2"
    house.reactor.processes[0].end()
    assert [each["name"] for each in site.request("GET", "/api/terminals").json()] == ["2"]
    assert site.request("POST", "/api/terminals").json()["name"] == "1"


def test_the_shell_starts_where_it_should(house: House, tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    for told, where in (
        (None, tmp_path),
        (str(tmp_path / "below"), tmp_path / "below"),
        ("below", tmp_path / "below"),
        ("nope", tmp_path),
        ("a\0b", tmp_path),
    ):
        house.site.request("POST", "/api/terminals", json_body={} if told is None else {"cwd": told})
        assert house.process.options["path"] == str(where)
    assert house.process.command == ("sh", "-l")
    assert house.process.options["usePTY"]
    environment = house.process.options["env"]
    assert (environment["TERM"], environment["COLUMNS"], environment["PYXTERM_DIMENSIONS"]) == ("xterm", "80", "80x25")


@pytest.mark.parametrize("body", [b"[1]", b"{", b'{"name": 3}', b'{"cwd": 3}', b'{"name": "a/b"}', b'{"name": ""}'])
def test_bad_requests_start_nothing(house: House, body: bytes) -> None:
    assert house.site.request("POST", "/api/terminals", body).status == 400
    assert house.reactor.processes == []


def test_a_name_that_runs_is_not_started_again(house: House) -> None:
    for _ in range(2):
        assert house.site.request("POST", "/api/terminals", json_body={"name": "mine"}).json()["name"] == "mine"
    assert len(house.reactor.processes) == 1


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_unknown_terminals(house: House, method: str) -> None:
    answer = house.site.request(method, "/api/terminals/x")
    assert (answer.status, answer.json()) == (404, {"message": "Terminal not found: x", "reason": None})
    assert house.site.request("PUT", "/api/terminals/x").status == 405
    assert house.open("x").status == 404


def test_a_program_that_does_not_exist(tmp_path: Path) -> None:
    house = build(tmp_path)
    house.terminals._shell = lambda: Shell(("no-such-shell",), {}, str(tmp_path))
    answer = house.site.request("POST", "/api/terminals")
    assert answer.status == 500
    assert "no-such-shell" in answer.json()["message"]
    assert len(house.terminals) == 0


def test_ending_asks_kindly_first(house: House) -> None:
    house.terminals.create()
    connection = house.site.connect()
    connection.send(b"DELETE /api/terminals/1 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert [number for _, number in house.signals] == [signal.SIGHUP, signal.SIGCONT]
    for _ in range(3):
        house.reactor.advance(SIGNAL_INTERVAL)
    assert [number for _, number in house.signals][2:] == [signal.SIGINT, signal.SIGTERM, signal.SIGKILL]
    assert connection.received() == b""
    house.process.end()
    house.reactor.advance(SIGNAL_INTERVAL)
    assert connection.received().startswith(b"HTTP/1.1 204")
    assert {pid for pid, _ in house.signals} == {1000}


# -- the websocket


def test_a_client_sees_what_was_and_what_comes_and_types(house: House) -> None:
    house.terminals.create()
    house.process.say("before ")
    client = house.open()
    assert client.status == 101
    assert client.receive() == [["setup", {}], ["stdout", "before "]]
    house.process.say("after")
    assert client.receive() == [["stdout", "after"]]
    client.send(["stdin", "ls ä\r"])
    assert house.process.written == ["ls ä\r".encode()]


def test_all_clients_see_the_same_and_one_that_comes_back_sees_it_again(house: House) -> None:
    house.terminals.create()
    one, two = house.open(), house.open()
    house.process.say("x")
    assert house.text(one) == house.text(two) == "x"
    one.vanish()
    house.process.say("y")
    assert house.text(two) == "y"
    assert house.text(house.open()) == "xy"


def test_bytes_may_come_in_the_middle_of_a_character(house: House) -> None:
    house.terminals.create()
    client = house.open()
    for byte in "ä€😀".encode():
        house.process.say(bytes([byte]))
    house.process.say(b"\xff!")
    assert house.text(client) == "ä€😀\ufffd!"


@pytest.mark.parametrize(
    "message",
    ["", "{", "[]", "3", "{}", '["stdin"]', '["stdin", 3]', '["set_size", 1]', '["set_size", "a", "b"]',
     '["set_size", -1, 0]', '["set_size", 1e9, 2]', '["other", 1]', '["set_size", true, true]', "null", "[" * 20_000],
)  # fmt: skip
def test_messages_that_are_none_change_nothing(house: House, message: str) -> None:
    house.terminals.create()
    client = house.open()
    client.send(message)
    house.process.say("still here")
    assert house.text(client) == "still here"
    assert house.process.written == []


def test_the_terminal_is_as_large_as_its_smallest_viewer(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = house.terminals.create()
    sizes: list[tuple[int, int]] = []
    monkeypatch.setattr(terminal, "_resize", lambda size: (sizes.append(size), setattr(terminal, "_size", size)))
    one, two = house.open(), house.open()
    one.send(["set_size", 40, 100, 600, 800])
    two.send(["set_size", 30, 120])
    two.send(["set_size", 30, 120])
    two.vanish()
    assert sizes == [(40, 100), (30, 100), (40, 100)]


def test_the_end_is_told(house: House) -> None:
    house.terminals.create()
    client = house.open()
    client.receive()
    house.process.end()
    assert client.receive() == [["disconnect", 1]]
    assert client.close_code == 1000
    with pytest.raises(NoSuchTerminal):
        house.terminals["1"]


# -- flow


def test_a_slow_client_lags_and_catches_up_while_others_read(house: House) -> None:
    house.terminals.create()
    slow, fast = house.open(), house.open()
    house.process.say("a")
    assert (house.text(slow), house.text(fast)) == ("a", "a")
    slow.stop_reading()
    house.process.say("b")
    house.process.say("c")
    assert (house.text(slow), house.text(fast)) == ("", "bc")
    assert not house.process.paused
    slow.read_on()
    assert house.text(slow) == "bc"
    house.process.say("d")
    assert house.text(slow) == "d"


def test_where_nobody_reads_the_process_waits(house: House) -> None:
    house.terminals.create()
    client = house.open()
    client.stop_reading()
    assert house.process.paused
    other = house.open()
    assert not house.process.paused
    other.vanish()
    assert house.process.paused
    client.vanish()
    assert not house.process.paused, "without viewers it goes on, and the screen keeps the tail"


def test_a_client_that_missed_too_much_gets_a_fresh_screen(house: House) -> None:
    terminal = house.terminals.create()
    terminal.screen = Screen(limit=10)
    slow, fast = house.open(), house.open()
    slow.stop_reading()
    for line in ("one\n", "two\n", "three\n", "four\n"):
        house.process.say(line)
    slow.read_on()
    assert house.text(slow) == RESET + "four\n"
    assert house.text(fast) == "one\ntwo\nthree\nfour\n"


def test_input_waits_for_a_process_that_does_not_read(house: House) -> None:
    terminal = house.terminals.create()
    client = house.open()
    terminal.pauseProducing()
    assert client.transport.producerState == "paused"
    terminal.resumeProducing()
    assert client.transport.producerState == "producing"


# -- culling and the end


def test_idle_terminals_are_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "killpg", lambda pid, number: None)
    house = build(tmp_path, cull_inactive_timeout=100, cull_interval=30)
    house.terminals.create("idle")
    house.terminals.create("busy")
    idle, busy = house.reactor.processes
    for _ in range(4):
        house.reactor.advance(29)
        busy.say("x")
        house.reactor.advance(1)
    assert len(house.reactor.getDelayedCalls()) >= 2, "the idle one is asked to end"
    idle.end()
    assert [each["name"] for each in house.terminals.list()] == ["busy"]


def test_nothing_is_watched_by_default(house: House) -> None:
    house.terminals.create()
    assert house.reactor.getDelayedCalls() == []


def test_the_end_of_the_service_ends_all(house: House) -> None:
    house.terminals.startService()
    for _ in range(3):
        house.terminals.create()
    done: list[Any] = []
    house.terminals.stopService().addCallback(done.append)
    assert {pid for pid, _ in house.signals} == {1000, 1001, 1002}
    for process in list(house.reactor.processes):
        process.end()
    house.reactor.advance(SIGNAL_INTERVAL)
    assert len(done) == 1
    assert len(house.terminals) == 0


def test_there_is_an_end_to_terminals(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jupyterd.terminals.manager.MAX_TERMINALS", 2)
    house.terminals.create()
    house.terminals.create()
    with pytest.raises(Failed):
        house.terminals.create()
    with pytest.raises(Invalid):
        house.terminals.create("..")


# -- the screen


@given(st.lists(st.text(alphabet="ab\n\x1b[", max_size=8)), st.integers(0, 20), st.data())
def test_a_screen_holds_the_tail_and_never_more(pieces: list[str], limit: int, data: st.DataObject) -> None:
    screen = Screen(limit)
    for piece in pieces:
        screen.append(piece)
        assert screen.end - screen.start <= limit
    whole = "".join(pieces)
    assert screen.end == len(whole)
    place = data.draw(st.integers(0, len(whole)))
    missed = screen.since(place)
    if place >= screen.start:
        assert missed == whole[place:]
    else:
        assert missed == ("" if place >= screen.end else RESET + whole[screen.start :])


def test_a_screen_with_room_loses_nothing() -> None:
    screen = Screen(100)
    for number in range(10):
        screen.append(str(number))
    assert screen.since(0) == "0123456789"
    assert screen.since(8) == "89"
    assert screen.since(10) == ""


# -- settings


@pytest.mark.parametrize(
    ("settings", "command"),
    [
        ({"shell_command": ["/bin/zsh", "-i"]}, ("/bin/zsh", "-i")),
        ({"shell_command": "bash --norc"}, ("bash", "--norc")),
        ({}, ("/bin/mysh", "-l")),
    ],
)
def test_the_shell_is_the_operators_or_the_users(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], command: tuple[str, ...]
) -> None:
    monkeypatch.setenv("SHELL", "/bin/mysh")
    monkeypatch.setattr("jupyterd.terminals.settings._at_terminal", lambda: False)
    assert Shell.of(settings, "/root", "http://x/").command == command


def test_the_environment_says_where_the_server_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GONE", "x")
    shell = Shell.of({"extra_env": {"MORE": "1", "GONE": None}}, "/root", "http://x/")
    variables = shell.variables(25, 80)
    assert (variables["JUPYTER_SERVER_ROOT"], variables["JUPYTER_SERVER_URL"]) == ("/root", "http://x/")
    assert variables["MORE"] == "1"
    assert "GONE" not in variables
