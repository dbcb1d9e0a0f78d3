"""A daemon that is short of threads and processes, or of disk: who asks is told, and all is well once there is more.

Real limits: ``RLIMIT_NPROC`` of a user of its own, and a small file system. Both need root.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.real.daemon import DEFAULT, Daemon, running, until
from tests.real.tab import Tab, printed

NOTEBOOK: dict[str, Any] = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
TEXT = {"type": "file", "format": "text", "content": "x" * 5000}
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

# -- processes

SOMEBODY = 54321
"""A user's number that nobody has: what counts for the limit is the daemon's and the test's alone."""
TASKS = 64
LIMITED = (
    "prlimit", f"--nproc={TASKS}:{TASKS}",
    "setpriv", f"--reuid={SOMEBODY}", f"--regid={SOMEBODY}", "--clear-groups",
    "--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--bounding-set=-all,+dac_override",
)  # fmt: skip
"""Begin of a command line: no root any more, but able to read an interpreter in root's home."""
GREEDY = """
import threading, time
over = threading.Event()
full = False
while True:
    try:
        threading.Thread(target=over.wait, daemon=True).start()
    except RuntimeError:
        if not full:
            print("full", flush=True)
        full = True
        time.sleep(0.005)
"""


@contextmanager
def no_process_left() -> Iterator[None]:
    """Another program of the same user takes all that there are, those too that become free."""
    greedy = subprocess.Popen([*LIMITED, sys.executable, "-c", GREEDY], stdout=subprocess.PIPE)
    try:
        assert greedy.stdout is not None
        assert greedy.stdout.readline() == b"full\n"
        yield
    finally:
        greedy.kill()
        greedy.communicate()


@pytest.fixture
def somebodys() -> Iterator[Path]:
    """A directory of that user's; the way to it is open to all, as that to pytest's is not."""
    with TemporaryDirectory() as place:
        (Path(place) / "root").mkdir()
        for directory in (place, f"{place}/root"):
            os.chown(directory, SOMEBODY, SOMEBODY)
        yield Path(place)


def statuses(daemon: Daemon, *requests: tuple[str, str, Any]) -> dict[str, int]:
    return {f"{method} {path}": daemon.ask(method, path, body).status for method, path, body in requests}


@pytest.mark.skipif(which("setpriv") is None or which("prlimit") is None, reason="needs setpriv and prlimit")
def test_no_thread_and_no_process(somebodys: Path) -> None:
    kernel = ("POST", "/api/kernels", {"name": "python3"})
    terminal = ("POST", "/api/terminals", {})
    work = (("GET", "/api/contents", None), ("PUT", "/api/contents/a.txt", TEXT))
    with running(somebodys, argv=(*LIMITED, *DEFAULT)) as daemon:
        with no_process_left():  # before the pools have a thread
            assert set(statuses(daemon, *work, kernel, terminal).values()) == {503}
            assert daemon.ask("GET", "/readyz").status == 503
            assert daemon.ask("GET", "/healthz").status == 200
        until(lambda: daemon.ask("GET", "/readyz").status == 200, what="it does not get well")
        assert list(statuses(daemon, *work).values()) == [200, 201]
        kernel_id = daemon.start_kernel()
        tab = Tab(daemon, kernel_id).ready()
        tab.until_done(tab.execute("kept = 'it is the same kernel'"))
        with no_process_left():  # now they have theirs
            assert list(statuses(daemon, *work).values()) == [200, 200]
            assert daemon.ask("GET", "/readyz").status == 200
            restart = ("POST", f"/api/kernels/{kernel_id}/restart", None)
            assert set(statuses(daemon, kernel, terminal, restart).values()) == {503}
            assert daemon.json("GET", f"/api/kernels/{kernel_id}")["execution_state"] == "idle"
            assert printed(tab.until_done(tab.execute("print(kept)"))) == "it is the same kernel\n"
        tab.close()
        until(lambda: daemon.ask("POST", f"/api/kernels/{kernel_id}/restart").status == 200, what="no kernel")
        Tab(daemon, kernel_id).ready().close()
        with no_process_left():
            began = time.monotonic()
            assert daemon.stop() == 0
            assert time.monotonic() - began < 15


# -- disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A directory that takes 3 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(place)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no file system can be mounted: {done.stderr}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@contextmanager
def full(disk: Path) -> Iterator[None]:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
    try:
        yield
    finally:
        filler.unlink()


