"""A server started as a user starts it, and talked to from outside."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyterd.keeper.start_keeper import KeeperGone, Line

BIN = Path(os.environ.get("JUPYTERD_BIN", Path(sys.executable).parent))
"""Where the installed commands are that are tested."""
TWISTD = (str(BIN / "twistd"), "-n", "--pidfile=", "jupyterd")
JUPYTERD = (str(BIN / "jupyterd"),)
REFERENCE = (str(BIN / "jupyter-server"),)
DEFAULT = tuple(os.environ["JUPYTERD_ARGV"].split()) if "JUPYTERD_ARGV" in os.environ else JUPYTERD
"""What most tests start; set ``JUPYTERD_ARGV`` to hold another server against the same tests."""
TOKEN = "t0ken"


@dataclass
class Answer:
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a UNIX socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


@dataclass
class Daemon:
    """A running server. ``home`` holds all its files: ``root``, ``config``, ``data``, ``runtime``, ``log``."""

    process: subprocess.Popen[bytes]
    home: Path
    port: int = 0
    sock: str = ""
    base: str = ""
    tls: bool = False

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def root(self) -> Path:
        return self.home / "root"

    @property
    def log(self) -> str:
        return (self.home / "log").read_text(errors="replace")

    def connection(self, timeout: float = 60.0) -> http.client.HTTPConnection:
        if self.sock:
            return UnixConnection(self.sock, timeout)
        if self.tls:
            anybody = ssl._create_unverified_context()  # noqa: S323 - its certificate is its own
            return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=anybody)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def connection_socket(self) -> socket.socket:
        """A connected UNIX socket, for clients that bring their own protocol."""
        plain = socket.socket(socket.AF_UNIX)
        plain.connect(self.sock)
        return plain

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        token: str = TOKEN,
        timeout: float = 60.0,
    ) -> Answer:
        """One request. ``body``: bytes as they are, anything else as JSON. ``token`` "" sends none."""
        raw = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        credentials = {"Authorization": f"token {token}"} if token else {}
        connection = self.connection(timeout)
        try:
            connection.request(method, self.base + path, raw, {**credentials, **(headers or {})})
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def json(self, method: str, path: str, body: Any = None) -> Any:
        """The decoded body of an answer that must be a success."""
        answer = self.ask(method, path, body)
        assert answer.status < 300, (method, path, answer)
        return answer.json if answer.body else None

    def start_kernel(self) -> str:
        return str(self.json("POST", "/api/kernels", {"name": "python3"})["id"])

    def children(self) -> set[int]:
        """Its child processes, kernels above all, and those of its keeper in place of that."""
        found = children_of(self.pid)
        keepers = {pid for pid in found if is_keeper(pid)}
        return (found - keepers).union(*map(children_of, keepers))

    def keeper(self) -> int:
        """The process number of its keeper, whichever daemon of this home has started it."""
        (path,) = (self.home / "runtime").glob("jupyterd-state-*/keeper.sock")
        line = Line(str(path))
        try:
            return int(line.ask("hello")["pid"])
        finally:
            line.close()

    def fds(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def threads(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def rss(self) -> int:
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def stop(self, how: signal.Signals = signal.SIGTERM, patience: float = 30.0) -> int:
        """End it as a supervisor does; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


def children_of(pid: int) -> set[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return set()
    return {int(child) for task in tasks for child in _words(task / "children")}


def is_keeper(pid: int) -> bool:
    try:
        return b"jupyterd.keeper" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def end_kept(home: Path) -> None:
    """End what daemons that were killed have left to their keepers."""
    for path in (home / "runtime").glob("jupyterd-state-*/keeper.sock"):
        with suppress(KeeperGone):
            line = Line(str(path))
            line.ask("end", children=True)
            line.close()


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []


def environment(home: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "JPY", "PYTEST"))}
    mine = {f"JUPYTER_{kind}_DIR": str(home / kind.lower()) for kind in ("CONFIG", "DATA", "RUNTIME")}
    return {**kept, **mine, "HOME": str(home), "JUPYTER_NO_CONFIG": "1", "PATH": f"{BIN}:{kept.get('PATH', '')}"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def spawn(home: Path, options: Sequence[str], argv: Sequence[str] = DEFAULT, **env: str) -> Daemon:
    """Start the server and return at once."""
    (home / "root").mkdir(parents=True, exist_ok=True)
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [*argv, "--no-browser", "--allow-root", *options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=home / "root",
            env={**environment(home), **env},
        )
    return Daemon(process, home)


def common(home: Path, port: int) -> list[str]:
    return [
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        f"--ServerApp.root_dir={home / 'root'}",
        f"--IdentityProvider.token={TOKEN}",
    ]


@contextmanager
def running(
    home: Path, *options: str, argv: Sequence[str] = DEFAULT, begin: float = 20.0, end: float = 30.0, **env: str
) -> Iterator[Daemon]:
    """A server on a loopback port that answers within ``begin`` seconds, stopped at the end within ``end``."""
    port = free_port()
    daemon = spawn(home, [*common(home, port), *options], argv, **env)
    daemon.port = port
    try:
        await_answer(daemon, begin)
        yield daemon
    finally:
        try:
            daemon.stop(patience=end)
        finally:
            end_kept(home)


def await_answer(daemon: Daemon, patience: float = 20.0) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            if daemon.ask("GET", "/api", timeout=10.0).status == 200:
                return
        except OSError:
            pass
        ended = daemon.process.poll()
        assert ended is None, f"the server ended with {ended} before it answered:\n{daemon.log[-3000:]}"
        assert time.monotonic() < deadline, f"no answer in {patience:g} s:\n{daemon.log[-1000:]}"
        time.sleep(0.02)


def until(condition: Any, patience: float = 20.0, what: str | Callable[[], str] = "") -> Any:
    """The first true value of ``condition()``; ``what`` tells what it was that did not come."""
    deadline = time.monotonic() + patience
    while not (value := condition()):
        assert time.monotonic() < deadline, (what() if callable(what) else what) or "not in time"
        time.sleep(0.02)
    return value


def end_process(process: subprocess.Popen[bytes], patience: float) -> None:
    """Ask a process to end, and kill it where it does not."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def alive(pid: int) -> bool:
    """The process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def printed_url(log: str) -> str | None:
    """The URL with a token that the server printed."""
    found = re.search(r"(http\S*127\.0\.0\.1:\d+\S*token=\S+)", log)
    return found.group(1) if found else None
