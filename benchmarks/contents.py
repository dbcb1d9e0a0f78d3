"""Contents: listings, notebooks, the latency of others beside a large notebook, memory of large files.

CPU is that of the server and of all processes it started.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.harness import TOKEN, Case, Figures, Server, main
from benchmarks.process import TICK, Cost, Growth, rss

MIB = 1 << 20


def family(pid: int) -> list[int]:
    """A process and all below it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        found.append(waiting.pop())
        waiting += children.get(found[-1], [])
    return found


def family_cpu(pid: int) -> float:
    """CPU seconds of a process, of all below it, and of those of them that ended."""
    total = 0
    for one in family(pid):
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(int(field) for field in fields[11:15])
    return total / TICK


def cost_of(server: Server, work: Callable[[], Any], times: int) -> float:
    """CPU milliseconds of one call of ``work``, after one that does not count."""
    work()
    before = family_cpu(server.pid)
    for _ in range(times):
        work()
    return 1000 * (family_cpu(server.pid) - before) / times


def notebook(size: int, seed: int = 0) -> dict[str, Any]:
    """A notebook of about ``size`` bytes: three parts images, one part printed lines."""
    chance = random.Random(seed)
    count = max(2, min(200, size // 2000))
    part = max(100, size // count)
    cells: list[dict[str, Any]] = []
    for number in range(count):
        if number % 4 == 0:
            line = f"step {number}: loss 0.{chance.randrange(10**6):06d}, accuracy 0.{chance.randrange(10**6):06d}\n"
            output: dict[str, Any] = {"output_type": "stream", "name": "stdout", "text": line * (part // len(line))}
        else:
            image = base64.b64encode(chance.randbytes(part * 3 // 4)).decode()
            data = {"image/png": image, "text/plain": "<Figure size 640x480 with 1 Axes>"}
            output = {"output_type": "display_data", "metadata": {}, "data": data}
        cells.append(
            {
                "cell_type": "code",
                "id": f"cell-{number}",
                "metadata": {"trusted": True},
                "execution_count": number,
                "source": f"for i in range({number}):\n    plot(i)\n",
                "outputs": [output],
            }
        )
    language = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return {"cells": cells, "metadata": language, "nbformat": 4, "nbformat_minor": 5}


def model(size: int) -> bytes:
    return as_model(notebook(size))


def as_model(content: dict[str, Any]) -> bytes:
    return json.dumps({"type": "notebook", "format": "json", "content": content}).encode()


def edited(size: int, count: int) -> Iterator[bytes]:
    """What a user saves: each time something else was typed."""
    content = notebook(size)
    for number in range(count):
        content["cells"][0]["source"] = f"x = {number}\n"
        yield as_model(content)


def expect(answer: tuple[int, bytes], *statuses: int) -> bytes:
    assert answer[0] in statuses, (answer[0], answer[1][:300])
    return answer[1]


# -- listings


def make_trees(server: Server) -> None:
    for count in (2_000, 10_000):
        directory = server.root / f"d{count}"
        directory.mkdir()
        for number in range(count):
            suffix = (".ipynb", ".txt", ".py", ".csv")[number % 4]
            (directory / f"entry-{number}{suffix}").write_bytes(b"x")


def listings(server: Server) -> Figures:
    figures: Figures = {}
    for count, times in ((2_000, 10), (10_000, 3)):
        body = json.loads(expect(server.ask("GET", f"/api/contents/d{count}"), 200))
        assert len(body["content"]) == count
        cost = cost_of(server, lambda count=count: server.ask("GET", f"/api/contents/d{count}"), times)  # type: ignore[misc]
        figures[f"list {count:,} entries: CPU, ms"] = cost
    return figures


# -- notebooks


def notebooks(server: Server) -> Figures:
    """Save and open small and large notebooks."""
    figures: Figures = {}
    for name, size, times in (("5 kB", 5_000, 300), ("10 MB", 10_000_000, 10)):
        body, path = model(size), f"/api/contents/{size}.ipynb"
        connection = server.connection()

        def put(body: bytes = body, path: str = path, connection: http.client.HTTPConnection = connection) -> None:
            expect(server.ask_on(connection, "PUT", path, body), 200, 201)

        def get(path: str = path, connection: http.client.HTTPConnection = connection) -> None:
            expect(server.ask_on(connection, "GET", path + "?content=1&hash=1"), 200)

        figures[f"put a notebook of {name}: CPU, ms"] = cost_of(server, put, times)
        figures[f"get a notebook of {name}: CPU, ms"] = cost_of(server, get, times)
        if size < MIB:
            bodies = edited(size, times + 1)
            name += ", edited each time"
            figures[f"put a notebook of {name}: CPU, ms"] = cost_of(server, lambda: put(next(bodies)), times)  # noqa: B023
        connection.close()
    return figures


# -- others' latency


def latencies_during(server: Server, work: Callable[[], Any]) -> list[float]:
    """Milliseconds of each ``GET /api`` while ``work`` runs."""
    over = threading.Event()

    def run() -> None:
        try:
            work()
        finally:
            over.set()

    server.ask("GET", "/api")
    thread = threading.Thread(target=run)
    found: list[float] = []
    connection = server.connection()
    thread.start()
    while not over.is_set():
        began = time.perf_counter()
        server.ask_on(connection, "GET", "/api")
        found.append(1000 * (time.perf_counter() - began))
        time.sleep(0.002)
    thread.join()
    return sorted(found)


def send(server: Server, method: str, path: str, source: Path | None = None) -> None:
    """One request by curl, outside this process, so that only the server is slow."""
    import subprocess

    command = [
        "curl",
        "-s",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        "-X",
        method,
        "-H",
        f"Authorization: token {TOKEN}",
    ]
    if source is not None:
        command += ["-H", "Expect:", "-T", str(source)]
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{server.port}{path}"], capture_output=True, text=True, check=True
    )
    assert done.stdout in ("200", "201"), done.stdout


def stalls(server: Server) -> Figures:
    """How long others wait while a notebook of 50 MB is saved and opened."""
    body = server.home / "body.json"
    body.write_bytes(model(50_000_000))
    figures: Figures = {}
    for what, work in (
        ("saved", lambda: send(server, "PUT", "/api/contents/big.ipynb", body)),
        ("opened", lambda: send(server, "GET", "/api/contents/big.ipynb?content=1")),
    ):
        work()
        found: list[float] = []
        for _ in range(3):
            found += latencies_during(server, work)
        found.sort()
        figures[f"GET /api while a 50 MB notebook is {what}: p99, ms"] = found[int(0.99 * (len(found) - 1))]
        figures[f"GET /api while a 50 MB notebook is {what}: longest, ms"] = found[-1]
    return figures


# -- memory


class FamilyGrowth(Growth):
    """Of a process and all below it: what a child holds is not hidden."""

    def _sample(self) -> None:
        while not self._over.wait(0.01):
            self.peak = max(self.peak, family_rss(self.pid))

    def __init__(self, pid: int) -> None:
        super().__init__(pid)
        self.base = self.peak = family_rss(pid)


def family_rss(pid: int) -> int:
    total = 0
    for one in family(pid):
        with suppress(OSError):
            total += rss(one)
    return total


def family_growth(server: Server, work: Callable[[], Any]) -> float:
    with FamilyGrowth(server.pid) as growth:
        work()
    return growth.bytes / MIB


def large_files(server: Server) -> Figures:
    """Memory while 1 GiB goes out and comes in."""
    source = server.home / "gib"
    with source.open("wb") as file:
        block = os.urandom(MIB)
        for _ in range(1024):
            file.write(block)
    (server.root / "gib.bin").hardlink_to(source)
    figures = {
        "download 1 GiB: memory growth, MiB": family_growth(server, lambda: send(server, "GET", "/files/gib.bin"))
    }
    if server.name == "jupyterd":
        upload = family_growth(server, lambda: send(server, "PUT", "/files/copy.bin", source))
        assert (server.root / "copy.bin").stat().st_size == 1 << 30
        figures["upload 1 GiB as it is: memory growth, MiB"] = upload
    return figures


def downloads(server: Server) -> Figures:
    """What a large file costs that the system has in its memory."""
    path = server.root / "large.bin"
    with path.open("wb") as file:
        for _ in range(200):
            file.write(os.urandom(MIB))
    send(server, "GET", "/files/large.bin")
    with Cost(server.pid) as cost:
        for _ in range(5):
            send(server, "GET", "/files/large.bin")
    return {
        "download 200 MiB: CPU, ms a MiB": 1000 * cost.cpu / 1000,
        "download 200 MiB: MiB a second": 1000 / cost.wall,
    }


def base64_upload(server: Server) -> Figures:
    body = server.home / "upload.json"
    content = base64.b64encode(os.urandom(50_000_000)).decode()
    body.write_text(json.dumps({"type": "file", "format": "base64", "content": content}))
    del content
    upload = family_growth(server, lambda: send(server, "PUT", "/api/contents/up.bin", body))
    return {"upload 50 MB in base64: memory growth, MiB": upload}


CASES = [
    Case("listings", listings, setup=make_trees),
    Case("notebooks", notebooks),
    Case("stalls", stalls),
    Case("large", large_files),
    Case("downloads", downloads),
    Case("base64", base64_upload),
]

if __name__ == "__main__":
    main(__doc__, CASES)
