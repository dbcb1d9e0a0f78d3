"""Server extensions' price: jupyterd with them and without, and the Jupyter Server with the same ones.

    python -m benchmarks.extensions --venv VENV

``VENV`` has jupyterd, jupyter_server and the extensions, which enable themselves. What a request to an extension
costs is the daemon's CPU alone; the host's own is the extension's.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import channels
from benchmarks.harness import Contender, Figures, Server, running
from benchmarks.process import MB, Cost, cpu, pss
from benchmarks.report import Results
from benchmarks.rest import REQUESTS, hammer
from benchmarks.websocket import V1

HERE = Path(__file__).resolve().parent
OURS = "--ServerApp.jpserver_extensions=benchmarks.extension=True"
IDLE_SECONDS, BLOCK_SECONDS = 30.0, 5.0
TRIPS = 300
PATIENCE = 180.0


def contenders(venv: Path) -> dict[str, Contender]:
    """All three by the names of their columns."""
    enabled = (("JUPYTER_NO_CONFIG", ""), ("PYTHONPATH", str(HERE.parent)))  # what enables them lies in the environment

    def jupyterd(*options: str, extensions: bool) -> Contender:
        return Contender("jupyterd", (str(venv / "bin/jupyterd"),), options, enabled if extensions else ())

    reference = Contender("reference", (str(venv / "bin/jupyter-server"),), (OURS,), enabled)
    return {
        "reference": reference,
        "jupyterd": jupyterd(OURS, extensions=True),
        "jupyterd without": jupyterd(extensions=False),
    }


def host_of(server: Server) -> dict[str, Any] | None:
    """What jupyterd tells of its host; None where there is none."""
    status, body = server.ask("GET", "/api/extensions")
    told: dict[str, Any] | None = json.loads(body)["host"] if status == 200 else None
    return told


def ready(server: Server, began: float) -> tuple[int | None, float]:
    """Wait until extensions answer: the host's process number, and when that was, in seconds after ``began``."""
    deadline = time.perf_counter() + PATIENCE
    while (host := host_of(server)) is not None and host["state"] != "ready":
        if time.perf_counter() > deadline:
            raise RuntimeError(f"the extension host is not ready: {host}")
        time.sleep(0.1)  # asked more often, the answers would cost as much as what is measured
    return (None if host is None else int(host["pid"])), time.perf_counter() - began


def start(server: Server) -> Figures:
    """To the first answer, to the extensions' first, memory, and what it costs while nothing happens."""
    host, seconds = ready(server, time.perf_counter() - server.ready)
    figures = {
        "start to first answer, s": server.ready,
        "start to first answer: CPU of the server, s": server.ready_cpu,
    }
    processes = [server.pid] + ([] if host is None else [host])
    if server.name == "reference" or host is not None:
        figures["start until extensions answer, s"] = seconds
        figures["start until extensions answer: CPU of all, s"] = sum(map(cpu, processes))
    time.sleep(3.0)
    before = [cpu(pid) for pid in processes]
    time.sleep(IDLE_SECONDS)
    idle = [100 * (cpu(pid) - spent) / IDLE_SECONDS for pid, spent in zip(processes, before, strict=True)]
    figures["memory of the server (PSS), MB"] = pss(server.pid) / MB
    figures["idle: CPU of the server, %"] = idle[0]
    if host is not None:
        figures["memory of the host (PSS), MB"] = pss(host) / MB
        figures["idle: CPU of the host, %"] = idle[1]
    return figures


def waits(server: Server, seconds: float) -> list[float]:
    """How long ``GET /api`` takes, asked each 5 ms."""
    times, connection = [], server.connection()
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        began = time.perf_counter()
        status, _ = server.ask_on(connection, "GET", "/api")
        assert status == 200
        times.append(time.perf_counter() - began)
        time.sleep(0.005)
    connection.close()
    return times


def told(label: str, times: list[float]) -> Figures:
    """Median, 99 % and worst of them."""
    return {
        f"GET /api {label}: p50, ms": 1e3 * statistics.median(times),
        f"GET /api {label}: p99, ms": 1e3 * statistics.quantiles(times, n=100)[98],
        f"GET /api {label}: worst, ms": 1e3 * max(times),
    }


def blocked(server: Server) -> Figures:
    """``GET /api`` while nothing happens, and while an extension's handler blocks."""
    host, _ = ready(server, time.perf_counter())
    figures = told("while nothing happens", waits(server, BLOCK_SECONDS))
    if host is None:
        return figures
    client = threading.Thread(target=server.ask, args=("GET", f"/b/block?seconds={BLOCK_SECONDS + 1:g}"), daemon=True)
    client.start()
    time.sleep(0.5)
    figures |= told("while an extension blocks", waits(server, BLOCK_SECONDS))
    client.join(30.0)
    return figures


def requests(server: Server) -> Figures:
    """The daemon's CPU for a small request of its own and for one to an extension, in one run."""
    host, _ = ready(server, time.perf_counter())
    paths = {"/api/kernels": "native"} | ({} if host is None else {"/b/small": "to an extension"})
    figures = {}
    for path, label in paths.items():
        hammer(server, path, 500)
        with Cost(server.pid) as cost:
            hammer(server, path)
        figures[f"a small request, {label}: CPU of the daemon, µs"] = 1e6 * cost.cpu / REQUESTS
    if len(figures) == 2:
        native, forwarded = figures.values()
        figures["a request to an extension, on top of a native one: CPU of the daemon, µs"] = forwarded - native
    return figures


def channels_of(server: Server) -> Figures:
    """Round trip and flood of a kernel's channels."""
    ready(server, time.perf_counter())
    _, connect = channels.kernel_of(server)
    figures = channels.round_trips(server.pid, connect(V1), "v1", count=TRIPS)
    return figures | channels.flooded(server.pid, [connect(V1)], "flood, v1, a message", channels.FLOOD)


CASES: dict[str, tuple[Callable[[Server], Figures], tuple[str, ...]]] = {
    "start": (start, ("reference", "jupyterd", "jupyterd without")),
    "blocked": (blocked, ("jupyterd", "jupyterd without")),
    "requests": (requests, ("jupyterd", "jupyterd without")),
    "channels": (channels_of, ("jupyterd", "jupyterd without")),
}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--venv", type=Path, required=True, help="an environment with both servers and the extensions")
    parser.add_argument("--only", default=",".join(CASES), help="cases, by comma")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write every figure there")
    options = parser.parse_args()
    results, made = Results(), contenders(options.venv.absolute())
    for name in options.only.split(","):
        measure, columns = CASES[name]
        for turn in range(options.repeats):
            for column in columns:
                print(f"[{name} {turn + 1}/{options.repeats}] {column}", file=sys.stderr, flush=True)
                with running(made[column]) as server:
                    results.add(column, measure(server))
        print(results.markdown(), file=sys.stderr, flush=True)
    print(f"{results.markdown()}\n\n{results.about()}")
    if options.json is not None:
        options.json.write_text(results.json())


if __name__ == "__main__":
    main()
