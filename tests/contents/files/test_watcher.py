"""Who has a file open is told when another program changes it, and only then."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater

from jupyterd.contents.files.watcher import SCHEMA, SETTLING, FileWatcher, inotify_watch
from jupyterd.testing.deferreds import at_once


class Watcher:
    """A system that tells when the test says."""

    def __init__(self) -> None:
        self.directories: dict[str, Callable[[str], None]] = {}

    def __call__(self, directory: str, stirred: Callable[[str], None]) -> Callable[[], None]:
        self.directories[directory] = stirred
        return lambda: self.directories.pop(directory) and None


@pytest.fixture
def told() -> list[Any]:
    return []


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


@pytest.fixture
def client(make_client: Callable[..., Any], watcher: Watcher, told: list[Any]) -> Any:
    client = make_client(delete_to_trash=False)
    client.clock = Clock()
    contents = client.contents

    def emit(schema: str, data: dict[str, Any]) -> None:
        assert schema == SCHEMA
        told.append((data["action"], data["path"]))

    contents.changes = FileWatcher(client.clock, at_once, emit, watcher, contents.is_busy, 2)
    return client


def stir(client: Any, watcher: Watcher, name: str) -> None:
    watcher.directories[str(client.root)](name)
    client.clock.advance(SETTLING)


def test_a_change_is_told_once(client: Any, watcher: Watcher, told: list[Any]) -> None:
    (client.root / "a.txt").write_text("1")
    client.get("a.txt")
    stir(client, watcher, "a.txt")
    assert told == []
    (client.root / "a.txt").write_text("22")
    stir(client, watcher, "a.txt")
    stir(client, watcher, "a.txt")
    assert told == [("change", "a.txt")]
    (client.root / "a.txt").unlink()
    stir(client, watcher, "a.txt")
    assert told[1:] == [("delete", "a.txt")]


def test_what_is_done_here_is_no_change(client: Any, watcher: Watcher, told: list[Any]) -> None:
    (client.root / "a.txt").write_text("1")
    client.get("a.txt")
    client.put("a.txt", {"type": "file", "format": "text", "content": "22"})
    stir(client, watcher, "a.txt")
    client.site.request("PUT", "/files/a.txt", b"333")
    stir(client, watcher, "a.txt")
    client.ask("PATCH", "/api/contents/a.txt", {"path": "b.txt"})
    stir(client, watcher, "a.txt")
    client.get("b.txt")
    client.ask("DELETE", "/api/contents/b.txt")
    stir(client, watcher, "b.txt")
    assert told == []


def test_files_that_nobody_opened_are_not_looked_at(client: Any, watcher: Watcher, told: list[Any]) -> None:
    for name in ("a.txt", "b.txt"):
        (client.root / name).write_text("1")
    client.get("a.txt")
    client.get("b.txt?content=0")
    (client.root / "b.txt").write_text("22")
    stir(client, watcher, "b.txt")
    assert told == []


def test_many_events_are_one_look(client: Any, watcher: Watcher, told: list[Any]) -> None:
    (client.root / "a.txt").write_text("1")
    client.get("a.txt")
    for number in range(5):
        (client.root / "a.txt").write_text("x" * (number + 2))
        watcher.directories[str(client.root)]("a.txt")
        client.clock.advance(SETTLING / 2)
    assert told == []
    client.clock.advance(SETTLING)
    assert told == [("change", "a.txt")]


def test_no_more_directories_than_so_many(client: Any, watcher: Watcher) -> None:
    for name in "abc":
        (client.root / name).mkdir()
        (client.root / name / "f").write_text("x")
        client.get(f"{name}/f")
    assert sorted(watcher.directories) == [str(client.root / "b"), str(client.root / "c")]
    client.contents.stopService()
    assert watcher.directories == {}


def test_where_the_system_refuses_files_open_all_the_same(client: Any, told: list[Any]) -> None:
    def full(directory: str, stirred: Any) -> Any:
        raise OSError(28, "No space left on device")

    client.contents.changes._watch = full
    (client.root / "a.txt").write_text("1")
    assert client.get("a.txt")["content"] == "1"


@pytest.mark.real
@pytest_twisted.ensureDeferred
async def test_by_inotify(tmp_path: Path) -> None:
    from twisted.internet import reactor

    watch = inotify_watch(reactor)
    if watch is None:
        pytest.skip("no inotify here")
    path, told = tmp_path / "a", Deferred()
    path.write_text("1")

    def emit(schema: str, data: dict[str, Any]) -> None:
        told.callback(data)

    changes = FileWatcher(reactor, at_once, emit, watch, lambda path: False, 5)
    changes.seen(str(path), "a", "other")
    await deferLater(reactor, 0, lambda: None)
    (tmp_path / "new").write_text("22")
    os.replace(tmp_path / "new", path)
    assert await told.addTimeout(10, reactor) == {"action": "change", "path": "a"}
    changes.stopService()
