"""Start-up below a JupyterHub: ``jupyterd-singleuser`` beside ``jupyterhub-singleuser``, in one environment.

    python -m benchmarks.hub --venv VENV

``VENV`` has jupyterhub, jupyterlab and jupyterd. The Hub is a small one of this process: it answers as fast to both.
"""

from __future__ import annotations

import argparse
import http.client
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from benchmarks.harness import TOKEN, Figures, environment, free_port
from benchmarks.process import MB, cpu, pss, stop
from benchmarks.report import Results

BASE = "/user/bench/"
NAMES = {"reference": "jupyterhub-singleuser", "jupyterd": "jupyterd-singleuser"}
PATIENCE = 120.0


class Hub(BaseHTTPRequestHandler):
    """The Hub's API, as far as servers ask it when they start."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        user = {"name": "bench", "kind": "user", "scopes": ["access:servers!user=bench"]}
        self._answer(200, user if self.path == "/hub/api/user" else {"version": "5.5.4"})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(200, {})

    def _answer(self, status: int, model: Any) -> None:
        body = json.dumps(model).encode()
        self.send_response(status)
        self.send_header("X-JupyterHub-Version", "5.5.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@dataclass
class Server:
    """A running server."""

    process: subprocess.Popen[bytes]
    port: int
    ready: float = 0.0
    ready_cpu: float = 0.0

    def ask(self, path: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", BASE + path, headers={"Authorization": f"token {TOKEN}"})
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()


@contextmanager
def running(command: Path, hub_port: int) -> Iterator[Server]:
    """Start a server as a spawner does, and wait for its first answer."""
    home, port = Path(tempfile.mkdtemp(prefix="bench-hub-")), free_port()
    api = f"http://127.0.0.1:{hub_port}/hub/api"
    env = {
        **environment(home),
        "JUPYTERHUB_API_TOKEN": "bench-server",
        "JUPYTERHUB_API_URL": api,
        "JUPYTERHUB_ACTIVITY_URL": f"{api}/users/bench/activity",
        "JUPYTERHUB_BASE_URL": "/",
        "JUPYTERHUB_CLIENT_ID": "jupyterhub-user-bench",
        "JUPYTERHUB_HOST": "",
        "JUPYTERHUB_OAUTH_CALLBACK_URL": f"{BASE}oauth_callback",
        "JUPYTERHUB_OAUTH_ACCESS_SCOPES": '["access:servers!user=bench"]',
        "JUPYTERHUB_SERVER_NAME": "",
        "JUPYTERHUB_SERVICE_PREFIX": BASE,
        "JUPYTERHUB_SERVICE_URL": f"http://127.0.0.1:{port}{BASE}",
        "JUPYTERHUB_USER": "bench",
    }
    del env["JUPYTER_NO_CONFIG"]  # what enables JupyterLab for the reference lies in the environment's own
    with (home / "log").open("wb") as log:
        began = time.perf_counter()
        process = subprocess.Popen(
            [str(command), "--allow-root"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=home, env=env
        )
    server = Server(process, port)
    try:
        while True:
            try:
                status = server.ask("api")
            except OSError:
                status = 0
            server.ready = time.perf_counter() - began
            if status == 200:
                server.ready_cpu = cpu(process.pid)
                break
            if server.ready > PATIENCE or process.poll() is not None:
                raise RuntimeError(f"{command} did not start:\n{(home / 'log').read_text()[-3000:]}")
            time.sleep(0.005)
        yield server
    finally:
        stop(process)
        shutil.rmtree(home, ignore_errors=True)


def measure(server: Server) -> Figures:
    """The figures of one start."""
    time.sleep(1.0)
    figures = {
        "start to first answer, s": server.ready,
        "start to first answer, CPU s": server.ready_cpu,
        "memory a second later (PSS), MB": pss(server.process.pid) / MB,
    }
    for path in ("api/me", "api/contents", "lab"):
        if server.ask(path) != 200:
            raise RuntimeError(f"{path} is not answered")
    return {**figures, "memory after a listing and the page of JupyterLab (PSS), MB": pss(server.process.pid) / MB}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--venv", type=Path, required=True, help="an environment with both commands")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    hub = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    results = Results()
    for turn in range(options.repeats):
        for name, command in NAMES.items():
            print(f"[{turn + 1}/{options.repeats}] {command}", file=sys.stderr, flush=True)
            with running(options.venv / "bin" / command, hub.server_port) as server:
                results.add(name, measure(server))
    print(results.markdown())


if __name__ == "__main__":
    main()
