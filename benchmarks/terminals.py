"""Terminals: the echo of a key, and a megabyte of output, to one browser tab."""

from __future__ import annotations

import json
import statistics
import time

from benchmarks.harness import FRONT_ENDS, TOKEN, Case, Figures, Server, main
from benchmarks.process import Cost
from benchmarks.websocket import TEXT, WebSocket

KEYS, LINES = 100, 20_000


def text_of(payload: memoryview) -> str:
    """What a frame of the terminal protocol shows."""
    kind, *rest = json.loads(bytes(payload))
    return str(rest[0]) if kind == "stdout" else ""


def until_shown(tab: WebSocket, word: str, limit: float = 60.0) -> None:
    """Read frames until ``word`` was shown."""
    shown, end = "", time.monotonic() + limit
    while word not in shown:
        assert time.monotonic() < end, f"{word!r} was not shown"
        shown = shown[-200:] + text_of(tab.receive_frame(limit))


def terminal(server: Server) -> Figures:
    """One shell; its prompt is a word that nothing else prints."""
    name = server.json("POST", "/api/terminals", {})["name"]
    tab = WebSocket(server.port, f"/terminals/websocket/{name}", TOKEN)

    def type_in(text: str) -> None:
        tab.send_frame(TEXT, json.dumps(["stdin", text]).encode())

    type_in("PS1=; stty -echo; echo rea''dy\n")
    until_shown(tab, "ready")
    times = []
    with Cost(server.pid) as keys:
        for number in range(KEYS):
            began = time.perf_counter()
            type_in(f"echo k{number}''k\n")
            until_shown(tab, f"k{number}k")
            times.append(time.perf_counter() - began)
    with Cost(server.pid) as flood:
        type_in(f"seq 1000000 {1000000 + LINES - 1}; echo do''ne\n")
        until_shown(tab, "done")
    tab.close()
    server.ask("DELETE", f"/api/terminals/{name}")
    return {
        "terminal, a line and its echo: p50, ms": 1e3 * statistics.median(times),
        "terminal, a line and its echo: CPU, ms": 1e3 * keys.cpu / KEYS,
        f"terminal, {LINES:,} lines: CPU, ms": 1e3 * flood.cpu,
    }


CASES = [Case("terminal", terminal, options=FRONT_ENDS, without=("jupyverse",))]

if __name__ == "__main__":
    main(__doc__, CASES)
