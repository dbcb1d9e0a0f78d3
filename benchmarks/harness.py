"""Servers started alike, measured alike, and one table: what every benchmark shares.

A benchmark is a list of cases. A case is a function of one running target that returns its figures::

    def listing(server: Server) -> Figures:
        with Cost(server.pid) as cost:
            for _ in range(20):
                server.ask("GET", "/api/contents/big")
        return {"list 2,000 entries, CPU ms": 1000 * cost.cpu / 20}

    if __name__ == "__main__":
        main(__doc__, [Case("listing", listing, setup=make_tree)])
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import environments
from benchmarks.process import cpu, fds, pss, rss, stop
from benchmarks.report import Results

Figures = dict[str, float]
HERE = Path(__file__).parent
TOKEN = "benchmark"


@dataclass(frozen=True)
class Contender:
    """One program to measure: its column's ``name`` and the ``argv`` that starts it in the foreground."""

    name: str
    argv: tuple[str, ...]
    options: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    probe: str = "/api"
    """The path whose first 200 says that it has started."""
    jupyter: bool = True
    """It takes the Jupyter Server's options and starts kernels by ``POST /api/kernels``."""

    @staticmethod
    def reference(venv: Path, *options: str) -> Contender:
        return Contender("reference", (str(venv / "bin/jupyter-server"),), options)

    @staticmethod
    def jupyterd(venv: Path, *options: str) -> Contender:
        script = venv / "bin/jupyterd"
        argv = (str(script),) if script.exists() else (str(venv / "bin/twistd"), "-n", "--pidfile=", "jupyterd")
        return Contender("jupyterd", argv, options)

    @staticmethod
    def jupyverse(venv: Path) -> Contender:
        return Contender("jupyverse", (str(venv / "bin/jupyverse"),), probe="/api/status", jupyter=False)

    def profiled(self, venv: Path, directory: Path) -> Contender:
        """The same under cProfile: a pstats file in ``directory`` for each start."""
        directory.mkdir(parents=True, exist_ok=True)
        file = str(directory.resolve() / "%d.pstats")
        profiler = (f"--profile={file}", "--savestats", "--profiler=cprofile")
        return replace(self, argv=(str(venv / "bin/twistd"), "-n", "--pidfile=", *profiler, "jupyterd"))

    def command(self, port: int, root: Path) -> list[str]:
        """The command line that starts it on a loopback port."""
        argv = [word.replace("%d", str(port)) for word in self.argv]
        if not self.jupyter:
            return [*argv, f"--port={port}", *self.options]
        return [
            *argv, "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}",
            "--ServerApp.port_retries=0", f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={root}",
            "--ZMQChannelsWebsocketConnection.limit_rate=False", *self.options,
        ]  # fmt: skip


