"""Start and end, as a user and a supervisor see them."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from tests.real.daemon import (
    BIN,
    DEFAULT,
    TWISTD,
    Daemon,
    alive,
    await_answer,
    common,
    environment,
    free_port,
    printed_url,
    running,
    spawn,
    until,
)
from tests.real.tab import Tab


def info_file(daemon: Daemon) -> Path:
    return daemon.home / "runtime" / f"jpserver-{daemon.pid}.json"


@pytest.mark.parametrize("argv", [DEFAULT, TWISTD], ids=["jupyterd", "twistd"])
def test_starts_prints_its_url_and_leaves_nothing(tmp_path: Path, argv: tuple[str, ...]) -> None:
    with running(tmp_path, argv=argv) as daemon:
        url = until(lambda: printed_url(daemon.log), what="no URL was printed")
        assert f":{daemon.port}/" in url
        info = json.loads(until(lambda: info_file(daemon).exists() and info_file(daemon).read_text()))
        assert info["pid"] == daemon.pid
        assert info["port"] == daemon.port
        assert info["root_dir"] == str(daemon.root)
        assert stat.S_IMODE(info_file(daemon).stat().st_mode) == 0o600
        assert daemon.stop() == 0
    assert not info_file(daemon).exists()
    assert list((tmp_path / "runtime").glob("jpserver-*")) == []


STARTS = int(os.environ.get("JUPYTERD_STARTS", "5"))
"""How often; set it to 500 for the long form."""


def test_starts_and_stops_leave_nothing(tmp_path: Path) -> None:
    """By SIGTERM and by a request, with and without a kernel: the runtime directory is as it was."""
    for number in range(STARTS):
        port = free_port()
        daemon = spawn(tmp_path, common(tmp_path, port))
        daemon.port = port
        try:
            await_answer(daemon, patience=120)
            if number % 5 == 0:
                daemon.start_kernel()
            if number % 3 == 0:
                assert daemon.ask("POST", "/api/shutdown").status == 200
                assert daemon.process.wait(60) == 0
            else:
                assert daemon.stop(patience=60) == 0
        finally:
            daemon.stop(patience=60)
        assert set(os.listdir(tmp_path / "runtime")) <= {"jupyter_cookie_secret"}, f"after {number + 1} starts"


def test_starts_without_any_standard_descriptor(tmp_path: Path) -> None:
    closed = ("/bin/sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', *DEFAULT)
    with running(tmp_path, argv=closed) as daemon:
        assert [os.readlink(f"/proc/{daemon.pid}/fd/{number}") for number in range(3)] == ["/dev/null"] * 3
        Tab(daemon, daemon.start_kernel()).ready().close()


def test_the_printed_url_opens(tmp_path: Path) -> None:
    """No token is configured: one is made, and the URL that is printed, and no other, lets its user in."""
    port = free_port()
    options = [option for option in common(tmp_path, port) if "token" not in option]
    daemon = spawn(tmp_path, options)
    daemon.port = port
    try:
        url = until(lambda: printed_url(daemon.log), what="no URL was printed")
        await_answer(daemon)
        path = url.partition(str(port))[2]
        assert daemon.ask("GET", path, token="").status in (200, 302)
        token = path.partition("token=")[2]
        assert daemon.ask("GET", f"/api/kernels?token={token}", token="").status == 200
        assert daemon.ask("GET", "/api/kernels?token=...", token="").status == 403
    finally:
        assert daemon.stop() == 0


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
def test_a_signal_ends_it_and_its_kernels(tmp_path: Path, how: signal.Signals) -> None:
    with running(tmp_path) as daemon:
        kernels = [daemon.start_kernel() for _ in range(2)]
        for kernel in kernels:
            Tab(daemon, kernel).ready().close()
        children = daemon.children()
        assert len(children) >= 2
        assert daemon.stop(how) == 0
    assert [pid for pid in children if alive(pid)] == []
    assert list((tmp_path / "runtime").glob("kernel-*")) == []


def test_the_api_can_end_it(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        assert daemon.ask("POST", "/api/shutdown").status == 200
        assert daemon.process.wait(20) == 0


def test_a_port_in_use_tries_the_next(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        daemon = spawn(tmp_path, [*common(tmp_path, port), "--ServerApp.port_retries=20"])
        try:
            found = json.loads(until(lambda: info_file(daemon).exists() and info_file(daemon).read_text()))
            assert found["port"] != port
            daemon.port = found["port"]
            await_answer(daemon)
        finally:
            assert daemon.stop() == 0


def test_without_a_port_it_does_not_run(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        daemon = spawn(tmp_path, [*common(tmp_path, port), "--ServerApp.port_retries=0"])
        assert daemon.process.wait(30) not in (0, -signal.SIGTERM)
    assert str(port) in daemon.log
    assert "Traceback" not in daemon.log


def test_serves_on_a_unix_socket(tmp_path: Path) -> None:
    sock = tmp_path / "s"
    daemon = spawn(tmp_path, [f"--sock={sock}", f"--IdentityProvider.token={'t0ken'}"])
    daemon.sock = str(sock)
    try:
        await_answer(daemon)
        assert stat.S_IMODE(sock.stat().st_mode) == 0o600
        assert daemon.json("GET", "/api/kernels") == []
        tab = Tab(daemon, daemon.start_kernel()).ready()
        assert tab.until_done(tab.execute("1 + 1"))
        tab.close()
    finally:
        assert daemon.stop() == 0
    assert not sock.exists()


@pytest.mark.parametrize("options", [["--no-such-option"], ["--ServerApp.port=eight"]], ids=["unknown", "not a number"])
def test_a_wrong_option_is_one_clear_line(tmp_path: Path, options: list[str]) -> None:
    daemon = spawn(tmp_path, options)
    assert daemon.process.wait(20) == 2
    assert "Traceback" not in daemon.log
    assert options[0].lstrip("-").split("=")[0].split(".")[-1] in daemon.log


def test_an_unknown_trait_is_a_warning_that_names_the_nearest(tmp_path: Path) -> None:
    with running(tmp_path, "--ServerApp.prot=1") as daemon:
        assert "port" in daemon.log.replace("prot", "")


def test_runs_in_the_background_as_twistd_does(tmp_path: Path) -> None:
    """Daemonised: the log goes to twistd's file, the umask is the caller's, SIGTERM ends it."""
    home, port = tmp_path, free_port()
    (home / "root").mkdir()
    pidfile, logfile = home / "twistd.pid", home / "twistd.log"
    argv = [
        str(BIN / "twistd"),
        f"--pidfile={pidfile}",
        f"--logfile={logfile}",
        "jupyterd",
        "--no-browser",
        "--allow-root",
    ]
    started = subprocess.run(
        [*argv, *common(home, port)], env=environment(home), cwd=home, timeout=60, check=False, umask=0o022
    )
    assert started.returncode == 0
    pid = int(until(lambda: pidfile.exists() and pidfile.read_text()))
    try:
        (home / "log").touch()
        daemon = Daemon(_NotOurChild(pid), home, port)  # type: ignore[arg-type]
        await_answer(daemon)
        model = {"type": "file", "format": "text", "content": "x"}
        assert daemon.ask("PUT", "/api/contents/made.txt", model).status == 201
        assert stat.S_IMODE((home / "root/made.txt").stat().st_mode) == 0o644
        tab = Tab(daemon, daemon.start_kernel()).ready()
        tab.close()
    finally:
        os.kill(pid, signal.SIGTERM)
    until(lambda: not alive(pid), what="still running")
    assert not pidfile.exists()
    assert list((home / "runtime").glob("jpserver-*")) == []


class _NotOurChild:
    """Stands for a process that is not our child."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def poll(self) -> None:
        return None


