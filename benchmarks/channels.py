"""Kernel channels: round trip, flood, many tabs, big buffers, a client that does not read, idle websockets.

All but ``ipykernel`` run against a small kernel (kernel.py) that is quicker than any server, so that the server is
what is measured. Each flood is checked message by message after the clock has stopped: the order exact, nothing lost.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.harness import HERE, TOKEN, Case, Figures, Server, free_port, main
from benchmarks.kernel import END, NUMBER
from benchmarks.process import MB, Cost, Growth, stop
from benchmarks.websocket import V1, WebSocket, collect

PROTOCOLS = {"JSON": "", "v1": V1}
Connect = Callable[[str], WebSocket]
FLOOD, FLOOD_SIZE = 100_000, 300
TABS, TABS_FLOOD = 20, 5_000
BUFFERS, BUFFER_SIZE = 100, 5 * MB
STALL, STALL_SIZE = 50_000, 10_000
IDLE = {"reference": 200}
"""Idle websockets; 2,000 where the reference's own sockets are not the limit."""


def kernel_of(server: Server, name: str = "bench") -> tuple[str, Connect]:
    """A started kernel's id, and what opens a tab on it that the kernel has answered."""
    kernel_id = server.start_kernel(name)

    def connect(protocol: str) -> WebSocket:
        path = f"/api/kernels/{kernel_id}/channels?session_id={uuid.uuid4().hex}"
        return answered(WebSocket(server.port, path, TOKEN, protocol))

    return kernel_id, connect


def answered(tab: WebSocket) -> WebSocket:
    """Wait until requests are answered and iopub is heard; then forget all that came."""
    for _ in range(30):
        with suppress(TimeoutError):
            tab.until_idle(tab.request("kernel_info_request", {}), 1.0)
            time.sleep(0.2)
            tab.sock.setblocking(False)
            with suppress(BlockingIOError):
                tab.sock.recv(1 << 20)
            tab.sock.setblocking(True)
            tab.bytes.clear()
            return tab
    raise TimeoutError("the kernel does not answer")


@contextmanager
def relayed(protocol: str) -> Iterator[tuple[int, WebSocket]]:
    """The bench kernel behind the bare relay: the relay's pid and the one tab it serves."""
    with tempfile.TemporaryDirectory() as home:
        connection = {f"{channel}_port": free_port() for channel in ("shell", "control", "stdin", "hb", "iopub")}
        file = Path(home, "kernel.json")
        file.write_text(json.dumps({**connection, "transport": "tcp", "ip": "127.0.0.1", "key": uuid.uuid4().hex}))
        kernel = subprocess.Popen([sys.executable, str(HERE / "kernel.py"), str(file)])
        relay = subprocess.Popen([sys.executable, str(HERE / "relay.py"), str(file), protocol], stdout=subprocess.PIPE)
        try:
            assert relay.stdout is not None
            yield relay.pid, answered(WebSocket(int(relay.stdout.readline()), "/", TOKEN, protocol))
        finally:
            stop(relay)
            stop(kernel)


def check(tab: WebSocket, count: int, size: int = 0) -> None:
    """All ``count`` messages are there, once, in order, with buffers of ``size`` bytes. Raises AssertionError."""
    numbers = []
    for message in tab.messages():
        if message["header"]["msg_type"] == "display_data":
            numbers.append(int(message["content"]["data"]["text/plain"][:NUMBER]))
            assert [len(buffer) for buffer in message["buffers"]] == ([size] if size else []), "buffers"
    assert numbers == list(range(count)), f"{len(numbers)} of {count} messages, or out of order"


# -- round trip


def round_trips(pid: int, tab: WebSocket, label: str, code: str = "", count: int = 300) -> Figures:
    times = []
    with Cost(pid) as cost:
        for _ in range(count):
            began = time.perf_counter()
            tab.until_idle(tab.execute(code))
            times.append(time.perf_counter() - began)
    tab.close()
    return {
        f"execute round trip, {label}: p50, ms": 1e3 * statistics.median(times),
        f"execute round trip, {label}: CPU, ms": 1e3 * cost.cpu / count,
    }


def round_trip(server: Server) -> Figures:
    figures: Figures = {}
    _, connect = kernel_of(server)
    for label, protocol in PROTOCOLS.items():
        figures |= round_trips(server.pid, connect(protocol), label)
    return figures


def relayed_round_trip() -> Figures:
    figures: Figures = {}
    for label, protocol in PROTOCOLS.items():
        with relayed(protocol) as (pid, tab):
            figures |= round_trips(pid, tab, label)
    return figures


def ipykernel(server: Server) -> Figures:
    _, connect = kernel_of(server, "python3")
    return round_trips(server.pid, connect(V1), "ipykernel, v1", "1 + 1", 200)


# -- flood


