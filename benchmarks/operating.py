"""What operators are promised, measured: ``python -m benchmarks.operating``.

The dashboard's price at ten kernels, how long ``jupyterd status`` takes, how long a stop with ten busy kernels takes,
and what the stall watchdog costs. CPU is that of the server; ``jupyterd status`` is told with its own too, as its time
is that of a machine with nothing else to do.
"""

from __future__ import annotations

import os
import resource
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness import Contender, Figures, Server, environment, running
from benchmarks.process import cpu

KERNELS = 10
SECONDS = 60.0
"""For which it is looked."""

ASKED_EVERY = 2.0
"""As the dashboard does."""

REQUESTS = 3000
VENV = Path(sys.executable).parent.parent


@contextmanager
def ten_kernels(*options: str) -> Iterator[tuple[Server, list[str]]]:
    """A server with real kernels that are idle."""
    with running(Contender.jupyterd(VENV, *options)) as server:
        kernels = [server.start_kernel("python3") for _ in range(KERNELS)]
        while any(kernel["execution_state"] != "idle" for kernel in server.json("GET", "/api/kernels")):
            time.sleep(0.2)
        yield server, kernels


def used(server: Server) -> float:
    """Percent of a core that the server takes when nothing asks."""
    before = cpu(server.pid)
    time.sleep(SECONDS)
    return 100 * (cpu(server.pid) - before) / SECONDS


def watched(server: Server) -> float:
    """The same with the dashboard open."""
    connection, line = server.connection(), 0
    before, end = cpu(server.pid), time.monotonic() + SECONDS
    while time.monotonic() < end:
        server.ask_on(connection, "GET", "/api/jupyterd/status")
        server.ask_on(connection, "GET", f"/api/jupyterd/log?after={line}&kernel_id=")
        time.sleep(ASKED_EVERY)
    return 100 * (cpu(server.pid) - before) / SECONDS


def status(server: Server) -> Figures:
    """``jupyterd status``, the median of seven."""
    times, spent = [], []
    for _ in range(7):
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(
            [str(VENV / "bin" / "jupyterd"), "status"],
            check=True,
            env=environment(server.home),
            stdout=subprocess.DEVNULL,
        )
        times.append(time.perf_counter() - began)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return {"status, s": statistics.median(times), "status, CPU s": statistics.median(spent)}


def stop(server: Server, kernels: list[str]) -> Figures:
    """A SIGTERM while each kernel runs a cell that does not end."""
    for kernel in kernels:
        server.json("POST", f"/api/kernels/{kernel}/execute", {"code": "while True: pass"})
    while any(kernel["execution_state"] != "busy" for kernel in server.json("GET", "/api/kernels")):
        time.sleep(0.2)
    began = time.perf_counter()
    os.kill(server.pid, signal.SIGTERM)
    server.process.wait(60)
    return {f"stop with {KERNELS} busy kernels, s": time.perf_counter() - began}


def request(*options: str) -> float:
    """CPU of a small request, µs."""
    with running(Contender.jupyterd(VENV, *options)) as server:
        connection = server.connection()
        server.ask_on(connection, "GET", "/api")
        before = cpu(server.pid)
        for _ in range(REQUESTS):
            server.ask_on(connection, "GET", "/api")
        return 1e6 * (cpu(server.pid) - before) / REQUESTS


def main() -> None:
    """Measure, and print a figure a line."""
    figures: Figures = {}
    with ten_kernels() as (server, kernels):
        figures["idle, % of a core"] = used(server)
        figures["dashboard open, % of a core"] = watched(server)
        figures.update(status(server))
        figures.update(stop(server, kernels))
    turns: dict[str, list[float]] = {"with": [], "without": []}
    for _ in range(3):
        turns["with"].append(request())
        turns["without"].append(request("--ServerApp.stall_seconds=0"))
    for name, values in turns.items():
        figures[f"a request {name} the stall watchdog, CPU µs"] = statistics.median(values)
    for name, value in figures.items():
        print(f"{name:50} {value:8.3g}")


if __name__ == "__main__":
    main()
