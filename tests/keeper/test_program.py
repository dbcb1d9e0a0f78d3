"""The keeper's program, by itself: spoken with over its socket as a daemon does."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import zmq

from jupyterd.keeper import record, start_keeper
from jupyterd.keeper.screen_file import ScreenFile
from jupyterd.keeper.start_keeper import KeeperGone, Line
from tests.real.daemon import until

pytestmark = pytest.mark.real

ENV = {"PATH": os.environ["PATH"]}


class Keeper:
    def __init__(self, place: Path) -> None:
        self.path = str(place / start_keeper.SOCKET)
        self.process = start_keeper.start(self.path)
        self.line = self.claim()

    def claim(self) -> Line:
        line = Line(self.path)
        assert line.ask("hello", claim=True)["busy"] is False
        return line

    def child(self, name: str) -> dict[str, Any]:
        return next(each for each in self.line.ask("hello")["children"] if each["name"] == name)

    def leave(self) -> None:
        self.line.close()


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    made = Keeper(tmp_path)
    yield made
    with suppress(KeeperGone):
        line = Line(made.path)
        line.ask("end", children=True)
        line.close()
    made.process.wait(10)


def pss(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def test_how_a_child_ends_is_told_and_kept(keeper: Keeper) -> None:
    keeper.line.ask("spawn", name="a", argv=["sh", "-c", "echo last words >&2; exit 7"], env=ENV)
    ended = until(lambda: None if keeper.child("a")["running"] else keeper.child("a"))
    assert (ended["status"], ended["tail"]) == (7, "last words\n")
    assert [event["event"] for event in keeper.line.events] == ["stderr", "ended"]
    keeper.leave()
    keeper.process.wait(10)  # nothing is left to keep


def test_the_last_words_outlive_it(keeper: Keeper, tmp_path: Path) -> None:
    keeper.line.ask("spawn", name="a", argv=["sh", "-c", "sleep 0.3; exit 7"], env=ENV)
    keeper.leave()
    assert keeper.process.wait(10) == 0
    assert '"status": 7' in (tmp_path / "ended.json").read_text()
    assert not os.path.exists(keeper.path)


def test_a_child_goes_on_without_a_daemon(keeper: Keeper) -> None:
    keeper.line.ask("spawn", name="a", argv=["sh", "-c", "sleep 60"], env=ENV)
    pid = keeper.child("a")["pid"]
    keeper.leave()
    time.sleep(0.3)
    keeper.line = keeper.claim()
    assert keeper.child("a")["running"]
    keeper.line.ask("signal", name="a", signal=int(signal.SIGTERM), group=True)
    assert until(lambda: not keeper.child("a")["running"])
    assert keeper.child("a")["status"] == -signal.SIGTERM
    assert not os.path.exists(f"/proc/{pid}")


def test_what_a_child_leaves_in_its_group_is_killed(keeper: Keeper) -> None:
    keeper.line.ask("spawn", name="a", argv=["sh", "-c", "sleep 61 & echo $! >&2"], env=ENV)
    pid = int(until(lambda: keeper.child("a")["tail"]))
    until(lambda: not keeper.child("a")["running"])
    until(lambda: not os.path.exists(f"/proc/{pid}") or b"Z" in Path(f"/proc/{pid}/stat").read_bytes().split()[2:3])


def test_one_that_no_daemon_could_find_ends_with_its_children(tmp_path: Path) -> None:
    code = "import sys; from jupyterd.keeper import server, __main__; server.LOOKS = 0.2; __main__.main(sys.argv[1:])"
    place = tmp_path / "state"
    place.mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path := str(place / start_keeper.SOCKET))
        listening.listen()
        program = [sys.executable, "-c", code, str(listening.fileno()), path]
        process = subprocess.Popen(program, pass_fds=[listening.fileno()])
    line = Line(path)
    line.ask("hello", claim=True)
    pid = line.ask("spawn", name="a", argv=["sleep", "60"], env=ENV)["pid"]
    line.close()
    time.sleep(0.6)
    assert process.poll() is None
    shutil.rmtree(place)
    assert process.wait(20) == 0
    assert not os.path.exists(f"/proc/{pid}")


def test_two_daemons_do_not_have_it_at_a_time(keeper: Keeper) -> None:
    assert os.stat(keeper.path).st_mode & 0o777 == 0o600
    other = Line(keeper.path)
    assert other.ask("hello", claim=True)["busy"] is True
    keeper.line.ask("spawn", name="a", argv=["sleep", "60"], env=ENV)
    keeper.leave()
    until(lambda: other.ask("hello", claim=True)["busy"] is False)
    other.close()


def test_what_can_not_be_done_is_an_error_and_nothing_else(keeper: Keeper) -> None:
    ask = keeper.line.ask
    assert "No such file" in ask("spawn", name="a", argv=["/does/not/exist"], env=ENV)["error"]
    assert ask("spawn", name="a", argv=["sh"], env=ENV, cwd="/does/not/exist")["error"]
    for op, fields in (
        ("signal", {"name": "nobody", "signal": 9}), ("descriptor", {"name": "nobody"}), ("record", {"name": "x"}),
        ("nonsense", {}), ("spawn", {}), ("spawn", {"name": 1, "argv": 2, "env": 3}), ("hold", {"key": 1}),
        ("adopt", {"name": "a", "pid": 1, "started": 5}), ("listen", {"name": "k", "addresses": {}}),
    ):  # fmt: skip
        assert "error" in ask(op, **fields), op
    assert ask("hello")["children"] == []


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b"\xff\xff\xff\xff", b"\0\0\0\2[]"])
def test_who_speaks_another_language_is_cut_off(keeper: Keeper, data: bytes) -> None:
    line = Line(keeper.path)
    line._socket.sendall(data)
    with pytest.raises(OSError):
        line.next()
    assert keeper.line.ask("hello")["busy"] is False


def test_a_terminal_is_read_by_who_is_there(keeper: Keeper, tmp_path: Path) -> None:
    path = str(tmp_path / "screen")
    script = "for i in 1 2 3 4 5 6; do echo line$i; sleep 0.2; done; sleep 60"
    argv = ["sh", "-c", script]
    keeper.line.ask("spawn", name="t", kind="terminal", argv=argv, program="/bin/sh", env=ENV, screen=path)
    (fd,) = keeper.line.fds
    screen = ScreenFile(path)
    ours = b""
    while b"line2" not in ours:
        with suppress(BlockingIOError):
            piece = os.read(fd, 100)
            ours += piece
            screen.append(piece)
    keeper.leave()
    os.close(fd)

    def shown() -> bytes:
        screen.refresh()
        return screen.read()

    until(lambda: b"line6" in shown())
    assert shown().split() == [b"line%d" % number for number in range(1, 7)]


def test_children_of_a_killed_keeper_are_adopted(keeper: Keeper, tmp_path: Path) -> None:
    model = keeper.line.ask("spawn", name="a", argv=["sh", "-c", "echo before >&2; sleep 60"], env=ENV)
    fds = tuple(keeper.line.fds)
    keeper.process.kill()
    keeper.process.wait()
    os.kill(model["pid"], 0)
    keeper.process = start_keeper.start(keeper.path)
    keeper.line = keeper.claim()
    wrong = {**model, "started": model["started"] + 1}
    assert "error" in keeper.line.ask("adopt", **{key: wrong[key] for key in ("name", "kind", "pid", "started")})
    keeper.line.ask("adopt", fds, **{key: model[key] for key in ("name", "kind", "pid", "started")})
    assert keeper.child("a")["running"]
    keeper.line.ask("signal", name="a", signal=9, group=True)
    assert until(lambda: not keeper.child("a")["running"])
    assert keeper.child("a")["status"] is None  # nobody could wait for it


class Publisher:
    """A kernel's iopub."""

    def __init__(self, place: Path) -> None:
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.PUB)
        self.socket.bind(f"ipc://{place}/k-1")
        self.addresses = {name.decode(): f"ipc://{place}/k-{number}" for number, name in enumerate(record.CHANNELS, 1)}

    def say(self, number: int) -> None:
        self.socket.send_multipart([b"topic", record.DELIMITER, b"sig%d" % number, b"{}", b"{}", b"{}", b"{}"])

    def close(self) -> None:
        self.context.destroy(linger=0)


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Publisher]:
    made = Publisher(tmp_path)
    yield made
    made.close()