def flooded(pid: int, tabs: Sequence[WebSocket], label: str, count: int, size: int = FLOOD_SIZE) -> Figures:
    with Cost(pid) as cost:
        tabs[0].execute(f"flood {count} {size}")
        collect(tabs, END, timeout=300.0)
    for tab in tabs:
        check(tab, count)
        tab.close()
    each = count * len(tabs)
    return {f"{label}: CPU, µs": 1e6 * cost.cpu / each, f"{label}: wall, µs": 1e6 * cost.wall / each}


def flood(server: Server) -> Figures:
    figures: Figures = {}
    _, connect = kernel_of(server)
    for label, protocol in PROTOCOLS.items():
        figures |= flooded(server.pid, [connect(protocol)], f"flood, {label}, a message", FLOOD)
    return figures


def relayed_flood() -> Figures:
    figures: Figures = {}
    for label, protocol in PROTOCOLS.items():
        with relayed(protocol) as (pid, tab):
            figures |= flooded(pid, [tab], f"flood, {label}, a message", FLOOD)
    return figures


def drained(tab: WebSocket) -> None:
    """Take what a tab has been sent until nothing more comes."""
    tab.sock.settimeout(1.0)
    with suppress(TimeoutError):
        while True:
            tab.receive(0.05)


def tabs(server: Server) -> Figures:
    figures: Figures = {}
    _, connect = kernel_of(server)
    for label, protocol in PROTOCOLS.items():
        opened = [connect(protocol) for _ in range(TABS)]
        for tab in opened:
            drained(tab)
        figures |= flooded(server.pid, opened, f"{TABS} tabs, {label}, a delivery", TABS_FLOOD)
    return figures


# -- big buffers


def buffered(pid: int, tab: WebSocket, label: str) -> Figures:
    with Growth(pid) as growth, Cost(pid) as cost:
        tab.execute(f"buffers {BUFFERS} {BUFFER_SIZE}")
        collect([tab], END, timeout=300.0)
    check(tab, BUFFERS, BUFFER_SIZE)
    tab.close()
    return {
        f"5 MB buffers, {label}, a MB: CPU, ms": 1e3 * cost.cpu / (BUFFERS * BUFFER_SIZE / MB),
        f"5 MB buffers, {label}: growth, MB": growth.bytes / MB,
    }


def buffers(label: str) -> Case:
    """One case a protocol: each starts from a fresh server's memory."""

    def measure(server: Server) -> Figures:
        return buffered(server.pid, kernel_of(server)[1](PROTOCOLS[label]), label)

    def relay() -> Figures:
        with relayed(PROTOCOLS[label]) as (pid, tab):
            return buffered(pid, tab, label)

    return Case(f"buffers-{label}", measure, relay=relay)


# -- a client that does not read


def stalled(server: Server) -> Figures:
    """500 MB for a tab that reads nothing until the kernel is idle again; meanwhile its state is asked for."""
    kernel_id, connect = kernel_of(server)
    tab, asking, waits = connect(V1), server.connection(), []
    busy = idle = False
    with Growth(server.pid) as growth:
        tab.execute(f"flood {STALL} {STALL_SIZE}")
        began = time.perf_counter()
        while not idle and time.perf_counter() - began < 180.0:
            asked = time.perf_counter()
            _, body = server.ask_on(asking, "GET", f"/api/kernels/{kernel_id}")
            waits.append(time.perf_counter() - asked)
            state = json.loads(body)["execution_state"]
            busy = busy or state == "busy"
            idle = busy and state == "idle"
            time.sleep(0.005)
    assert idle, "the kernel was not idle again in 180 s"
    began = time.perf_counter()
    collect([tab], END, timeout=180.0)
    took = time.perf_counter() - began
    check(tab, STALL)
    tab.close()
    return {
        "500 MB for a client that does not read: growth, MB": growth.bytes / MB,
        "meanwhile GET /api/kernels/<id>: p99, ms": 1e3 * statistics.quantiles(waits, n=100)[98],
        "meanwhile GET /api/kernels/<id>: worst, ms": 1e3 * max(waits),
        "then it reads all, s": took,
    }


# -- idle websockets


def idle(server: Server) -> Figures:
    kernel_id, connect = kernel_of(server)
    tabs = [connect(V1)]
    count = IDLE.get(server.name, 2_000)
    memory, descriptors = server.pss(), server.fds()
    for _ in range(count):
        path = f"/api/kernels/{kernel_id}/channels?session_id={uuid.uuid4().hex}"
        tabs.append(WebSocket(server.port, path, TOKEN, V1))
    time.sleep(3.0)
    figures = {
        "idle websocket: memory (PSS), KB": (server.pss() - memory) / count / 1e3,
        "idle websocket: descriptors": (server.fds() - descriptors) / count,
        "idle websockets opened": float(count),
    }
    for tab in tabs:
        tab.close()
    return figures


CASES = [
    Case("roundtrip", round_trip, relay=relayed_round_trip),
    Case("ipykernel", ipykernel),
    Case("flood", flood, relay=relayed_flood),
    Case("tabs", tabs),
    buffers("JSON"),
    buffers("v1"),
    Case("stalled", stalled),
    Case("idle", idle),
]

if __name__ == "__main__":
    main(__doc__, CASES)
