"""SIGKILL, full disks and quotas: the file is the old one or the new one, whole."""

from __future__ import annotations

import errno
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyterd.contents.files import atomic, recovery, unfinished_files
from jupyterd.contents.managers.filemanager import FileContentsManager
from jupyterd.errors import OutOfSpace, TooLarge

SAVERS = """
import os, sys, tempfile
from jupyterd.contents.managers.filemanager import FileContentsManager

def save(manager, number):
    source = f"{number} " + "x" * (number * 7919 % 300_000)
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "outputs": [], "execution_count": number, "source": source}
    content = {"cells": [cell], "metadata": {"end": number}, "nbformat": 4, "nbformat_minor": 5}
    manager.save({"type": "notebook", "content": content}, "a.ipynb")

with tempfile.TemporaryDirectory() as warm:
    save(FileContentsManager(root_dir=warm), 1)
manager = FileContentsManager(root_dir=sys.argv[1], notebook_versions_interval=0.0, notebook_versions=3)
manager.notary.secret, manager.checkpoints  # what is made once is there before the clock runs
for line in sys.stdin:
    child = os.fork()
    if not child:
        os.write(1, b"pid %d\\n" % os.getpid())
        number = int(line)
        while True:
            number += 1
            save(manager, number)
            os.write(1, b"saved %d\\n" % number)
    os.waitpid(child, 0)
    os.write(1, b"dead\\n")
"""
KILLS = 200


def whole(path: Path) -> int:
    """The number of the save that the file is of; it must be whole."""
    nb = json.loads(path.read_bytes())
    number = nb["metadata"]["end"]
    assert nb["cells"][0]["execution_count"] == number
    assert "".join(nb["cells"][0]["source"]) == f"{number} " + "x" * (number * 7919 % 300_000)
    return int(number)


