"""Soak: cycles of start, connect, execute, drop, resume, restart, shut down, unknown ids too. Nothing grows.

A short form runs with the other real tests. By hand: ``SOAK_CYCLES=1000 python -m pytest tests/soak -m real -s``.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import websocket

from tests.real.daemon import Daemon, running, until
from tests.real.tab import V1, Tab, of_type, once, parent_id, printed

CYCLES = int(os.environ.get("SOAK_CYCLES", "6"))
SETTLED = min(CYCLES // 2, 20)
"""Cycles after which caches, pools and imports are as big as they get."""
NOBODY = "00000000-0000-0000-0000-000000000000"

pytestmark = pytest.mark.real


def cycle(daemon: Daemon, number: int) -> None:
    protocol = V1 if number % 2 else ""
    with pytest.raises(websocket.WebSocketBadStatusException):
        Tab(daemon, NOBODY)
    assert daemon.ask("POST", f"/api/kernels/{NOBODY}/restart").status in (404, 500)
    session = daemon.json(
        "POST",
        "/api/sessions",
        {"path": f"{number}.ipynb", "name": "", "type": "notebook", "kernel": {"name": "python3"}},
    )
    kernel = session["kernel"]["id"]
    tab = Tab(daemon, kernel, protocol).ready()
    assert of_type(tab.until_done(tab.execute("6 * 7")), "execute_result")
    asked = tab.execute("import time; print('a', flush=True); time.sleep(0.3); print('b')")
    before = tab.until(lambda m: parent_id(m) == asked and bool(printed([m])))
    tab.drop()
    until(lambda: daemon.json("GET", f"/api/kernels/{kernel}")["execution_state"] == "idle")
    back = Tab(daemon, kernel, protocol, session=tab.session)
    after = back.until_done(asked)
    said = [m for m in once([*before, *after]) if parent_id(m) == asked]
    assert printed(said).split() == ["a", "b"]
    other = Tab(daemon, kernel).ready()
    other.drop()
    if number % 3 == 0:
        assert daemon.ask("POST", f"/api/kernels/{kernel}/restart").status == 200
        back.ready()
    if number % 2:
        back.close()
    else:
        back.drop()
    assert daemon.ask("DELETE", f"/api/sessions/{session['id']}").status == 204
    assert daemon.ask("GET", f"/api/kernels/{kernel}").status == 404


def test_nothing_grows(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        began = time.monotonic()
        for number in range(SETTLED):
            cycle(daemon, number)
        fds, threads, memory = daemon.fds(), daemon.threads(), daemon.rss()
        for number in range(SETTLED, CYCLES):
            cycle(daemon, number)
            if number % 50 == 49:
                print(f"{number + 1}: {daemon.fds()} fds, {daemon.threads()} threads, {daemon.rss() / 1e6:.1f} MB")
        cycles = CYCLES - SETTLED
        until(lambda: daemon.fds() <= fds, what=f"{fds} descriptors became {daemon.fds()} in {cycles} cycles")
        assert daemon.threads() <= threads + 2
        grown = daemon.rss() - memory
        print(f"{cycles} cycles in {time.monotonic() - began:.0f} s: {grown / 1e3:.0f} KB grown, {daemon.fds()} fds")
        assert grown < 4_000_000 + 10_000 * cycles
        assert daemon.children() == set()
        assert list((tmp_path / "runtime").glob("kernel-*")) == []