def heard(path: Path) -> list[str]:
    return [each.parts[0].decode() for each in record.unpack(path.read_bytes())[0]] if path.exists() else []


def test_what_no_daemon_heard_is_written_down_and_what_was_stored_is_not(
    keeper: Keeper, kernel: Publisher, tmp_path: Path
) -> None:
    path = tmp_path / "kernel" / "heard.log"
    keeper.line.ask("spawn", name="a", argv=["sleep", "60"], env=ENV)
    keeper.line.ask("listen", name="k", addresses=kernel.addresses, file=str(path))
    until(lambda: kernel.say(0) or keeper.line.ask("hello")["listening"][0]["heard"])
    for number in range(1, 11):
        kernel.say(number)
    until(lambda: keeper.line.ask("hello")["listening"][0]["heard"] >= 11)
    keeper.line.ask("stored", name="k", signature="sig4")
    assert not path.exists()
    keeper.leave()
    until(lambda: path.exists())
    for number in range(11, 21):
        kernel.say(number)
    until(lambda: "sig20" in heard(path))
    assert heard(path) == [f"sig{number}" for number in range(5, 21)]
    assert path.stat().st_mode & 0o777 == 0o600
    keeper.line = keeper.claim()
    kernel.say(21)
    until(lambda: "sig21" in heard(path))  # until the daemon says that it hears by itself
    assert keeper.line.ask("release", name="k")["size"] == path.stat().st_size
    keeper.line.ask("forget_file", name="k")
    assert not path.exists()


