"""What recording cells' outputs costs while a client is there: ``python -m benchmarks.outputs``.

One server, two kernels: one runs cells of a notebook, whose outputs are kept until a save holds them, the other the
same code for nobody's notebook, of which nothing is recorded. They take turns in short rounds, first the one, then the
other first, so that what else the machine does weighs on both. A figure is the ratio of the server's CPU in a pair of
rounds; the median of all pairs and their quartiles are told.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import channels
from benchmarks.harness import TOKEN, Contender, Server, running
from benchmarks.kernel import END
from benchmarks.websocket import V1, WebSocket, collect

PATH, CELL = "a.ipynb", "cell"
NOTEBOOK = {
    "cells": [
        {"cell_type": "code", "id": CELL, "execution_count": None, "metadata": {}, "outputs": [], "source": "flood"}
    ],
    "metadata": {}, "nbformat": 4, "nbformat_minor": 5,
}  # fmt: skip
CASES = {"flood": (1, 20_000), "tabs": (channels.TABS, channels.TABS_FLOOD)}
"""Tabs, and messages of a round."""
CELLS, DISTINCT = 200, 50
"""Cells that are run in a round, and how many different ones."""
NO_PINGS = "--ServerApp.websocket_ping_interval=0"
"""A tab that waits for its turn reads nothing, and would be taken for dead."""
SETTLED, SETTLED_CELLS = 0.1, 1.0
"""Seconds for what is done behind a flood, and behind cells."""


def spent(pid: int) -> float:
    """CPU seconds of all threads that a process has, to the nanosecond."""
    return (
        sum(int(task.joinpath("schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir())
        / 1e9
    )


def notebook_kernel(server: Server) -> str:
    """The kernel of a notebook's session."""
    server.json("PUT", f"/api/contents/{PATH}", {"type": "notebook", "format": "json", "content": NOTEBOOK})
    session = {"name": "", "path": PATH, "type": "notebook", "kernel": {"name": "bench"}}
    return str(server.json("POST", "/api/sessions", session)["kernel"]["id"])


@dataclass
class Side:
    """One kernel and its tabs.

    :ivar metadata: of its requests.
    """

    server: Server
    kernel_id: str
    metadata: dict[str, str] = field(default_factory=dict)
    tabs: list[WebSocket] = field(default_factory=list)

    def connect(self, count: int) -> None:
        for _ in range(count):
            path = f"/api/kernels/{self.kernel_id}/channels?session_id={uuid.uuid4().hex}"
            tab = channels.answered(WebSocket(self.server.port, path, TOKEN, V1))
            tab.metadata = self.metadata
            self.tabs.append(tab)
        for tab in self.tabs:
            channels.drained(tab)
            tab.bytes.clear()

    def round(self, count: int) -> float:
        """CPU seconds of the server for a flood, until each tab has all of it."""
        begin = spent(self.server.pid)
        self.tabs[0].execute(f"flood {count} {channels.FLOOD_SIZE}")
        collect(self.tabs, END, timeout=300.0)
        time.sleep(SETTLED)
        cpu = spent(self.server.pid) - begin
        for tab in self.tabs:
            channels.check(tab, count)
            tab.bytes.clear()
        return cpu

    def cells(self) -> float:
        """CPU seconds of the server for a cell."""
        begin = spent(self.server.pid)
        for number in range(CELLS):
            if self.metadata:
                self.tabs[0].metadata = {"cellId": f"cell{number % DISTINCT}"}
            self.tabs[0].until_idle(self.tabs[0].execute("flood 1 100"))
        time.sleep(SETTLED_CELLS)
        return (spent(self.server.pid) - begin) / CELLS

    def recorded(self) -> bool:
        """Whether the server knows of an execution that is in no file."""
        return bool(self.server.json("GET", f"/api/kernels/{self.kernel_id}/executions")["executions"])


def sides(server: Server, tabs: int, count: int) -> tuple[Side, Side]:
    """One that is recorded and one that is not, both warm."""
    recorded = Side(server, notebook_kernel(server), {"cellId": CELL})
    plain = Side(server, server.start_kernel())
    for side in (recorded, plain):
        side.connect(tabs)
        side.round(count)  # what is built once
        assert side.recorded() == bool(side.metadata)
    return recorded, plain


def cells(server: Server, pairs: int) -> list[float]:
    """Of each pair of rounds: milliseconds of CPU that a cell costs more with recording."""
    recorded, plain = sides(server, 1, 100)
    found = []
    for number in range(pairs):
        first, second = (recorded, plain) if number % 2 else (plain, recorded)
        cpu = {id(side): 1e3 * side.cells() for side in (first, second)}
        found.append(cpu[id(recorded)] - cpu[id(plain)])
        print(f"[cells {number + 1}/{pairs}] {cpu[id(plain)]:.3g} ms, {found[-1]:+.3f}", file=sys.stderr, flush=True)
    return found


def ratios(server: Server, tabs: int, count: int, pairs: int, name: str) -> list[float]:
    """Of each pair of rounds: CPU with recording by CPU without."""
    recorded, plain = sides(server, tabs, count)
    found = []
    for number in range(pairs):
        first, second = (recorded, plain) if number % 2 else (plain, recorded)
        cpu = {id(side): side.round(count) for side in (first, second)}
        found.append(cpu[id(recorded)] / cpu[id(plain)])
        told = f"{1e6 * cpu[id(plain)] / count / tabs:.3g} µs, {found[-1]:.3f}"
        print(f"[{name} {number + 1}/{pairs}] {told}", file=sys.stderr, flush=True)
    return found


def main() -> None:
    """Print what recording costs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jupyterd", type=Path, metavar="VENV", default=Path(sys.prefix))
    parser.add_argument("--only", default=",".join([*CASES, "cells"]), help="cases, by comma")
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--profile", type=Path, help="a directory for cProfile's files")
    options = parser.parse_args()
    contender = Contender.jupyterd(options.jupyterd, NO_PINGS)
    if options.profile is not None:
        contender = contender.profiled(options.jupyterd, options.profile)
    print("| what | CPU with recording by CPU without (cells: ms more): median | quartiles |\n| --- | ---: | ---: |")
    for name in options.only.split(","):
        with running(contender) as server:
            if name == "cells":
                found = cells(server, options.pairs)
            else:
                found = ratios(server, *CASES[name], options.pairs, name)
        low, middle, high = statistics.quantiles(found, n=4)
        print(f"| {name} | {middle:.3f} | {low:.3f} to {high:.3f} |", flush=True)


if __name__ == "__main__":
    main()
