"""Kernels, sessions, terminals and all that they say outlive the daemon; see docs/survival.md."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.real.daemon import BIN, Daemon, alive, children_of, environment, until
from tests.real.survival import PATIENCE, Follower, Reborn, Shell, reborn
from tests.real.tab import Message, Tab, of_type, printed
from tests.supervision.addresses.test_tls import certificate

KILLS = int(os.environ.get("JUPYTERD_KILLS", "10"))
"""How often the daemon is killed; set it to 50 for the long form."""

RATES = {"slow": 10, "fast": 500, "flood": 0}
"""Lines a second that each kernel prints; with 0 as many as it can."""

MISSING = re.compile(r"\[jupyterd\] (?:About )?(\d+) messages")
COUNTING = """
import time
number = 0
begin = time.monotonic()
while time.monotonic() < begin + {seconds} and not stop_file.exists():
    print(number, flush=True)
    number += 1
    {pause}
"""
PREPARE = "from pathlib import Path; stop_file = Path({path!r}); kept = 'kept {number}'"


def lines_of(messages: list[Message]) -> tuple[list[int], int]:
    """The numbers that were printed, in the order they came, and how many messages were told to be missing."""
    text = printed(messages)
    return [int(line) for line in text.split("\n") if line.isdigit()], sum(map(int, MISSING.findall(text)))


@dataclass
class Counting:
    """A kernel that prints numbers, and its two clients."""

    name: str
    kernel: str
    session: str
    both: list[Follower]
    asked: str = ""

    def start(self, number: int, rate: float, stop_file: Path) -> None:
        asker = self.both[0].ready()
        asker.await_done(asker.tab.execute(PREPARE.format(path=str(stop_file), number=number)))
        pause = f"time.sleep({1 / rate})" if rate else "pass"
        self.asked = asker.tab.execute(COUNTING.format(seconds=3600, pause=pause))

    def check(self) -> None:
        """Every line is there once and in its place, or told to be missing; of a flood alone some may be."""
        self.both[0].await_done(self.asked, 180)
        until(lambda: self.both[1].is_idle(self.asked), 180, f"{self.name}: the second client did not hear the end")
        for follower in self.both:
            said = follower.of(self.asked)
            ids = Counter(m["header"]["msg_id"] for m in said)
            doubled = [i for i, times in ids.items() if times > 1]
            assert doubled == [], f"{follower.session}: {len(doubled)} messages came twice"
            numbers, missing = lines_of(said)
            assert numbers == sorted(set(numbers)), f"{follower.session}: out of order"
            lost = numbers[-1] + 1 - len(numbers)
            if self.name != "flood":
                assert (lost, missing) == (0, 0), f"{follower.session}: {lost} of {numbers[-1]} lost, {missing} told"
            elif lost:
                assert missing > 0, f"{follower.session}: {lost} of {numbers[-1]} lost, and nobody says so"


def counting(server: Reborn, name: str, *ways: dict[str, Any]) -> Counting:
    """:param ways: how its two clients come; see :class:`Follower`."""
    body = {"path": f"{name}.ipynb", "type": "notebook", "name": name, "kernel": {"name": "python3"}}
    session = server.daemon.json("POST", "/api/sessions", body)
    kernel = session["kernel"]["id"]
    return Counting(
        name,
        kernel,
        session["id"],
        [Follower(server, kernel, f"{name}-{n}", **by) for n, by in enumerate(ways or ({}, {}))],
    )


def await_back(everybody: list[Follower], kills: int) -> None:
    def missing() -> str:
        return ", ".join(f"{each.session} ({each.reconnects})" for each in everybody if not each.is_back(kills))

    until(lambda: not missing(), PATIENCE, f"after {kills} kills not all clients came back")


def ids_at(daemon: Daemon, path: str, key: str = "id") -> list[str]:
    return sorted(model[key] for model in daemon.json("GET", path))


@pytest.mark.timeout(1800)
def test_ten_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    """Three kernels print, a terminal counts, a notebook is saved; two clients of each kernel come back each time."""
    randomly = random.Random(KILLS)
    stop_file = tmp_path / "stop"
    with reborn(tmp_path) as server:
        daemon = server.daemon
        countings = [counting(server, name) for name in RATES]
        assert daemon.json("POST", "/api/terminals", {})["name"] == "1"
        for number, each in enumerate(countings):
            each.start(number, RATES[each.name], stop_file)
        shell = Shell(server, "1")
        shell.type(f"i=0; while [ ! -e {stop_file} ]; do echo count$i; i=$((i+1)); sleep 0.1; done; echo fin''ished\r")
        shell.until(lambda text: "count3" in text)
        shell.close()
        saver = Saver(server)
        everybody = [follower for each in countings for follower in each.both]
        for killed in range(KILLS):
            await_back(everybody, killed)
            time.sleep(randomly.uniform(0.2, 1.5))
            server.kill()
            time.sleep(randomly.uniform(0.0, 0.4))
            daemon = server.start()
            assert ids_at(daemon, "/api/kernels") == sorted(each.kernel for each in countings)
            assert ids_at(daemon, "/api/sessions") == sorted(each.session for each in countings)
            assert ids_at(daemon, "/api/terminals", "name") == ["1"]
        await_back(everybody, KILLS)
        stop_file.touch()
        for each in countings:
            each.check()
        for number, each in enumerate(countings):
            asker = each.both[0]
            assert printed(asker.await_done(asker.tab.execute("print(kept)"))) == f"kept {number}\n"
        shell = Shell(server, "1")
        shown = shell.until(lambda text: "finished" in text)
        counted = [int(number) for number in re.findall(r"count(\d+)", shown.split("fin''ished")[-1])]
        assert counted == list(range(len(counted)))
        shell.close()
        saver.stop()
        assert saver.saved > 0, "nothing was saved"
        assert json.loads((tmp_path / "root" / "saved.ipynb").read_text())["cells"] == []
        for follower in everybody:
            follower.close()
        for each in countings:
            assert daemon.ask("DELETE", f"/api/sessions/{each.session}").status == 204
        assert daemon.ask("DELETE", "/api/terminals/1").status == 204
        keeper = daemon.keeper()
        until(lambda: not children_of(keeper), 60, "the keeper has children whose kernels and terminals are gone")
        fds = descriptors_of(keeper)
        assert not [fd for fd in fds if "pipe" in fd or "ptmx" in fd], fds
        sockets = [Path(os.readlink(path)) for path in (tmp_path / "runtime").glob("jupyterd-state-*/sockets")]
        assert daemon.stop() == 0, daemon.log[-2000:]
        until(lambda: not alive(keeper), 60, "the keeper did not end with all that it kept")
    left = [str(path) for path in (*(tmp_path / "runtime").iterdir(), *sockets) if path.exists()]
    assert left == [], "files are left behind"


@pytest.mark.timeout(1800)
def test_kills_lose_and_double_nothing_over_tls_and_a_unix_socket(tmp_path: Path) -> None:
    """Each kernel has a client by the one, and a client by the other."""
    randomly = random.Random(KILLS)
    stop_file = tmp_path / "stop"
    certfile, keyfile = certificate(tmp_path)
    with TemporaryDirectory() as short:
        options = [f"--certfile={certfile}", f"--keyfile={keyfile}", f"--endpoints=unix:{short}/s"]
        with reborn(tmp_path, *options) as server:
            countings = [counting(server, name, {}, {"sock": f"{short}/s", "tls": False}) for name in ("fast", "flood")]
            for number, each in enumerate(countings):
                each.start(number, RATES[each.name], stop_file)
            everybody = [follower for each in countings for follower in each.both]
            for killed in range(max(3, KILLS // 3)):
                time.sleep(randomly.uniform(0.2, 1.0))
                server.kill()
                server.start()
                await_back(everybody, killed + 1)
            stop_file.touch()
            for each in countings:
                each.check()
            for follower in everybody:
                follower.close()


def descriptors_of(pid: int) -> list[str]:
    """What a process has open; without what it closes just now."""
    found = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
    return found


class Saver:
    """Saves a notebook in a loop; counts how often."""

    def __init__(self, server: Reborn) -> None:
        self._server, self._over, self.saved = server, False, 0
        self._thread = threading.Thread(target=self._save, daemon=True)
        self._thread.start()

    def _save(self) -> None:
        content = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        while not self._over:
            with suppress(Exception):
                body = {"type": "notebook", "format": "json", "content": content}
                answer = self._server.daemon.ask("PUT", "/api/contents/saved.ipynb", body, timeout=5.0)
                self.saved += answer.status in (200, 201)
            time.sleep(0.02)

    def stop(self) -> None:
        self._over = True
        self._thread.join(10)


def execute(tab: Tab, code: str) -> str:
    return printed(tab.until_done(tab.execute(code)))


def test_a_reply_that_comes_while_no_daemon_is_there_is_not_lost(tmp_path: Path) -> None:
    with reborn(tmp_path) as server:
        kernel = server.daemon.start_kernel()
        tab = Tab(server.daemon, kernel).ready()
        msg_id = tab.execute("import time; time.sleep(1.5); print('done')")
        tab.until(lambda m: m["content"].get("execution_state") == "busy")
        time.sleep(0.3)
        server.kill()
        time.sleep(2.5)
        server.start()
        again = Tab(server.daemon, kernel, session=tab.session)
        said = again.until_done(msg_id)
        assert printed(said) == "done\n"
        assert [m["content"]["status"] for m in of_type(said, "execute_reply")] == ["ok"]


def test_a_request_that_the_kernel_never_got_is_answered_with_an_error(tmp_path: Path) -> None:
    with reborn(tmp_path) as server:
        kernel = server.daemon.start_kernel()
        tab = Tab(server.daemon, kernel).ready()
        pid = int(execute(tab, "import os; print(os.getpid())"))
        os.kill(pid, signal.SIGSTOP)
        lost = tab.execute("print('never')")
        time.sleep(0.5)
        server.kill()
        # What lies in the daemon's and the kernel's buffers goes with the connection when the kernel looks again.
        os.kill(pid, signal.SIGCONT)
        server.start()
        again = Tab(server.daemon, kernel, session=tab.session)
        (reply,) = of_type(again.until_done(lost), "execute_reply")
        assert reply["content"]["status"] in ("ok", "error")
        assert execute(again, "print(6 * 7)") == "42\n"


@pytest.mark.parametrize("others", [0, 1], ids=["the keeper ends too", "the keeper is there"])
def test_how_a_kernel_ended_is_known_although_no_daemon_saw_it(tmp_path: Path, others: int) -> None:
    with reborn(tmp_path) as server:
        kernel = server.daemon.start_kernel()
        other = [server.daemon.start_kernel() for _ in range(others)]
        tab = Tab(server.daemon, kernel).ready()
        pid = int(execute(tab, "import os; print(os.getpid())"))
        keeper = server.daemon.keeper()
        server.kill()
        os.kill(pid, signal.SIGKILL)
        until(lambda: not alive(pid if others else keeper))
        server.start()
        models = {model["id"]: model for model in server.daemon.json("GET", "/api/kernels?dead=1")}
        assert models[kernel]["execution_state"] == "dead"
        assert "SIGKILL" in models[kernel]["reason"]
        assert all(models[each]["execution_state"] != "dead" for each in other)
        assert server.daemon.ask("POST", f"/api/kernels/{kernel}/restart").status == 200
        assert execute(Tab(server.daemon, kernel).ready(), "print(1)") == "1\n"


def test_an_adopted_kernel_is_a_kernel_like_any_other(tmp_path: Path) -> None:
    """Interrupted, restarted, killed and restarted by itself, shut down; its directory and environment stay."""
    with reborn(tmp_path) as server:
        (tmp_path / "root" / "place").mkdir()
        body = {"path": "place/a.ipynb", "type": "notebook", "name": "a", "kernel": {"name": "python3"}}
        kernel = server.daemon.json("POST", "/api/sessions", body)["kernel"]["id"]
        tab = Tab(server.daemon, kernel).ready()
        execute(tab, "x = 1")
        server.kill()
        server.start()
        where = "import os; print(os.getcwd(), os.environ['JPY_SESSION_NAME'])"
        there = f"{tmp_path / 'root' / 'place'} {tmp_path / 'root' / 'place/a.ipynb'}"
        tab = Tab(server.daemon, kernel).ready()
        assert execute(tab, "print(x)") == "1\n"
        sleeping = tab.execute("import time; time.sleep(60)")
        tab.until(lambda m: m["content"].get("execution_state") == "busy")
        server.daemon.json("POST", f"/api/kernels/{kernel}/interrupt")
        (reply,) = of_type(tab.until_done(sleeping), "execute_reply")
        assert reply["content"]["ename"] == "KeyboardInterrupt"
        server.daemon.json("POST", f"/api/kernels/{kernel}/restart")
        tab.ready()
        assert execute(tab, where).strip().split()[0] == there.split()[0]
        pid = int(execute(tab, "import os; print(os.getpid())"))
        os.kill(pid, signal.SIGKILL)
        tab.until(lambda m: m["content"].get("execution_state") == "restarting")
        tab.ready()
        assert int(execute(tab, "import os; print(os.getpid())")) != pid
        assert server.daemon.ask("DELETE", f"/api/kernels/{kernel}").status == 204


def test_the_keeper_is_killed_and_nothing_else_is(tmp_path: Path) -> None:
    with reborn(tmp_path) as server:
        kernel = server.daemon.start_kernel()
        name = server.daemon.json("POST", "/api/terminals", {})["name"]
        tab = Tab(server.daemon, kernel).ready()
        pid = int(execute(tab, "import os; x = 5; print(os.getpid())"))
        fast, stop_file = counting(server, "fast"), tmp_path / "stop"
        fast.start(0, RATES["fast"], stop_file)
        os.kill(server.daemon.keeper(), signal.SIGKILL)
        until(lambda: "is taken over" in server.daemon.log or "what it kept" in server.daemon.log)
        assert execute(tab, "print(x)") == "5\n"
        shell = Shell(server, name)
        shell.type("echo al''ive\r")
        shell.until(lambda text: "alive" in text)
        shell.close()
        server.daemon.start_kernel()  # by the new one
        server.kill()
        server.start()
        await_back(fast.both, 1)
        stop_file.touch()
        fast.check()
        for follower in fast.both:
            follower.close()
        assert execute(Tab(server.daemon, kernel).ready(), "print(x)") == "5\n"
        os.kill(pid, signal.SIGKILL)
        until(lambda: int(execute(Tab(server.daemon, kernel).ready(), "import os; print(os.getpid())")) != pid, 30)


def test_keeper_and_daemon_are_killed_and_the_kernel_is_found_by_its_process(tmp_path: Path) -> None:
    with reborn(tmp_path) as server:
        kernel = server.daemon.start_kernel()
        stop_file = tmp_path / "stop"
        follower = Follower(server, kernel, "one").ready()
        follower.await_done(follower.tab.execute(PREPARE.format(path=str(stop_file), number=6)))
        asked = follower.tab.execute(COUNTING.format(seconds=600, pause="time.sleep(0.005)"))
        until(lambda: len(follower.of(asked)) > 50, 60, "it does not count")
        keeper = server.daemon.keeper()
        server.kill()
        os.kill(keeper, signal.SIGKILL)
        time.sleep(0.5)
        server.start()
        until(lambda: follower.is_back(1), 60, "the client did not come back")
        time.sleep(1.0)
        stop_file.touch()
        said = follower.await_done(asked)
        numbers, missing = lines_of(said)
        assert numbers == sorted(set(numbers))
        assert (numbers[-1] + 1 - len(numbers) > 0, missing > 0) == (True, True), (len(numbers), numbers[-1], missing)
        assert printed(follower.await_done(follower.tab.execute("print(kept)"))) == "kept 6\n"
        follower.close()


@pytest.mark.parametrize("damage", ["missing", "corrupt"])
def test_without_its_state_file_kernels_are_found_at_the_keeper(tmp_path: Path, damage: str) -> None:
    with reborn(tmp_path) as server:
        kernel = server.daemon.start_kernel()
        execute(Tab(server.daemon, kernel).ready(), "x = 7")
        server.kill()
        (path,) = (tmp_path / "runtime").glob("jupyterd-state-*/state.db")
        for each in path.parent.glob("state.db*"):
            each.unlink()
        if damage == "corrupt":
            path.write_bytes(b"this is no database" * 100)
        server.start()
        assert execute(Tab(server.daemon, kernel).ready(), "print(x)") == "7\n"


def test_kernels_at_stop(tmp_path: Path) -> None:
    """Kept where the operator says so; ended by the command, and by a front end's own way to stop."""
    with reborn(tmp_path, "--ServerApp.kernels_at_stop=keep") as server:
        kernel = server.daemon.start_kernel()
        execute(Tab(server.daemon, kernel).ready(), "x = 8")
        assert server.daemon.stop() == 0
        server.start()
        tab = Tab(server.daemon, kernel).ready()
        assert execute(tab, "print(x)") == "8\n"
        pid = int(execute(tab, "import os; print(os.getpid())"))
        assert server.daemon.ask("POST", "/api/shutdown?kernels=end").status == 200
        server.daemon.process.wait(30)
        assert not alive(pid)
    assert list((tmp_path / "runtime").iterdir()) == []