def test_what_a_killed_daemon_left_goes_with_the_next(tmp_path: Path) -> None:
    """At once, as a supervisor that restarts it wants: keys, tokens, sockets, logs."""
    alone = "--ServerApp.keeper=False"
    with running(tmp_path, alone) as first:
        kernel = first.start_kernel()
        first.process.kill()
        first.process.wait()
    runtime = tmp_path / "runtime"
    left = {path.name for path in runtime.iterdir()}
    assert {f"jpserver-{first.pid}.json", f"kernel-{kernel}.json"} <= left
    with running(tmp_path, alone) as second:
        now = {path.name for path in runtime.iterdir()}
        assert not {name for name in left if name.endswith((".json", ".html"))} & now
        until(lambda: not left & {path.name for path in runtime.iterdir()}, what="its directory stayed")
        assert (runtime / f"jpserver-{second.pid}.json").exists()
    assert list(runtime.iterdir()) == []


LISTS_MODULES = """
import atexit, json, os, sys
from jupyterd.__main__ import main
atexit.register(lambda: os.write(1, b"MODULES " + json.dumps(sorted(sys.modules)).encode()))
main()
"""


def test_a_local_session_loads_no_tls_and_no_client(tmp_path: Path) -> None:
    """A page, a listing, a notebook, a kernel and its websocket, a terminal: what 20 MB are not spent for."""
    with running(tmp_path, argv=(str(BIN / "python"), "-c", LISTS_MODULES)) as daemon:
        for path in ("/lab", "/tree", "/api/me", "/api/kernelspecs", "/lab/api/settings", "/lab/api/translations"):
            assert daemon.ask("GET", path).status == 200, path
        daemon.json("POST", "/api/contents", {"type": "notebook"})
        daemon.json("GET", "/api/contents/Untitled.ipynb")
        daemon.json("GET", "/api/contents")
        tab = Tab(daemon, daemon.start_kernel()).ready()
        assert tab.until_done(tab.execute("1 + 1"))
        tab.close()
        daemon.json("POST", "/api/terminals", {})
    loaded = set(json.loads(daemon.log.rpartition("MODULES ")[2].splitlines()[0]))
    assert "autobahn.twisted.websocket" in loaded
    needless = {"OpenSSL", "cryptography", "argon2", "click", "treq", "twisted.web.client", "rfc3987_syntax", "arrow"}
    assert needless & loaded == set()
