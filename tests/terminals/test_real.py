"""Terminals with real shells on real pseudo-terminals."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from jupyterd.state.directory import StateDirectory
from jupyterd.state.surviving import Kept
from jupyterd.terminals.keeper_terminals import KeptTerminals
from jupyterd.terminals.manager import Terminals
from jupyterd.terminals.settings import Shell, TerminalManager
from jupyterd.testing.deferreds import at_once
from tests.waiting import until

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


class House:
    """Terminals, and the keeper that has them, if one is to."""

    def __init__(self, home: Path, kept: bool) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        directory = StateDirectory(str(home), str(home), "0", lambda: 0)
        self._kept = Kept(reactor, directory, [str(home)]) if kept else None
        keeping = None if self._kept is None else KeptTerminals(reactor, self._kept, at_once)
        shell = Shell(("/bin/sh",), {"PS1": "$ "}, str(home))
        self.service = Terminals(reactor, TerminalManager(), lambda: shell, keeping)

    async def end(self) -> None:
        """End the keeper."""
        if self._kept is not None:
            await self._kept.keeper.end()
            self._kept.close(empty=True)


@pytest.fixture(params=[True, False], ids=["keeper", "no keeper"])
def house(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[House]:
    import pytest_twisted

    made = House(tmp_path, request.param)
    yield made
    pytest_twisted.blockon(Deferred.fromCoroutine(made.end()))


@ensureDeferred
async def test_a_shell_runs_and_ends(house: House, tmp_path: Path) -> None:
    service = house.service
    terminal, viewer = await service.start(), Viewer()
    terminal.attach(viewer)
    terminal.fit(viewer)
    terminal.write("stty size; pwd; echo ä$((6*7))ö\r")
    await until(lambda: "ä42ö" in viewer.shown)
    assert "40 120" in viewer.shown
    assert str(tmp_path) in viewer.shown
    terminal.write("exit\r")
    await viewer.ended
    assert len(service) == 0


@ensureDeferred
async def test_what_ignores_signals_ends_all_the_same_and_nothing_is_left(house: House) -> None:
    service = house.service
    await (await service.start()).end()  # with the first come the keeper and its state
    await until(lambda: len(service) == 0)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        terminal, viewer = await service.start(), Viewer()
        terminal.attach(viewer)
        terminal.write("trap '' HUP INT TERM; echo re''ady; sleep 1000\r")
        await until(lambda viewer=viewer: "ready" in viewer.shown)
    service.startService()
    await service.stopService()
    assert len(service) == 0
    await until(lambda: len(os.listdir("/proc/self/fd")) <= before)


@ensureDeferred
async def test_a_job_in_the_background_does_not_keep_a_terminal(house: House) -> None:
    service = house.service
    terminal, viewer = await service.start(), Viewer()
    terminal.attach(viewer)
    terminal.write("sh -c \"trap '' HUP; sleep 5\" & exit\r")
    viewer.ended.addTimeout(4, terminal._reactor)
    await viewer.ended
    assert len(service) == 0


@ensureDeferred
async def test_a_flood_waits_for_its_viewer_and_nothing_is_lost(house: House, tmp_path: Path) -> None:
    service = house.service
    terminal, viewer = await service.start(), Viewer()
    terminal.attach(viewer)
    terminal.write("stty -echo; echo re''ady\r")
    await until(lambda: "ready" in viewer.shown)
    viewer.shown = ""
    terminal.write("i=0; while [ $i -lt 20000 ]; do echo line$i; i=$((i+1)); done; echo fin''ished; touch done\r")
    await until(lambda: "line100\r" in viewer.shown, 10)
    viewer.reads = False
    terminal.slower()
    held = terminal.screen.end
    await deferLater(house.reactor, 0.3, lambda: None)
    assert terminal.screen.end - held < 64 * 1024
    assert not (tmp_path / "done").exists(), "the shell waits"
    viewer.reads = True
    terminal.catch_up(viewer)
    await until(lambda: "finished" in viewer.shown, 60)
    numbers = [int(line[4:]) for line in viewer.shown.split("\r\n") if line.startswith("line")]
    assert numbers == list(range(20000))
    await terminal.end()
