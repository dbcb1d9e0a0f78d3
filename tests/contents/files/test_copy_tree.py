"""Copies of directories end, and are whole or not there."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyterd.contents.files import regular_files
from jupyterd.contents.files.removal import remove_tree

DEEP = 400
"""Frames of the stack in tests of what must not need one for each directory."""


@pytest.fixture
def tree(client: Any) -> Path:
    tree: Path = client.root / "d"
    (tree / "e").mkdir(parents=True)
    (tree / "e/f").write_text("x")
    return tree


def copy(client: Any, source: str, where: str = "") -> Any:
    return client.ask("POST", f"/api/contents{where}", {"copy_from": source})


def names(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


def test_links_stay_links(client: Any, tree: Path) -> None:
    (tree / "up").symlink_to("..")
    (tree / "gone").symlink_to("nowhere")
    assert copy(client, "d").json()["path"] == "d-Copy1"
    assert names(client.root / "d-Copy1") == ["e", "e/f", "gone", "up"]
    assert os.readlink(client.root / "d-Copy1/up") == ".."


def test_special_files_are_left_out(client: Any, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tree / "fifo")
    monkeypatch.chdir(tree)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
    assert copy(client, "d").status == 201
    assert names(client.root / "d-Copy1") == ["e", "e/f"]


@pytest.mark.parametrize("where", ["/d", "/d/e"])
def test_into_itself_once(client: Any, tree: Path, where: str) -> None:
    assert copy(client, "d", where).status == 201
    assert names(client.root / where[1:] / "d") == ["e", "e/f"]


def test_a_link_to_a_directory(client: Any, tree: Path) -> None:
    (client.root / "link").symlink_to("d")
    assert copy(client, "link").json()["path"] == "link-Copy1"
    assert names(client.root / "link-Copy1") == ["e", "e/f"]
    assert not (client.root / "link-Copy1").is_symlink()


def test_a_full_disk_leaves_nothing(client: Any, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copy2", full)
    answer = copy(client, "d")
    assert (answer.status, answer.json()["message"]) == (507, "No space left on device: d-Copy1")
    assert os.listdir(client.root) == ["d"]


def test_what_can_not_be_read_leaves_nothing(client: Any, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*args: Any, **kwargs: Any) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(shutil, "copy2", denied)
    assert copy(client, "d").status == 400
    assert os.listdir(client.root) == ["d"]


def test_what_is_there_stays(client: Any, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody makes a directory of the copy's name just then: the copy has the next name."""
    mkdir = os.mkdir

    def too_late(path: str, *args: Any) -> None:
        if path.endswith("d-Copy1"):
            mkdir(path)
            (Path(path) / "theirs").touch()
        mkdir(path, *args)

    monkeypatch.setattr(os, "mkdir", too_late)
    assert copy(client, "d").json()["path"] == "d-Copy2"
    assert names(client.root / "d-Copy1") == ["theirs"]
    assert names(client.root / "d-Copy2") == ["e", "e/f"]


@pytest.fixture
def nest(root: Path) -> Iterator[Callable[..., None]]:
    """Makes a directory in the root that is deeper than the stack; what is left of it is removed."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(DEEP)
    yield lambda depth, name="d": nested(root, depth, name)
    sys.setrecursionlimit(limit)
    for directory in root.iterdir():
        remove_tree(str(directory))


def nested(root: Path, depth: int, name: str) -> None:
    """A directory ``deep`` with so many directories in one another, and a file in the last."""
    fd = os.open(root, os.O_RDONLY)
    for each in ["deep"] + [name] * (depth - 1):
        os.mkdir(each, dir_fd=fd)
        below = os.open(each, os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(os.open("leaf", os.O_WRONLY | os.O_CREAT, dir_fd=fd))
    os.close(fd)


def depth_of(root: Path, name: str) -> int:
    """How many directories are in one another."""
    fd, depth = os.open(root, os.O_RDONLY), 0
    while True:
        below = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd, depth, name = below, depth + 1, "d"
        if os.listdir(fd) != ["d"]:
            assert os.listdir(fd) == ["leaf"]
            os.close(fd)
            return depth


@pytest.mark.parametrize(("depth", "name"), [(DEEP, "d"), (30, "d" * 200)])
def test_a_deep_directory_is_deleted(
    make_client: Callable[..., Any], nest: Callable[..., None], depth: int, name: str
) -> None:
    client = make_client(delete_to_trash=False, always_delete_dir=True)
    nest(depth, name)
    (client.root / "outside").mkdir()
    assert client.ask("DELETE", "/api/contents/deep").status == 204
    assert os.listdir(client.root) == ["outside"]


def test_a_deep_directory_is_copied_as_far_as_it_has_paths(client: Any, nest: Callable[..., None]) -> None:
    nest(DEEP)
    assert copy(client, "deep").status == 201
    assert depth_of(client.root, "deep-Copy1") == DEEP


def test_a_directory_too_deep_to_be_copied_is_refused(client: Any, nest: Callable[..., None]) -> None:
    nest(30, "d" * 200)
    answer = copy(client, "deep")
    assert (answer.status, answer.json()["message"]) == (400, "Can't copy 'deep': it is nested too deep")
    assert os.listdir(client.root) == ["deep"]


def test_times_and_modes_of_directories_are_copied(client: Any, tree: Path) -> None:
    (tree / "e").chmod(0o555)
    os.utime(tree / "e", (1, 1))
    assert copy(client, "d").status == 201
    status = (client.root / "d-Copy1/e").stat()
    assert (status.st_mode & 0o777, status.st_mtime) == (0o555, 1)


def test_a_file_is_copied_in_blocks(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regular_files, "BLOCK", 1000)
    content = os.urandom(5000)
    (client.root / "a.bin").write_bytes(content)
    heard: list[Any] = []
    client.contents.manager.emitter = heard.append
    monkeypatch.setattr(regular_files, "read", None)  # it is never whole in memory
    answer = client.ask("POST", "/api/contents", {"copy_from": "a.bin"})
    assert (answer.status, answer.json()["path"], answer.json()["size"]) == (201, "a-Copy1.bin", 5000)
    assert (client.root / "a-Copy1.bin").read_bytes() == content
    assert [(event["action"], event["path"]) for event in heard] == [
        ("get", "a.bin"),
        ("save", "a-Copy1.bin"),
        ("copy", "/a-Copy1.bin"),
    ]


def test_hooks_see_what_is_copied(make_client: Callable[..., Any]) -> None:
    def shout(model: Any, **kwargs: Any) -> None:
        model["content"] = model["content"].upper()

    client = make_client(pre_save_hook=shout)
    (client.root / "a.txt").write_text("x")
    assert copy(client, "a.txt").status == 201
    assert (client.root / "a-Copy1.txt").read_text() == "X"


def test_files_have_a_limit(make_client: Callable[..., Any]) -> None:
    client = make_client(max_content_bytes=1024 * 1024)
    with (client.root / "a.bin").open("wb") as file:
        file.truncate((1 << 20) + 1)
    assert copy(client, "a.bin").status == 413


def test_a_mount_point_is_in_use(client: Any, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(path: str) -> None:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), path)

    monkeypatch.setattr(os, "unlink", busy)
    answer = client.ask("DELETE", "/api/contents/d/e/f")
    assert (answer.status, answer.json()["message"]) == (409, "Device or resource busy: d/e/f")