@pytest.mark.real
@pytest.mark.parametrize("links", [1, 2])
def test_killed_at_random_points(root: Path, links: int) -> None:
    """With a second hard link the file is overwritten in place: then it, or what is kept beside it, is whole."""
    chance = random.Random(7)
    path, acknowledged = root / "a.ipynb", 0
    window = 0.06  # of about two saves, whatever the disk takes for one
    command = [sys.executable, "-c", SAVERS, str(root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as savers:
        assert savers.stdin is not None
        assert savers.stdout is not None
        for _ in range(KILLS):
            savers.stdin.write(f"{acknowledged}\n")
            pid = int(savers.stdout.readline().removeprefix("pid "))
            time.sleep(chance.uniform(0.0, window))
            os.kill(pid, signal.SIGKILL)
            saves = 0
            while (line := savers.stdout.readline()) != "dead\n":
                acknowledged, saves = int(line.removeprefix("saved ")), saves + 1
            window = min(1.0, window * 1.2) if not saves else max(0.06, window / 1.2)
            acknowledged = survived(path, acknowledged, links)
            if links == 2 and path.exists() and not (root / "b.ipynb").exists():
                (root / "b.ipynb").hardlink_to(path)
        savers.stdin.close()
    assert acknowledged > KILLS // 8
    nothing_is_left(root)


def nothing_is_left(root: Path) -> None:
    """What the killed were writing goes when the directory is looked at; what somebody writes just now stays."""
    manager = FileContentsManager(root_dir=str(root), notebook_versions_interval=0.0)
    writing = atomic.Replacement(str(root / "b.txt"))
    kept = root / ".ipynb_checkpoints"
    for path in [*root.iterdir(), *kept.rglob("*")]:
        if path.name.startswith(unfinished_files.PREFIX):
            os.utime(path, (time.time() - 2 * unfinished_files.FRESH,) * 2)
    for _ in range(KILLS):  # so many at a time
        manager.save(manager.get("a.ipynb"), "a.ipynb")
        manager.create_checkpoint("a.ipynb")
        manager.get("")
        found = [path for path in [*root.iterdir(), *kept.rglob("*")] if path.name.startswith(unfinished_files.PREFIX)]
        if len(found) == 1:
            break
    assert len(found) == 1
    writing.write(b"x")
    writing.commit()
    assert (root / "b.txt").read_bytes() == b"x"


def survived(path: Path, acknowledged: int, links: int) -> int:
    """What is there after a kill is the last acknowledged save, or the one that was under way."""
    if not path.exists():
        assert not acknowledged
        return 0
    try:
        found = whole(path)
    except (ValueError, AssertionError):
        assert links == 2
        assert recovery.recover(str(path))
        found = whole(path)
    assert found in (acknowledged, acknowledged + 1), "an acknowledged save is lost"
    for version in path.parent.glob(".ipynb_checkpoints/versions/*.ipynb"):
        whole(version)
    return found


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A filesystem of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("no filesystem can be mounted here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def file_model(size: int) -> dict[str, Any]:
    return {"type": "file", "format": "text", "content": "x" * size}


@pytest.mark.real
def test_a_full_disk(small_disk: Path, notebook: Callable[..., Any]) -> None:
    manager = FileContentsManager(root_dir=str(small_disk), notebook_versions_interval=0.0)
    manager.save({"type": "notebook", "content": notebook("old")}, "a.ipynb")
    manager.save(file_model(10), "b.txt")
    (small_disk / "ballast").write_bytes(b"x" * 700_000)
    before = (small_disk / "a.ipynb").read_bytes()
    for _ in range(3):
        with pytest.raises(OutOfSpace):
            manager.save({"type": "notebook", "content": notebook("y" * 600_000)}, "a.ipynb")
        with pytest.raises(OutOfSpace):
            manager.save(file_model(600_000), "b.txt")
        with pytest.raises(OutOfSpace):
            manager.save(file_model(600_000), "c.txt")
    assert (small_disk / "a.ipynb").read_bytes() == before
    assert (small_disk / "b.txt").read_text() == "x" * 10
    assert sorted(os.listdir(small_disk)) == [".ipynb_checkpoints", "a.ipynb", "b.txt", "ballast"]
    (small_disk / "ballast").unlink()
    manager.save({"type": "notebook", "content": notebook("new")}, "a.ipynb")
    assert b"new" in (small_disk / "a.ipynb").read_bytes()


@pytest.mark.real
def test_a_full_disk_under_a_file_with_two_names(small_disk: Path) -> None:
    manager = FileContentsManager(root_dir=str(small_disk))
    manager.save(file_model(10), "b.txt")
    (small_disk / "other.txt").hardlink_to(small_disk / "b.txt")
    (small_disk / "ballast").write_bytes(b"x" * 500_000)
    with pytest.raises(OutOfSpace):
        manager.save(file_model(300_000), "b.txt")  # the copy beside it fits, the file itself no more
    assert (small_disk / "b.txt").read_text() == "x" * 10


@pytest.mark.real
def test_a_single_file_that_is_mounted(root: Path) -> None:
    """As a file that is mounted into a container: nothing can be renamed over it."""
    outside, inside = root.parent / "outside.txt", root / "a.txt"
    outside.write_text("old")
    inside.touch()
    if subprocess.run(["mount", "--bind", str(outside), str(inside)], capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        FileContentsManager(root_dir=str(root)).save(file_model(10), "a.txt")
        assert outside.read_text() == inside.read_text() == "x" * 10
        assert os.listdir(root) == ["a.txt"]
    finally:
        subprocess.run(["umount", "-l", str(inside)], check=True)


@pytest.mark.real
def test_a_size_limit(root: Path) -> None:
    manager = FileContentsManager(root_dir=str(root))
    manager.save(file_model(10), "b.txt")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(TooLarge):
            manager.save(file_model(200_000), "b.txt")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert (root / "b.txt").read_text() == "x" * 10
    assert os.listdir(root) == ["b.txt"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_is_507(client: Any, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    assert client.put("a.txt", file_model(3)).status == 201

    def full(fd: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    answer = client.put("a.txt", file_model(5))
    assert (answer.status, answer.json()["message"]) == (507, "No space left on device: a.txt")
    assert (client.root / "a.txt").read_text() == "xxx"
    assert os.listdir(client.root) == ["a.txt"]