@dataclass
class Server:
    """A running contender on a loopback port, with a fresh root directory and none of the machine's configuration.

    ``home`` holds everything it may write: ``home/root`` (its root directory), ``home/jupyter`` (config, data,
    runtime), ``home/log``.
    """

    contender: Contender
    home: Path
    process: subprocess.Popen[bytes]
    port: int
    ready: float = 0.0
    """Seconds from spawn to the first answer."""
    ready_cpu: float = 0.0
    """CPU seconds spent until then."""
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.contender.name

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def root(self) -> Path:
        return self.home / "root"

    def cpu(self) -> float:
        return cpu(self.pid)

    def pss(self) -> int:
        return pss(self.pid)

    def rss(self) -> int:
        return rss(self.pid)

    def fds(self) -> int:
        return fds(self.pid)

    def ask(self, method: str, path: str, body: Any = None, timeout: float = 120.0) -> tuple[int, bytes]:
        """One request on a new connection: its status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            return self.ask_on(connection, method, path, body)
        finally:
            connection.close()

    def ask_on(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: Any = None
    ) -> tuple[int, bytes]:
        """One request on a kept connection. ``body``: bytes as they are, anything else as JSON."""
        raw = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, raw, {"Authorization": f"token {TOKEN}", "Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()

    def connection(self) -> http.client.HTTPConnection:
        """A kept connection for :meth:`ask_on`, Nagle's algorithm off on our side."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120.0)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def json(self, method: str, path: str, body: Any = None) -> Any:
        """The decoded body of an answer that must be a success."""
        status, raw = self.ask(method, path, body)
        if status >= 300:
            raise RuntimeError(f"{self.name}: {method} {path}: {status} {raw[:300]!r}")
        return json.loads(raw) if raw else None

    def start_kernel(self, name: str = "bench") -> str:
        if not self.contender.jupyter:
            session = {"name": "", "path": f"{time.monotonic_ns()}.ipynb", "type": "notebook", "kernel": {"name": name}}
            return str(self.json("POST", "/api/sessions", session)["kernel"]["id"])
        return str(self.json("POST", "/api/kernels", {"name": name})["id"])

    def stop_kernels(self) -> None:
        for kernel in self.json("GET", "/api/kernels"):
            self.ask("DELETE", f"/api/kernels/{kernel['id']}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(home: Path) -> dict[str, str]:
    """A server's environment: its directories below ``home``, no configuration of the machine, our kernelspec."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "JPY", "PYTHON", "VIRTUAL_ENV"))}
    mine = home / "jupyter"
    return {
        **kept,
        "HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(mine / "config"),
        "JUPYTER_DATA_DIR": str(mine / "data"),
        "JUPYTER_RUNTIME_DIR": str(mine / "runtime"),
        "JUPYTER_NO_CONFIG": "1",
    }


def write_kernelspec(home: Path) -> None:
    """The kernel ``bench`` (:mod:`benchmarks.kernel`), run by the Python that runs the benchmark."""
    spec = home / "jupyter/data/kernels/bench"
    spec.mkdir(parents=True)
    argv = [sys.executable, str(HERE / "kernel.py"), "{connection_file}"]
    (spec / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "Bench", "language": "none"}))


@contextmanager
def running(contender: Contender, *options: str) -> Iterator[Server]:
    """Start ``contender``, wait for its first answer, and stop it with all that it started."""
    home = Path(tempfile.mkdtemp(prefix=f"bench-{contender.name}-"))
    (home / "root").mkdir()
    write_kernelspec(home)
    port = free_port()
    argv = [*contender.command(port, home / "root"), *options]
    with (home / "log").open("wb") as log:
        began = time.perf_counter()
        process = subprocess.Popen(
            argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=home / "root",
            env={**environment(home), **dict(contender.environment)}, preexec_fn=_many_files,
        )  # fmt: skip
    server = Server(contender, home, process, port)
    try:
        _await_answer(server, began)
        yield server
    finally:
        _end(server)


def _many_files() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536), hard))


def _await_answer(server: Server, began: float, patience: float = 60.0) -> None:
    while True:
        try:
            status, _ = server.ask("GET", server.contender.probe, timeout=10.0)
        except OSError:
            status = 0
        server.ready = time.perf_counter() - began
        if status == 200:
            server.ready_cpu = server.cpu()
            return
        if server.ready > patience or server.process.poll() is not None:
            raise RuntimeError(f"{server.name} did not start:\n{(server.home / 'log').read_text()[-3000:]}")
        time.sleep(0.005)


def _end(server: Server) -> None:
    """Kernels first, by the API; then the server; then its directory. A kernel left over is told on stderr."""
    try:
        if server.process.poll() is None:
            server.stop_kernels()
    except Exception as e:
        print(f"{server.name}: kernels not stopped: {e!r}", file=sys.stderr)
    status = stop(server.process)
    if status not in (0, -signal.SIGTERM):
        print(f"{server.name}: exit status {status}\n{(server.home / 'log').read_text()[-2000:]}", file=sys.stderr)
    shutil.rmtree(server.home, ignore_errors=True)


FRONT_ENDS = ("--ServerApp.jpserver_extensions={'jupyterlab': True, 'jupyter_server_terminals': True}",)
"""An empty configuration enables nothing; this is what installing JupyterLab enables."""


@dataclass(frozen=True)
class Case:
    """``measure`` one running server. ``setup`` prepares it (files, kernels) before the clock runs.

    ``options`` go to each server's command line. Figures are named ``"what, unit"``; one table row each.
    """

    name: str
    measure: Callable[[Server], Figures]
    setup: Callable[[Server], None] | None = None
    options: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    """Contenders that can not do it."""
    relay: Callable[[], Figures] | None = None
    """The same measured on a bare relay, for the third column."""


def once(case: Case, contender: Contender) -> Figures:
    with running(contender, *case.options) as server:
        if case.setup is not None:
            case.setup(server)
        return case.measure(server)


def compare(cases: Sequence[Case], contenders: Sequence[Contender], repeats: int, relay: bool = True) -> Results:
    """Run each case ``repeats`` times on each contender, turn about, and keep every figure."""
    results = Results()
    for case in cases:
        mine = Results()
        for turn in range(repeats):
            columns = [(one.name, partial(once, case, one)) for one in contenders if one.name not in case.without]
            if relay and case.relay is not None:
                columns.append(("relay", partial(case.relay)))
            for name, run in columns:
                print(f"[{case.name} {turn + 1}/{repeats}] {name}", file=sys.stderr, flush=True)
                try:
                    figures = run()
                except Exception as e:
                    print(f"  failed: {e!r}", file=sys.stderr, flush=True)
                    continue
                mine.add(name, figures)
                results.add(name, figures)
        print(mine.markdown(), file=sys.stderr, flush=True)
    return results


def contenders_of(options: argparse.Namespace) -> tuple[list[Contender], dict[str, dict[str, str]]]:
    """The contenders that the command line names, and what is in their environments.

    One whose environment is not given gets one of its own.
    """
    makers = {"reference": Contender.reference, "jupyterd": Contender.jupyterd, "jupyverse": Contender.jupyverse}
    given = {name: getattr(options, name) for name in makers if getattr(options, name)}
    names = list(given) or [name for name in options.peers.split(",") if name]
    found, versions = [], {}
    for name in names:
        venv = given.get(name) or environments.ensure(name)
        contender = makers[name](venv)
        if options.profile is not None and name == "jupyterd":
            contender = contender.profiled(venv, options.profile)
        found.append(contender)
        versions[name] = environments.versions(venv)
    return found, versions


def main(doc: str | None, cases: Sequence[Case], argv: Sequence[str] | None = None) -> Results:
    """The command line that every benchmark has."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in environments.PEERS:
        parser.add_argument(f"--{name}", type=Path, metavar="VENV", help=f"a virtual environment with {name}")
    parser.add_argument("--peers", default="reference,jupyterd", help="whom to measure, where no VENV is given")
    parser.add_argument("--only", default="", help=f"cases, by comma, of: {', '.join(case.name for case in cases)}")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--no-relay", action="store_true", help="leave the bare relay's column out")
    parser.add_argument("--json", type=Path, help="write every figure there")
    parser.add_argument("--markdown", type=Path, help="write the table there")
    parser.add_argument("--chart", type=Path, help="write the chart (SVG) there")
    parser.add_argument("--profile", type=Path, help="a directory for cProfile's files of jupyterd (slow figures)")
    options = parser.parse_args(argv)
    _many_files()
    contenders, versions = contenders_of(options)
    chosen = [case for case in cases if not options.only or case.name in options.only.split(",")]
    results = compare(chosen, contenders, options.repeats, not options.no_relay)
    results.versions = versions
    table = f"{results.markdown()}\n\n{results.about()}\n"
    print(table)
    for path, text in ((options.json, results.json()), (options.markdown, table), (options.chart, results.chart())):
        if path is not None:
            path.write_text(text)
    return results
