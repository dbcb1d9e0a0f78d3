"""Another process takes over from a running server: nothing is lost, nothing doubled, nobody refused."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.real.daemon import BIN, alive, common, end_kept, environment, spawn, until
from tests.real.survival import Follower, Reborn, lasting_port
from tests.real.tab import Tab, printed
from tests.supervision.addresses.test_tls import certificate

TAKEOVERS = int(os.environ.get("JUPYTERD_TAKEOVERS", "3"))
"""How often, under a flood; set it to 10, or more, for the long form."""

FLOOD = """
import pathlib
number = 0
while not pathlib.Path({path!r}).exists():
    print(number, flush=True)
    number += 1
"""


def pids(server: Reborn) -> set[int]:
    files = (server.home / "runtime").glob("jpserver-*.json")
    return {json.loads(file.read_text())["pid"] for file in files}


def successor(server: Reborn, pid: int) -> int:
    """The process that has taken over from ``pid``."""

    def found() -> int:
        server.daemon.process.poll()
        others = pids(server) - {pid}
        return others.pop() if others and not alive(pid) else 0

    return int(until(found, 180, "nobody took over: " + server.daemon.log[-2000:]))


@contextmanager
def handed_on(home: Path, *options: str, **env: str) -> Iterator[Reborn]:
    server = Reborn(home, *options, **env)
    try:
        yield server
    finally:
        left = [pid for pid in pids(server) if alive(pid)]
        for pid in left:
            os.kill(pid, signal.SIGTERM)
        until(lambda: not any(map(alive, left)), 60, "a server does not end")
        server.daemon.process.wait(60)
        end_kept(home)


@pytest.mark.timeout(600)
def test_takeovers_under_a_flood(tmp_path: Path) -> None:
    stop, over = tmp_path / "stop", threading.Event()
    refused: list[OSError] = []

    def knock() -> None:
        while not over.is_set():
            try:
                socket.create_connection(("127.0.0.1", server.port), timeout=30).close()
            except OSError as error:
                refused.append(error)
            time.sleep(0.02)

    certfile, keyfile = certificate(tmp_path)
    secure = lasting_port()
    endpoint = f"ssl:{secure}:interface=127.0.0.1:privateKey={keyfile}:certKey={certfile}"
    with handed_on(tmp_path, f"--endpoints={endpoint}") as server:
        kernel = server.daemon.start_kernel()
        follower = Follower(server, kernel, "one").ready()
        over_tls = Follower(server, kernel, "over-tls", port=secure, tls=True)
        never_drops = follower.tab.execute(
            "import zmq; iopub = get_ipython().kernel.iopub_thread;"
            "iopub.schedule(lambda: iopub.socket.set(zmq.SNDHWM, 0))"
        )
        follower.await_done(never_drops)
        asked = follower.tab.execute(FLOOD.format(path=str(stop)))
        knocking = threading.Thread(target=knock, daemon=True)
        knocking.start()
        pid = server.daemon.pid
        for _ in range(TAKEOVERS):
            time.sleep(1.0)
            os.kill(pid, signal.SIGUSR2)
            pid = successor(server, pid)
        stop.touch()
        follower.await_done(asked, 180)
        until(lambda: over_tls.is_idle(asked), 180, "the client over TLS did not hear the end")
        over.set()
        knocking.join(60)
        assert refused == []
        for each in (follower, over_tls):
            each.close()
            said = each.of(asked)
            numbers = [int(line) for line in printed(said).split("\n") if line.isdigit()]
            doubled = [i for i, times in Counter(m["header"]["msg_id"] for m in said).items() if times > 1]
            assert doubled == [], f"{each.session}: {len(doubled)} messages came twice"
            assert numbers == list(range(len(numbers))), each.session
            assert each.reconnects == TAKEOVERS


def test_where_the_successor_does_not_start_the_server_serves_on_and_says_why(tmp_path: Path) -> None:
    config = tmp_path / "config.py"
    config.write_text("c.ServerApp.port_retries = 0\n")
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(address := str(tmp_path / "notify"))
    manager.setblocking(False)
    with manager, handed_on(tmp_path, f"--config={config}", NOTIFY_SOCKET=address, WATCHDOG_PID="1") as server:
        kernel = server.daemon.start_kernel()
        tab = Tab(server.daemon, kernel).ready()
        config.write_text("c.ServerApp.port = 'no number'\n")
        done = subprocess.run(
            [BIN / "jupyterd", "restart", str(server.port)], env=environment(tmp_path), capture_output=True, text=True
        )
        assert done.returncode != 0
        assert "serves on as it was" in done.stderr
        assert "no number" in done.stderr
        assert "no number" in server.daemon.log
        assert printed(tab.until_done(tab.execute("print(1)"))) == "1\n"
        config.write_text("")
        done = subprocess.run(
            [BIN / "jupyterd", "restart", str(server.port)], env=environment(tmp_path), capture_output=True, text=True
        )
        assert (done.returncode, "has taken over" in done.stdout) == (0, True), done.stderr
        (pid,) = pids(server)
        told = []
        with suppress(BlockingIOError):
            while True:
                told += manager.recv(1000).decode().split("\n")
        assert told[-3:] == [f"MAINPID={pid}", "READY=1", f"MAINPID={pid}"], "while the first was there, and again"
        again = Tab(server.daemon, kernel, session=tab.session)
        assert printed(again.until_done(again.execute("print(2)"))) == "2\n"


def test_a_takeover_where_no_server_is_is_a_start_that_finds_its_kernels(tmp_path: Path) -> None:
    with handed_on(tmp_path) as server:
        kernel = server.daemon.start_kernel()
        tab = Tab(server.daemon, kernel).ready()
        tab.until_done(tab.execute("x = 4"))
        server.kill()
        server.start("--takeover")
        again = Tab(server.daemon, kernel).ready()
        assert printed(again.until_done(again.execute("print(x)"))) == "4\n"


def test_a_start_may_take_over(tmp_path: Path) -> None:
    more = f"--endpoints=unix:{tmp_path}/s"
    with handed_on(tmp_path, more) as server:
        kernel = server.daemon.start_kernel()
        tab = Tab(server.daemon, kernel).ready()
        tab.until_done(tab.execute("x = 3"))
        first = server.daemon
        options = [*common(tmp_path, server.port), "--ServerApp.port_retries=0", more, "--takeover"]
        server.daemon = spawn(tmp_path, options)
        server.daemon.port = server.port
        successor_pid = until(lambda: first.process.poll() is not None and pids(server), 60)
        assert first.process.returncode == 0
        assert successor_pid == {server.daemon.pid}
        again = Tab(server.daemon, kernel).ready()
        assert printed(again.until_done(again.execute("print(x)"))) == "3\n"
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(20)
            client.connect(str(tmp_path / "s"))
            client.sendall(b"GET /api HTTP/1.0\r\nHost: localhost\r\n\r\n")
            assert b" 200 " in client.recv(100)
    assert not (tmp_path / "s").exists()
