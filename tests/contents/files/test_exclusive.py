"""A name that the server chooses is one that nobody else gets, and a name that somebody has is left to them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from jupyterd.contents import operations
from jupyterd.contents.files import exclusive, file_names, removal
from jupyterd.contents.managers.largefilemanager import AsyncLargeFileManager, LargeFileManager
from jupyterd.contents.managers.manager import ContentsManager
from jupyterd.contents.managers.sync_or_async import at_once
from jupyterd.errors import Forbidden

NEW = [
    ({"type": "notebook"}, "Untitled.ipynb", "Untitled1.ipynb"),
    ({"type": "file", "ext": ".py"}, "untitled.py", "untitled1.py"),
    ({"type": "directory"}, "Untitled Folder", "Untitled Folder 1"),
    ({"copy_from": "a.txt"}, "a-Copy1.txt", "a-Copy2.txt"),
    ({"copy_from": "n.ipynb"}, "n-Copy1.ipynb", "n-Copy2.ipynb"),
    ({"copy_from": "d"}, "d-Copy1", "d-Copy2"),
]


@pytest.fixture
def filled(root: Path) -> Path:
    (root / "a.txt").write_text("a")
    (root / "n.ipynb").write_text(json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    (root / "d").mkdir()
    return root


@pytest.mark.parametrize("kind", [AsyncLargeFileManager, LargeFileManager])
@pytest.mark.parametrize("body", [body for body, _, _ in NEW], ids=lambda body: "-".join(body.values()))
def test_who_asks_at_the_same_time_gets_another_name(filled: Path, kind: Any, body: dict[str, str]) -> None:
    manager = kind(root_dir=str(filled))
    raw = json.dumps(body).encode()

    def ask(_: int) -> str:
        return at_once(operations.post(manager, "", raw)).path

    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(ask, range(80)))
    assert len(set(paths)) == 80
    assert all(os.path.lexists(filled / path) for path in paths)


@pytest.mark.parametrize(("body", "first", "second"), NEW, ids=lambda value: str(value)[:40])
def test_another_process_is_faster(
    client: Any, filled: Path, monkeypatch: pytest.MonkeyPatch, body: dict[str, str], first: str, second: str
) -> None:
    """The name was free when it was looked for."""
    lexists = os.path.lexists

    def late(path: str) -> bool:
        if str(path) != str(filled / first) or lexists(path):
            return lexists(path)
        Path(path).write_text("theirs")
        return False

    monkeypatch.setattr(os.path, "lexists", late)
    answer = client.ask("POST", "/api/contents", body)
    assert (answer.status, answer.json()["path"].strip("/")) == (201, second)
    assert (filled / first).read_text() == "theirs"


def test_a_copy_to_a_name_that_somebody_else_gets(client: Any, filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claim = exclusive.claim

    def late(path: str, directory: bool = False) -> Any:
        Path(path).write_text("theirs")
        return claim(path, directory)

    monkeypatch.setattr(exclusive, "claim", late)
    assert client.ask("POST", "/api/contents/b.txt", {"copy_from": "a.txt"}).status == 400
    assert (filled / "b.txt").read_text() == "theirs"


def test_what_is_refused_leaves_no_name(make_client: Callable[..., Any]) -> None:
    def refuse(**kwargs: Any) -> None:
        raise Forbidden("no")

    client = make_client(pre_save_hook=refuse)
    for body, _, _ in NEW[:3]:
        assert client.ask("POST", "/api/contents", body).status == 403
    assert os.listdir(client.root) == []


@pytest.mark.parametrize("ext", ["../../x", "/1", "/", "a/b", "\0", "x\ud800"])
def test_an_extension_that_is_none_is_refused(client: Any, ext: str) -> None:
    for _ in range(2):
        answer = client.ask("POST", "/api/contents", {"type": "file", "ext": ext})
        assert (answer.status, answer.json()["message"]) == (400, f"{ext!r} is not a file extension")
    assert os.listdir(client.root) == []
    assert os.listdir(client.root.parent) == ["root"]


def test_an_extension_that_is_too_long_is_refused(client: Any) -> None:
    assert client.ask("POST", "/api/contents", {"type": "file", "ext": "." + "x" * 300}).status == 400


def test_looking_for_a_name_ends(client: Any, filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_names, "MAX_TRIES", 50)
    monkeypatch.setattr(os.path, "lexists", lambda path: True)
    for body, _, _ in NEW:
        answer = client.ask("POST", "/api/contents", body)
        assert answer.status == 409
        assert re.match(r"No name like .* is free in /", answer.json()["message"])


def test_names_that_are_always_taken_in_between(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exclusive, "claim", lambda *args: None)
    assert client.ask("POST", "/api/contents", {"type": "notebook"}).status == 409


def test_a_rename_replaces_nothing(client: Any, filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody makes a file of that name after it was looked for."""
    for old, theirs in (("a.txt", "file"), ("d", "file"), ("n.ipynb", "directory")):
        new = filled / f"new-{old}"
        exists = os.path.exists

        def late(path: str, new: Path = new, theirs: str = theirs, exists: Any = exists) -> bool:
            found: bool = exists(path)
            if str(path) == str(new) and not found:
                new.mkdir() if theirs == "directory" else new.write_text("theirs")
            return found

        monkeypatch.setattr(os.path, "exists", late)
        monkeypatch.setattr(os.path, "lexists", lambda path, old=old: str(path) == str(filled / old))
        assert client.ask("PATCH", f"/api/contents/{old}", {"path": f"new-{old}"}).status == 409
        assert (filled / old).exists()
        assert new.is_dir() if theirs == "directory" else new.read_text() == "theirs"


@pytest.mark.parametrize("links", [True, False])
def test_renaming_without_the_system_s_help(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    monkeypatch.setattr(exclusive, "_renameat2", lambda: None)
    if not links:
        monkeypatch.setattr(exclusive, "_relink", lambda old, new: False)
    a, b, d = (str(tmp_path / name) for name in "abd")
    Path(a).write_text("a")
    Path(b).write_text("b")
    os.mkdir(d)
    with pytest.raises(FileExistsError):
        exclusive.rename(a, b)
    exclusive.rename(a, a + "2")
    exclusive.rename(d, d + "2")
    assert sorted(os.listdir(tmp_path)) == ["a2", "b", "d2"]
    assert Path(b).read_text() == "b"


def test_two_files_of_one_name_go_to_the_trash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    import send2trash.plat_other as trash

    monkeypatch.setattr(trash, "HOMETRASH_B", os.fsencode(tmp_path / "Trash"))
    files = []
    for number in range(40):
        directory = tmp_path / f"d{number}"
        directory.mkdir()
        (directory / "a.txt").write_text(str(number))
        files.append(str(directory / "a.txt"))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(removal.to_trash, files))
    kept = {path.read_text() for path in (tmp_path / "Trash/files").iterdir()}
    assert kept == {str(number) for number in range(40)}


def test_a_manager_that_can_hold_no_name_makes_one_thing_at_a_time(make_client: Callable[..., Any]) -> None:
    class Elsewhere(ContentsManager):
        """Keeps nothing in files."""

    assert make_client(manager=Elsewhere()).contents._naming is not None
    assert make_client().contents._naming is None
