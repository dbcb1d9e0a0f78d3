"""Terminals with real shells on real pseudo-terminals."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from jupyterd.terminals.manager import Terminals
from jupyterd.terminals.settings import Shell, TerminalManager

pytestmark = pytest.mark.real


class Viewer:
    """Shows a terminal to a test."""

    def __init__(self) -> None:
        self.size: tuple[int | None, int | None] = (40, 120)
        self.reads = True
        self.shown = ""
        self.ended: Deferred[None] = Deferred()

    def show(self, text: str) -> None:
        self.shown += text

    def died(self) -> None:
        self.ended.callback(None)

    def pause_client(self) -> None: ...

    def resume_client(self) -> None: ...


async def until(condition: Any, reactor: Any, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await deferLater(reactor, 0.02, lambda: None)


def terminals(directory: Path) -> tuple[Terminals, Any]:
    from twisted.internet import reactor

    return Terminals(reactor, TerminalManager(), lambda: Shell(("/bin/sh",), {"PS1": "$ "}, str(directory))), reactor


@ensureDeferred
async def test_a_shell_runs_and_ends(tmp_path: Path) -> None:
    service, reactor = terminals(tmp_path)
    terminal, viewer = service.create(), Viewer()
    terminal.attach(viewer)
    terminal.fit(viewer)
    terminal.write("stty size; pwd; echo ä$((6*7))ö\r")
    await until(lambda: "ä42ö" in viewer.shown, reactor)
    assert "40 120" in viewer.shown
    assert str(tmp_path) in viewer.shown
    terminal.write("exit\r")
    await viewer.ended
    assert len(service) == 0


@ensureDeferred
async def test_what_ignores_signals_ends_all_the_same_and_nothing_is_left(tmp_path: Path) -> None:
    service, reactor = terminals(tmp_path)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        terminal, viewer = service.create(), Viewer()
        terminal.attach(viewer)
        terminal.write("trap '' HUP INT TERM; echo re''ady; sleep 1000\r")
        await until(lambda viewer=viewer: "ready" in viewer.shown, reactor)
    service.startService()
    await service.stopService()
    assert len(service) == 0
    await until(lambda: len(os.listdir("/proc/self/fd")) <= before, reactor)


@ensureDeferred
async def test_a_job_in_the_background_does_not_keep_a_terminal(tmp_path: Path) -> None:
    service, _ = terminals(tmp_path)
    terminal, viewer = service.create(), Viewer()
    terminal.attach(viewer)
    terminal.write("sh -c \"trap '' HUP; sleep 5\" & exit\r")
    viewer.ended.addTimeout(4, terminal._reactor)
    await viewer.ended
    assert len(service) == 0


@ensureDeferred
async def test_a_flood_waits_for_its_viewer_and_nothing_is_lost(tmp_path: Path) -> None:
    service, reactor = terminals(tmp_path)
    terminal, viewer = service.create(), Viewer()
    terminal.attach(viewer)
    terminal.write("stty -echo; echo re''ady\r")
    await until(lambda: "ready" in viewer.shown, reactor)
    viewer.shown = ""
    terminal.write("i=0; while [ $i -lt 20000 ]; do echo line$i; i=$((i+1)); done; echo fin''ished; touch done\r")
    await until(lambda: "line100\r" in viewer.shown, reactor, 10)
    viewer.reads = False
    terminal.slower()
    held = terminal.screen.end
    await deferLater(reactor, 0.3, lambda: None)
    assert terminal.screen.end - held < 64 * 1024
    assert not (tmp_path / "done").exists(), "the shell waits"
    viewer.reads = True
    terminal.catch_up(viewer)
    await until(lambda: "finished" in viewer.shown, reactor, 60)
    numbers = [int(line[4:]) for line in viewer.shown.split("\r\n") if line.startswith("line")]
    assert numbers == list(range(20000))
    await terminal.end()
