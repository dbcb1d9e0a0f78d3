"""Files are opened below a directory or not at all."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from jupyterd.contents.files import open_beneath as beneath
from jupyterd.contents.files.open_beneath import LeadsOut, open_beneath


@pytest.fixture(params=["openat2", "/proc", "neither"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param != "openat2":
        monkeypatch.setattr(beneath, "_openat2", lambda: None)
    if request.param == "neither":
        readlink = os.readlink

        def none(path: Any, **kwargs: Any) -> str:
            if str(path).startswith("/proc/self/fd"):
                raise FileNotFoundError
            return readlink(path, **kwargs)

        monkeypatch.setattr(os, "readlink", none)
    return str(request.param)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "outside").write_text("secret")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/file").write_text("secret")
    root = tmp_path / "root"
    (root / "d").mkdir(parents=True)
    (root / "file").write_text("inside")
    (root / "d/file").write_text("inside")
    (root / "absolute").symlink_to(root / "d/file")
    (root / "relative").symlink_to("d/../d/file")
    (root / "directory").symlink_to("d")
    (root / "out").symlink_to("../outside")
    (root / "way-out").symlink_to("../elsewhere")
    (root / "round").symlink_to("round")
    (tmp_path / "link").symlink_to("root")
    return root


def read(root: Path, name: str) -> str:
    fd, real = open_beneath(str(root), str(root / name), os.O_RDONLY)
    with os.fdopen(fd) as file:
        assert os.path.samestat(os.fstat(fd), os.stat(real))
        return file.read()


@pytest.mark.parametrize("name", ["file", "d/file", "absolute", "relative", "directory/file"])
def test_what_is_below_is_opened(way: str, tree: Path, name: str) -> None:
    assert read(tree, name) == "inside"
    assert read(tree.parent / "link", name) == "inside"


@pytest.mark.parametrize("name", ["out", "way-out/file", "../outside", "way-out"])
def test_what_leads_out_is_not(way: str, tree: Path, name: str) -> None:
    with pytest.raises(LeadsOut):
        read(tree, name)


@pytest.mark.parametrize(("name", "number"), [("none", errno.ENOENT), ("file/none", errno.ENOTDIR)])
def test_what_is_not_there(way: str, tree: Path, name: str, number: int) -> None:
    with pytest.raises(OSError, match="o") as raised:
        read(tree, name)
    assert raised.value.errno in (number, errno.ENOENT)


def test_the_root_itself(way: str, tree: Path) -> None:
    fd, real = open_beneath(str(tree), str(tree), os.O_RDONLY | os.O_DIRECTORY)
    assert real == os.path.realpath(tree)
    os.close(fd)


@pytest.fixture
def swapped(tree: Path) -> Iterator[Path]:
    """A directory that is one, and a link out of the root, in turn."""
    place, aside = tree / "d", tree / "aside"
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            os.rename(place, aside)
            os.symlink("../elsewhere", place)
            os.unlink(place)
            os.rename(aside, place)

    swapping = threading.Thread(target=swap)
    swapping.start()
    yield tree
    stop.set()
    swapping.join()


@pytest.mark.parametrize("way", ["openat2", "/proc"], indirect=True)
def test_a_link_that_is_swapped_in_gives_nothing_away(way: str, swapped: Path) -> None:
    inside = tries = 0
    limit = time.monotonic() + 60
    while tries < 3000 or (not inside and time.monotonic() < limit):  # who swaps may not run for a while
        tries += 1
        with suppress(OSError):
            fd, _ = open_beneath(str(swapped), str(swapped / "d/file"), os.O_RDONLY)
            with os.fdopen(fd) as file:
                assert file.read() == "inside"
            inside += 1
    assert inside > 0
