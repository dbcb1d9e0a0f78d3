"""The keeper's price: jupyterd with it, without a log on disk, without it: ``python -m benchmarks.keeper``.

The CPU of a figure is that of server and keeper together; servers take turns, a figure is the median.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import channels
from benchmarks.harness import Contender, Figures, Server, running
from benchmarks.process import cpu, pss
from benchmarks.websocket import V1

WAYS = {
    "keeper": (),
    "no log on disk": ("--ZMQChannelsWebsocketConnection.message_log_on_disk=False",),
    "no keeper": ("--ServerApp.keeper=False",),
}
IDLE_KERNELS, IDLE_SECONDS = 10, 60.0
TRIPS = 300


def keeper_of(server: Server) -> int | None:
    """The process number of a server's keeper; None where it has none."""
    for task in Path(f"/proc/{server.pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            if b"jupyterd.keeper" in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
    return None


@dataclass
class Spent:
    """CPU seconds of a server and its keeper since it was made."""

    server: Server
    _begin: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._begin = {pid: cpu(pid) for pid in self._pids()}

    def _pids(self) -> list[int]:
        keeper = keeper_of(self.server)
        return [self.server.pid] if keeper is None else [self.server.pid, keeper]

    def __call__(self) -> float:
        return sum(cpu(pid) - self._begin.get(pid, 0.0) for pid in self._pids())


def start(server: Server) -> Figures:
    began = time.perf_counter()
    server.start_kernel()
    return {
        "start to the first answer, ms": 1e3 * server.ready,
        "the first kernel, ms": 1e3 * (time.perf_counter() - began),
    }


def round_trips(server: Server) -> Figures:
    _, connect = channels.kernel_of(server)
    tab, spent = connect(V1), Spent(server)
    figures = channels.round_trips(server.pid, tab, "v1", count=TRIPS)
    return {**figures, "execute round trip, v1: CPU, ms": 1e3 * spent() / TRIPS}


def flood(server: Server) -> Figures:
    _, connect = channels.kernel_of(server)
    tab, spent = connect(V1), Spent(server)
    channels.flooded(server.pid, [tab], "flood", channels.FLOOD)
    return {"flood, v1, a message: CPU, µs": 1e6 * spent() / channels.FLOOD}


def tabs(server: Server) -> Figures:
    _, connect = channels.kernel_of(server)
    opened = [connect(V1) for _ in range(channels.TABS)]
    for tab in opened:
        channels.drained(tab)
    spent = Spent(server)
    channels.flooded(server.pid, opened, "tabs", channels.TABS_FLOOD)
    return {
        f"{channels.TABS} tabs, v1, a delivery: CPU, µs": 1e6 * spent() / channels.TABS_FLOOD / channels.TABS,
    }


def idle(server: Server) -> Figures:
    for _ in range(IDLE_KERNELS):
        server.start_kernel("python3")
    time.sleep(5.0)
    spent, keeper = Spent(server), keeper_of(server)
    time.sleep(IDLE_SECONDS)
    figures = {f"{IDLE_KERNELS} idle kernels: CPU, % of a core": 100 * spent() / IDLE_SECONDS}
    if keeper is not None:
        figures[f"{IDLE_KERNELS} idle kernels: keeper, PSS in MB"] = pss(keeper) / 1e6
    return figures


CASES: dict[str, tuple[Callable[[Server], Figures], tuple[str, ...]]] = {
    "start": (start, tuple(WAYS)),
    "roundtrip": (round_trips, tuple(WAYS)),
    "flood": (flood, tuple(WAYS)),
    "tabs": (tabs, tuple(WAYS)),
    "idle": (idle, ("keeper",)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jupyterd", type=Path, metavar="VENV", default=Path(sys.prefix))
    parser.add_argument("--only", default=",".join(CASES), help="cases, by comma")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    figures: dict[str, dict[str, list[float]]] = {}
    for name in options.only.split(","):
        measure, ways = CASES[name]
        for turn in range(1 if name == "idle" else options.repeats):
            for way in ways:
                print(f"[{name} {turn + 1}] {way}", file=sys.stderr, flush=True)
                with running(Contender.jupyterd(options.jupyterd, *WAYS[way])) as server:
                    for what, figure in measure(server).items():
                        figures.setdefault(what, {}).setdefault(way, []).append(figure)
    print("| what |", " | ".join(WAYS), "|")
    print("| --- |" + " ---: |" * len(WAYS))
    for what, row in figures.items():
        print(
            f"| {what} |", " | ".join(f"{statistics.median(row[way]):.3g}" if way in row else "" for way in WAYS), "|"
        )


if __name__ == "__main__":
    main()