OTHERS = {"log", "filler", ".ipython", "Trash", "nbsignatures.db"}
"""What the daemon's log, SQLite, the trash and kernels that run write for themselves, as they do below the state."""


def sizes(disk: Path) -> dict[str, int]:
    """What else is on the disk."""
    found = {}
    for place, _, names in os.walk(disk):
        for name in names:
            path = Path(place, name)
            if not OTHERS & set(path.parts) and "jupyterd-state-" not in place and not name.endswith("-journal"):
                with suppress(OSError):  # it is gone
                    found[str(path.relative_to(disk))] = path.stat().st_size
    return found


SAVES: tuple[tuple[str, str, Any], ...] = (
    ("PUT", "/api/contents/n.ipynb", {"type": "notebook", "content": NOTEBOOK}),
    ("PUT", "/api/contents/new.ipynb", {"type": "notebook", "content": NOTEBOOK}),
    ("PUT", "/api/contents/a.txt", TEXT),
    ("PUT", "/api/contents/part.bin", {"type": "file", "format": "base64", "content": "eHh4", "chunk": 1}),
    ("POST", "/api/contents", {"type": "notebook"}),
    ("PUT", "/files/up.txt", b"z" * 100_000),
    ("POST", "/api/contents", {"copy_from": "n.ipynb"}),
    ("POST", "/api/contents/n.ipynb/checkpoints", None),
    ("PUT", "/api/config/notebook", {"a": 1}),
    ("PATCH", "/api/config/other", {"a": 1}),
    ("PUT", "/lab/api/workspaces/w", {"data": {"long": "w" * 5000}, "metadata": {"id": "w"}}),
    ("PUT", "/lab/api/settings/@jupyterlab/apputils-extension:themes", {"raw": '{"theme": "JupyterLab Dark"}'}),
    ("POST", "/logout", None),
    ("POST", "/api/kernels", {"name": "python3"}),
    ("POST", "/api/sessions", {"path": "n.ipynb", "type": "notebook", "kernel": {"name": "python3"}}),
)
LAST = ("PUT", "/api/contents/part.bin", {"type": "file", "format": "base64", "content": "eHh4", "chunk": -1})


def refused(daemon: Daemon, disk: Path, *requests: tuple[str, str, Any]) -> None:
    """Each is 507 with a reason, and changes nothing on the disk."""
    for method, path, body in requests:
        before = sizes(disk)
        answer = daemon.ask(method, path, body)
        assert answer.status == 507, (method, path, answer.status, answer.body[:300])
        assert b"No space left on device" in answer.body, (method, path)
        with suppress(AssertionError):  # what fails is said below
            until(lambda before=before: sizes(disk) == before)
        assert sizes(disk) == before, (method, path)


def taken(daemon: Daemon) -> None:
    for method, path, body in (*SAVES, LAST):
        answer = daemon.ask(method, path, body)
        assert answer.status < 300, (method, path, answer)


def test_no_space(disk: Path) -> None:
    """The root directory, and those of configuration, data, runtime files and the log, are on one disk that is full."""
    with running(disk, TMPDIR=str(disk)) as daemon:
        new = [each for each in SAVES if not each[1].endswith("/checkpoints") and "copy_from" not in str(each[2])]
        with full(disk):  # before there is anything: the cookie secret, the state, a kernel's directories
            refused(daemon, disk, *new)
            assert list(disk.glob("runtime/jupyterd-state-*")) == []
            assert daemon.ask("GET", "/lab").status == 200
            name = daemon.json("POST", "/api/terminals", {})["name"]  # who wants to make room has a terminal
            assert daemon.ask("DELETE", f"/api/terminals/{name}").status == 204
        taken(daemon)
        kernels = [kernel["id"] for kernel in daemon.json("GET", "/api/kernels")]
        assert len(kernels) == 2
        for kernel_id in kernels:  # they write no more then
            Tab(daemon, kernel_id).ready().close()
        with full(disk):
            refused(daemon, disk, *(each for each in SAVES if each[1] != "/api/sessions"))
            refused(daemon, disk, ("DELETE", "/api/contents/a.txt", None))
            tab = Tab(daemon, kernels[0]).ready()
            assert tab.until_done(tab.execute("1 + 1"))
            tab.close()
            daemon.json("POST", "/api/terminals", {})
            assert daemon.json("GET", "/api/contents/n.ipynb?type=notebook")["content"]["nbformat"] == 4
        taken(daemon)
    assert list((disk / "runtime").glob("kernel-*")) == []
    assert list((disk / "runtime").glob("jupyterd-state-*")) == []
