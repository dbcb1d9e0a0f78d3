"""A keeper of an older version: it is spoken with, and replaced when it has nothing to keep."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from jupyterd.keeper import start_keeper
from jupyterd.state.keeper_link import KeeperLink, KeeperRefused
from tests.waiting import until

pytestmark = pytest.mark.real

ENV = {"PATH": os.environ["PATH"]}
OLDER = (
    "import sys; from jupyterd.keeper import __main__, operations; operations.VERSION = 0; __main__.main(sys.argv[1:])"
)


@pytest.fixture
def older(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path := str(tmp_path / start_keeper.SOCKET))
        listening.listen()
        program = [sys.executable, "-c", OLDER, str(listening.fileno()), path]
        process = subprocess.Popen(program, pass_fds=[listening.fileno()])
    yield process
    process.kill()
    process.wait()


@pytest_twisted.ensureDeferred
async def test_an_older_keeper_goes_when_its_last_child_has(tmp_path: Path, older: subprocess.Popen[bytes]) -> None:
    from twisted.internet import reactor

    path = str(tmp_path / start_keeper.SOCKET)
    line = start_keeper.Line(path)
    line.ask("hello", claim=True)
    first = line.ask("spawn", name="a", argv=["sleep", "600"], env=ENV, kind="kernel")
    line.close()

    link, replaced = KeeperLink(reactor, lambda: path), []
    link.replaced.append(lambda: replaced.append(link.pid))
    hello: dict[str, Any] = {}
    while not hello:
        with suppress(KeeperRefused):  # it has not seen yet that the daemon before is gone
            hello = await link.find() or {}
    assert hello["version"] == 0
    children = [await link.recall(model) for model in hello["children"]]
    assert [child.pid for child in children] == [first["pid"]]
    children.append(await link.spawn("b", ["sleep", "600"], ENV, kind="kernel"))
    assert (link.pid, replaced) == (older.pid, []), "it keeps something"
    for child in children:
        child.signal(signal.SIGKILL, group=False)
    await until(lambda: not any(child.running for child in children))
    assert {child.status for child in children} == {-signal.SIGKILL}
    try:
        last = await link.spawn("d", ["sleep", "600"], ENV, kind="kernel")
        assert replaced == [link.pid]
        assert link.pid != older.pid
        assert older.wait(30) == 0
        assert os.path.exists(tmp_path / start_keeper.SOCKET), "it is the other's"
        last.signal(signal.SIGKILL, group=False)
        await until(lambda: not last.running)
    finally:
        await link.end()
