"""Whole processes: terminals, service managers, TLS, ports of both families, impatience."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.real.daemon import (
    BIN,
    JUPYTERD,
    TOKEN,
    TWISTD,
    Daemon,
    alive,
    await_answer,
    children_of,
    common,
    environment,
    free_port,
    running,
    spawn,
    until,
)
from tests.supervision.addresses.test_tls import certificate

pytestmark = pytest.mark.real


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path


def test_localhost_is_both_families(home: Path) -> None:
    port = free_port()
    daemon = spawn(home, ["--ip=localhost", f"--port={port}", "--IdentityProvider.token=t0ken"])
    daemon.port = port
    try:
        await_answer(daemon)
        for family, host in {info[0]: info[4][0] for info in socket.getaddrinfo("localhost", port)}.items():
            with socket.socket(family) as client:
                client.connect((host, port))
    finally:
        assert daemon.stop() == 0


def test_ten_servers_find_ten_ports(home: Path) -> None:
    port = free_port()
    daemons = []
    for number in range(10):
        (home / str(number)).mkdir()
        daemons.append(spawn(home / str(number), [f"--port={port}", "--ip=127.0.0.1", "--port-retries=50"]))
    try:
        ports = set()
        for daemon in daemons:
            info = daemon.home / "runtime" / f"jpserver-{daemon.pid}.json"
            ports.add(json.loads(until(lambda info=info: info.exists() and info.read_text(), patience=60))["port"])
        assert len(ports) == 10
    finally:
        assert [daemon.stop() for daemon in daemons] == [0] * 10


def test_tls_and_a_renewed_certificate(home: Path) -> None:
    """On the port, and on an endpoint that names the files itself."""
    certfile, keyfile = certificate(home, "first")
    more = free_port()
    endpoint = f"ssl:{more}:privateKey={keyfile}:certKey={certfile}:interface=127.0.0.1"
    with contextless(home, certfile, keyfile, f"--endpoints={endpoint}") as daemon:
        assert (shown(daemon.port), shown(more)) == ("first", "first")
        with socket.create_connection(("127.0.0.1", daemon.port)) as client:
            client.sendall(b"GET /lab HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b"\r\nLocation: https://localhost/lab\r\n" in client.recv(1000)
        anybody = ssl._create_unverified_context()  # noqa: S323 - its certificate is its own
        with anybody.wrap_socket(socket.create_connection(("127.0.0.1", daemon.port))) as client:
            client.sendall(b"GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert client.recv(1000).startswith(b"HTTP/1.1 400 ")
        assert "Traceback" not in daemon.log
        renewed = certificate(home, "second")
        os.replace(renewed[0], certfile)
        os.replace(renewed[1], keyfile)
        daemon.process.send_signal(signal.SIGHUP)
        until(lambda: (shown(daemon.port), shown(more)) == ("second", "second"))
        assert json.loads(next((home / "runtime").glob("jpserver-*.json")).read_text())["url"].startswith("https://")


class contextless:  # noqa: N801
    """A server with TLS, which :func:`running` can not ask."""

    def __init__(self, home: Path, certfile: str, keyfile: str, *options: str) -> None:
        port = free_port()
        self.daemon = spawn(home, [*common(home, port), f"--certfile={certfile}", f"--keyfile={keyfile}", *options])
        self.daemon.port = port

    def __enter__(self) -> Daemon:
        until(self._answers)
        return self.daemon

    def _answers(self) -> bool:
        try:
            return bool(shown(self.daemon.port))
        except OSError:
            return False

    def __exit__(self, *_: object) -> None:
        assert self.daemon.stop() == 0


def shown(port: int) -> str:
    """Whose certificate the server shows."""
    from cryptography import x509

    pem = ssl.get_server_certificate(("127.0.0.1", port))
    names = x509.load_pem_x509_certificate(pem.encode()).subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(names[0].value)


# -- a person at a terminal


class Terminal:
    """The server in the foreground of a terminal."""

    def __init__(self, home: Path, *options: str) -> None:
        self.master, slave = pty.openpty()
        port = free_port()
        self.process = subprocess.Popen(
            [*JUPYTERD, "--allow-root", *common(home, port), *options],
            stdin=slave, stdout=slave, stderr=slave, cwd=home / "root", env=environment(home), start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        os.set_blocking(self.master, False)
        self.shown = ""
        self.until("Use Control-C")

    def until(self, text: str) -> None:
        def seen() -> bool:
            with suppress(OSError):
                self.shown += os.read(self.master, 65536).decode()
            return text in self.shown

        until(seen, what=f"{text!r} has not been shown")
        self.shown = self.shown.partition(text)[2]

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        os.close(self.master)


@pytest.fixture
def terminal(home: Path) -> Iterator[Terminal]:
    made = Terminal(home)
    yield made
    made.close()


def test_control_c_asks_and_a_no_goes_on(terminal: Terminal) -> None:
    terminal.process.send_signal(signal.SIGINT)
    terminal.until("Shut down this Jupyter server (y/[n])?")
    terminal.type("n\n")
    terminal.until("resuming operation")
    terminal.process.send_signal(signal.SIGINT)
    terminal.until("Shut down this Jupyter server (y/[n])? ")
    terminal.type("y\n")
    assert terminal.process.wait(20) == 0


def test_control_c_twice_does_not_wait_for_an_answer(terminal: Terminal) -> None:
    terminal.process.send_signal(signal.SIGINT)
    terminal.until("Shut down this Jupyter server (y/[n])?")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.process.wait(20) == 0


def test_an_option_answers_the_question(home: Path) -> None:
    terminal = Terminal(home, "-y")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.process.wait(20) == 0
    terminal.close()


# -- service managers


def test_the_service_manager_hears_of_start_and_stop(home: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(home / "notify"))
        manager.settimeout(20)
        with running(home, NOTIFY_SOCKET=str(home / "notify"), WATCHDOG_USEC="1000000") as daemon:
            assert f"MAINPID={daemon.pid}".encode() in manager.recv(1000)
            assert manager.recv(1000) == b"WATCHDOG=1"
        said = b""
        while said != b"STOPPING=1":
            said = manager.recv(1000)


AS_SYSTEMD = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.mark.parametrize(
    ("family", "command"), [("tcp", TWISTD), ("tcp", JUPYTERD), ("unix", JUPYTERD)], ids=["twistd", "tcp", "unix"]
)
def test_the_service_manager_s_socket(home: Path, family: str, command: tuple[str, ...]) -> None:
    """By both commands, whatever the settings say of addresses; what the server writes about itself names it."""
    path = str(home / "activated")
    if family == "tcp":
        listening = socket.create_server(("127.0.0.1", 0))
    else:
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(path)
        os.chmod(path, 0o640)
        listening.listen()
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", AS_SYSTEMD, str(listening.fileno()), *command, "--allow-root",
             "--IdentityProvider.token=t0ken", f"--sock={home / 'own'}"],
            stdout=log, stderr=log, cwd=home / "root", env=environment(home), pass_fds=[listening.fileno()],
        )  # fmt: skip
    daemon = Daemon(process, home)
    if family == "tcp":
        daemon.port = listening.getsockname()[1]
    else:
        daemon.sock = path
    listening.close()
    try:
        await_answer(daemon)
        kernel = daemon.start_kernel()
        assert daemon.ask("GET", f"/api/kernels/{kernel}").status == 200
        told = json.loads(next((home / "runtime").glob("jpserver-*.json")).read_text())
        assert (told["sock"], told["port"]) == (daemon.sock, daemon.port)
    finally:
        assert daemon.stop() == 0
    assert not (home / "own").exists()
    if family == "unix":
        assert Path(path).stat().st_mode & 0o777 == 0o640, "it belongs to the service manager"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_right_at_the_start_leaves_nothing(home: Path, number: signal.Signals) -> None:
    daemon = spawn(home, ["--ip=127.0.0.1", f"--port={free_port()}"])
    until(lambda: (home / "runtime").exists() and list((home / "runtime").glob("jpserver-*.json")))
    daemon.process.send_signal(number)
    assert daemon.process.wait(20) == 0
    assert list((home / "runtime").glob("jpserver-*")) == []


# -- a container

UNSHARE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")


def test_the_first_process_of_a_container_waits_for_all(home: Path) -> None:
    """What others leave does not stay as a zombie, and SIGTERM ends it and its kernels: no init is needed."""
    if subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no process namespace can be made here")
    with running(home, argv=(*UNSHARE, *JUPYTERD)) as daemon:
        [first] = children_of(daemon.pid)
        code = "import subprocess; subprocess.run(['sh', '-c', 'sleep 0.2 & '])"
        daemon.json("POST", f"/api/kernels/{daemon.start_kernel()}/execute", {"code": code})
        until(lambda: any(map(is_zombie, children_of(first))), what="it was left to somebody else")
        until(lambda: not any(map(is_zombie, children_of(first))), patience=30)
        os.kill(first, signal.SIGTERM)
        assert daemon.process.wait(30) == 0


def is_zombie(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return False


# -- impatience, and what a crash has left


def test_a_second_signal_is_not_made_to_wait(home: Path) -> None:
    """A kernel that ignores all that it is asked is no reason to."""
    with running(home) as daemon:
        spec = home / "data" / "kernels" / "deaf"
        spec.mkdir(parents=True)
        code = (
            "import signal, time; signal.signal(2, signal.SIG_IGN); signal.signal(15, signal.SIG_IGN); time.sleep(60)"
        )
        command = [sys.executable, "-c", code, "{connection_file}"]
        (spec / "kernel.json").write_text(json.dumps({"argv": command, "display_name": "deaf", "language": "none"}))
        daemon.ask("POST", "/api/kernels", {"name": "deaf"}, timeout=60)
        before = time.monotonic()
        daemon.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)  # two signals that come at once are one
        if daemon.process.poll() is None:
            daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(20) == 0
        assert time.monotonic() - before < 5


HUNG = """
import os, threading
from jupyterd.contents.managers.largefilemanager import LargeFileManager
from jupyterd.supervision import daemon
daemon.STOP_SECONDS = 3.0

