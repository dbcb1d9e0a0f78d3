"""Unfinished files of the dead go, those of the living stay."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jupyterd.contents.files import unfinished_files
from jupyterd.contents.files.atomic import Replacement
from jupyterd.contents.files.unfinished_files import FRESH, MAX_SWEPT, OLD, PREFIX, create, sweep


def age(path: str | Path, seconds: float) -> None:
    os.utime(path, (time.time() - seconds,) * 2)


@pytest.fixture
def dead(tmp_path: Path) -> Path:
    """What a killed process left behind, not just now."""
    fd, path = create(str(tmp_path))
    os.close(fd)
    age(path, FRESH + 60)
    return Path(path)


def test_of_the_dead(dead: Path) -> None:
    sweep(str(dead.parent))
    assert not dead.exists()


def test_of_one_that_is_just_written(dead: Path) -> None:
    age(dead, FRESH / 2)
    sweep(str(dead.parent))
    assert dead.exists()


def test_of_one_that_writes_slowly(tmp_path: Path) -> None:
    """An upload that waits for its next piece, for days."""
    replacement = Replacement(str(tmp_path / "a"))
    replacement.write(b"x")
    (name,) = os.listdir(tmp_path)
    age(tmp_path / name, 2 * OLD)
    sweep(str(tmp_path))
    replacement.write(b"y")
    replacement.commit()
    assert (tmp_path / "a").read_bytes() == b"xy"


@pytest.mark.parametrize(("seconds", "stays"), [(OLD - 3600, True), (OLD + 3600, False)])
def test_from_another_machine(dead: Path, seconds: float, stays: bool) -> None:
    theirs = dead.with_name(f"{PREFIX}0badb007-1234567890abcdef")
    dead.rename(theirs)
    age(theirs, seconds)
    sweep(str(theirs.parent))
    assert theirs.exists() == stays


@pytest.mark.parametrize(("seconds", "stays"), [(OLD - 3600, True), (OLD + 3600, False)])
def test_where_there_are_no_locks(dead: Path, seconds: float, stays: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(fd: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    age(dead, seconds)
    sweep(str(dead.parent))
    assert dead.exists() == stays


def test_of_another_user(dead: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uid = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: uid + 1)
    sweep(str(dead.parent))
    assert dead.exists()


def test_nothing_else_goes(tmp_path: Path, dead: Path) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.write_text("x")
    (tmp_path / (dead.name + "-link")).symlink_to(outside)
    (tmp_path / (dead.name + "-dir")).mkdir()
    os.mkfifo(tmp_path / (dead.name + "-fifo"))
    (tmp_path / ".~a.ipynb").write_text("kept whole")
    for name in os.listdir(tmp_path):
        age(tmp_path / name, 2 * OLD)
    before = set(os.listdir(tmp_path))
    sweep(str(tmp_path))
    assert before - set(os.listdir(tmp_path)) == {dead.name}
    assert outside.read_text() == "x"


def test_not_all_at_once(tmp_path: Path) -> None:
    for number in range(MAX_SWEPT + 3):
        path = tmp_path / f"{PREFIX}{unfinished_files._boot()}-{number}"
        path.touch()
        age(path, 2 * FRESH)
    sweep(str(tmp_path))
    assert len(os.listdir(tmp_path)) == 3


def test_a_directory_that_is_gone(tmp_path: Path) -> None:
    sweep(str(tmp_path / "gone"))


def test_a_listing_removes_them(client: Any) -> None:
    fd, dead = create(str(client.root))
    os.close(fd)
    age(dead, 2 * FRESH)
    assert client.get("")["content"] == []
    assert os.listdir(client.root) == []


def test_checkpoints_and_versions_leave_none(client: Any, notebook: Callable[..., Any]) -> None:
    client.put("a.ipynb", {"type": "notebook", "content": notebook("x")})
    kept = client.root / ".ipynb_checkpoints"
    (kept / "versions").mkdir()
    for directory in (kept, kept / "versions"):
        fd, dead = create(str(directory))
        os.close(fd)
        age(dead, 2 * FRESH)
    client.put("a.ipynb", {"type": "notebook", "content": notebook("y")})
    assert client.ask("POST", "/api/contents/a.ipynb/checkpoints").status == 201
    assert not [path for path in kept.rglob("*") if path.name.startswith(PREFIX)]