def test_a_kernel_that_floods_is_not_listened_to_along_but_without_a_daemon_it_is(
    keeper: Keeper, kernel: Publisher, tmp_path: Path
) -> None:
    path = tmp_path / "heard.log"
    keeper.line.ask("spawn", name="a", argv=["sleep", "60"], env=ENV)
    keeper.line.ask("listen", name="k", addresses=kernel.addresses, file=str(path))
    until(lambda: kernel.say(0) or keeper.line.ask("hello")["listening"][0]["heard"])
    for number in range(30_000):
        kernel.say(number)
        if number % 500 == 0:
            time.sleep(0.005)
    assert keeper.line.ask("hello")["listening"][0]["heard"] < 10_000
    keeper.leave()
    until(lambda: kernel.say(30_001) or "sig30001" in heard(path))


def test_the_quota_is_kept_and_what_is_missing_is_counted(keeper: Keeper, kernel: Publisher, tmp_path: Path) -> None:
    path = tmp_path / "heard.log"
    keeper.line.ask("spawn", name="a", argv=["sleep", "60"], env=ENV)
    keeper.line.ask("listen", name="k", addresses=kernel.addresses, file=str(path), quota=1000)
    keeper.line.ask("record", name="k")
    until(lambda: kernel.say(0) or keeper.line.ask("hello")["listening"][0]["heard"])
    for number in range(1, 101):
        kernel.say(number)
    until(lambda: keeper.line.ask("hello")["listening"][0]["heard"] >= 101)
    (told,) = keeper.line.ask("hello")["listening"]
    assert path.stat().st_size <= 1000
    assert told["lost"] == told["heard"] - len(heard(path)) > 0


def test_a_client_s_connection_is_ended_in_order_when_the_daemon_is_killed(keeper: Keeper) -> None:
    import socket

    listening = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listening.getsockname())
    ours, _ = listening.accept()
    keeper.line.ask("spawn", name="a", argv=["sleep", "60"], env=ENV)
    keeper.line.ask("hold", (ours.fileno(),), key=1)
    ours.sendall(b"x" * 50_000)
    client.sendall(b"not read by anybody")
    ours.close()
    keeper.leave()
    client.settimeout(10)
    came = b""
    while piece := client.recv(65536):
        came += piece
        client.sendall(b"an answer that resets a closed connection")
    assert len(came) == 50_000
    client.close()
    listening.close()


def test_it_is_small_and_rests(keeper: Keeper, kernel: Publisher, tmp_path: Path) -> None:
    keeper.line.ask("spawn", name="a", argv=["sleep", "60"], env=ENV)
    keeper.line.ask("listen", name="k", addresses=kernel.addresses, file=str(tmp_path / "heard.log"))
    pid = keeper.process.pid
    assert pss(pid) < 16 * 1024

    def ticks() -> int:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    before = ticks()
    time.sleep(2)
    assert ticks() - before <= 1
    subprocess.run(["kill", "-TERM", str(pid)], check=True)
    assert keeper.process.wait(10) == 0