class Hung(LargeFileManager):
    def get(self, path, *args, **kwargs):
        if path.strip("/") == "hung":
            open(os.path.join(self.root_dir, "entered"), "w").close()
            threading.Event().wait()  # as a filesystem whose server has gone
        return super().get(path, *args, **kwargs)
"""


@pytest.mark.parametrize(("signals", "status"), [(1, 1), (2, 0)])
def test_a_thread_that_hangs_does_not_keep_the_process(home: Path, signals: int, status: int) -> None:
    (home / "hung.py").write_text(HUNG)
    port = free_port()
    options = [*common(home, port), "--ServerApp.contents_manager_class=hung.Hung"]
    daemon = spawn(home, options, PYTHONPATH=str(home))
    daemon.port = port
    try:
        await_answer(daemon)
        daemon.start_kernel()
        (kernel,) = daemon.children()
        with socket.create_connection(("127.0.0.1", port)) as client:
            head = f"GET /api/contents/hung HTTP/1.1\r\nHost: localhost\r\nAuthorization: token {TOKEN}\r\n\r\n"
            client.sendall(head.encode())
            until((home / "root" / "entered").exists)
            before = time.monotonic()
            daemon.process.send_signal(signal.SIGTERM)
            until(lambda: not alive(kernel), what="the kernel waits for contents")
            for _ in range(signals - 1):
                daemon.process.send_signal(signal.SIGTERM)
            assert daemon.process.wait(20) == status
        assert time.monotonic() - before < (8 if signals == 1 else 4)
        assert ("not everything stopped within 3.0 seconds" in daemon.log) == (signals == 1)
    finally:
        daemon.process.kill()
        daemon.process.wait()


def test_what_a_killed_server_has_left_is_no_hindrance(home: Path) -> None:
    sock = home / "s"
    options = [f"--sock={sock}", "--IdentityProvider.token=t0ken"]
    first = spawn(home, options)
    first.sock = str(sock)
    await_answer(first)
    first.process.kill()
    first.process.wait(20)
    assert sock.exists()
    assert list((home / "runtime").glob("jpserver-*.json"))
    second = spawn(home, options)
    second.sock = str(sock)
    try:
        await_answer(second)
        third = spawn(home, options)
        assert third.process.wait(20) == 1
        listed = subprocess.run([*JUPYTERD, "list"], env=environment(home), capture_output=True, text=True, check=True)
        assert len(listed.stdout.splitlines()) == 2, listed.stdout
    finally:
        stopped = subprocess.run([*JUPYTERD, "stop", str(sock)], env=environment(home), check=False, timeout=60)
        assert stopped.returncode == 0
        assert second.process.wait(20) == 0
    assert not sock.exists()
    assert list((home / "runtime").glob("jpserver-*")) == []


def test_a_port_is_not_waited_for_in_the_background_either(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        argv = [
            BIN / "twistd",
            f"--pidfile={home / 'pid'}",
            f"--logfile={home / 'twistd.log'}",
            "jupyterd",
            "--allow-root",
        ]
        done = subprocess.run(
            [*argv, *common(home, port), "--port-retries=0"],
            env=environment(home), cwd=home, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert "CannotListen" in done.stderr
    until(lambda: not (home / "pid").exists(), what="the process in the background removes it, after it said so")


def test_a_server_that_nobody_uses_ends(home: Path) -> None:
    """The first look is after a minute, which is too long here: that it starts and says so is seen."""
    with running(home, "--ServerApp.shutdown_no_activity_timeout=1") as daemon:
        assert "Will shut down after 1 seconds with no kernels." in daemon.log