def jupyterd(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / "jupyterd", *words], env=environment(home), capture_output=True, text=True, check=False
    )


def test_kernels_whose_server_is_gone_are_shown_adopted_and_ended_by_command(tmp_path: Path) -> None:
    with reborn(tmp_path, "--ServerApp.kernels_at_stop=keep") as server:
        kernel, port, root = server.daemon.start_kernel(), str(server.port), server.daemon.root
        pid = int(execute(Tab(server.daemon, kernel).ready(), "import os; x = 9; print(os.getpid())"))
        server.daemon.json("POST", "/api/terminals", {})
        told = f"{port} :: {root} :: 1 kernels, 1 terminals\n"
        assert told not in jupyterd(tmp_path, "list").stdout
        server.kill()
        assert told in jupyterd(tmp_path, "list").stdout
        shown = jupyterd(tmp_path, "status", port)
        assert (shown.returncode, shown.stdout.startswith("no server runs\n"), told in shown.stdout) == (3, True, True)
        assert json.loads(jupyterd(tmp_path, "status", "--all", "--json").stdout)["kernels"] == 1
        assert "no server runs on 1" in jupyterd(tmp_path, "status", "1").stderr
        server.start()
        assert told not in jupyterd(tmp_path, "list").stdout
        assert execute(Tab(server.daemon, kernel).ready(), "print(x)") == "9\n"
        assert jupyterd(tmp_path, "stop", port).returncode == 0
        assert server.daemon.process.wait(30) == 0
        assert alive(pid), "the operator wants it so"
        assert jupyterd(tmp_path, "stop", port).returncode == 0
        until(lambda: not alive(pid), 30, "the kernel is there yet")
        server.start()
        kernel = server.daemon.start_kernel()
        pid = int(execute(Tab(server.daemon, kernel).ready(), "import os; print(os.getpid())"))
        assert jupyterd(tmp_path, "stop", port, "--kernels").returncode == 0
        assert server.daemon.process.wait(30) == 0
        assert not alive(pid)
    assert [path.name for path in (tmp_path / "runtime").iterdir()] == []


def test_a_server_killed_while_a_kernel_starts(tmp_path: Path) -> None:
    """The kernel is there and works, or never was; nothing is left of it."""
    with reborn(tmp_path) as server:
        first, keeper = server.daemon.start_kernel(), server.daemon.keeper()
        for moment in (0.0, 0.1, 0.3):
            starting = threading.Thread(target=suppressed, args=(server.daemon.start_kernel,))
            starting.start()
            time.sleep(moment)
            server.kill()
            starting.join(60)
            server.start()
            kernels = server.daemon.json("GET", "/api/kernels")
            assert first in [kernel["id"] for kernel in kernels]
            until(partial(has_children, keeper, len(kernels)), 30, "a process of nobody is there")
        for kernel in kernels:
            assert execute(Tab(server.daemon, kernel["id"]).ready(), "print(6 * 7)") == "42\n"


def has_children(pid: int, count: int) -> bool:
    return len(children_of(pid)) == count


def suppressed(call: Callable[[], object]) -> None:
    with suppress(Exception):
        call()


def test_an_adopted_kernel_is_culled(tmp_path: Path) -> None:
    culls = "--MappingKernelManager."
    with reborn(tmp_path) as server:
        kernel = server.daemon.start_kernel()
        pid = int(execute(Tab(server.daemon, kernel).ready(), "import os; print(os.getpid())"))
        server.kill()
        server.start(f"{culls}cull_idle_timeout=1", f"{culls}cull_interval=1", f"{culls}cull_connected=True")
        until(lambda: server.daemon.json("GET", "/api/kernels") == [], 60, "it is not culled")
        until(lambda: not alive(pid), 30, "its process is there yet")


def test_without_a_keeper_it_is_as_it_was(tmp_path: Path) -> None:
    with reborn(tmp_path, "--ServerApp.keeper=False") as server:
        kernel = server.daemon.start_kernel()
        pid = int(execute(Tab(server.daemon, kernel).ready(), "import os; print(os.getpid())"))
        assert pid in children_of(server.daemon.pid)
        server.kill()
        until(lambda: not alive(pid))
        server.start()
        assert server.daemon.json("GET", "/api/kernels") == []
