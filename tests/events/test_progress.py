"""Progress: what takes longer than a second is told, not too often, and its end always."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from twisted.internet.task import Clock

from jupyterd.contents.managers.largefilemanager import LargeFileManager
from jupyterd.events.bus import SCHEMAS
from jupyterd.events.progress import MAX_TASKS, QUIET_SECONDS, SCHEMA, TELL_SECONDS, Progress


class Reactor(Clock):
    """Calls of threads are made at once."""

    def callFromThread(self, function: Any, *args: Any) -> None:
        function(*args)


class House:
    def __init__(self) -> None:
        self.clock = Reactor()
        self.events: list[dict[str, Any]] = []
        self.progress = Progress(self.clock, self.heard)

    def heard(self, schema: str, data: dict[str, Any]) -> None:
        assert schema == SCHEMA
        with open(os.path.join(SCHEMAS, "progress-v1.yaml"), encoding="utf-8") as file:
            jsonschema.validate(data, yaml.safe_load(file))
        self.events.append(data)

    @property
    def told(self) -> list[tuple[str, int]]:
        return [(each["state"], each["done"]) for each in self.events]


@pytest.fixture
def house() -> House:
    return House()


def test_what_is_soon_over_is_not_told(house: House) -> None:
    task = house.progress.begin("convert", "a (html)")
    task.advance()
    house.clock.advance(QUIET_SECONDS / 2)
    assert house.progress.describe() == []
    task.end()
    house.clock.advance(10)
    assert house.events == []
    assert house.clock.getDelayedCalls() == []


def test_what_takes_longer_is_told_a_few_times_and_at_its_end(house: House) -> None:
    task = house.progress.begin("upload", "a.bin", 100, "bytes")
    task.advance(10)
    house.clock.advance(QUIET_SECONDS)
    for _ in range(50):
        task.advance(1)
    assert house.told == [("running", 10)]
    assert house.progress.describe()[0]["done"] == 60
    house.clock.advance(TELL_SECONDS)
    task.advance(1)
    task.end()
    task.end()
    assert house.told == [("running", 10), ("running", 61), ("done", 61)]
    assert (house.events[-1]["total"], house.events[-1]["unit"], house.events[-1]["seconds"]) == (100, "bytes", 1.5)
    assert house.progress.describe() == []


def test_a_failure_is_told(house: House) -> None:
    task = house.progress.begin("copy", "d")
    house.clock.advance(QUIET_SECONDS)
    task.end(failed=True)
    assert house.told == [("running", 0), ("failed", 0)]


def test_what_is_over_when_it_is_told(house: House) -> None:
    house.progress.told("start", "server", 0.25)
    assert (house.told, house.events[0]["seconds"]) == ([("done", 0)], 0.25)


def test_there_is_a_bound(house: House) -> None:
    tasks = [house.progress.begin("convert", str(number)) for number in range(MAX_TASKS + 10)]
    house.clock.advance(QUIET_SECONDS)
    assert len(house.progress.describe()) == len(house.events) == MAX_TASKS
    for task in tasks:
        task.end()
    assert len(house.events) == 2 * MAX_TASKS


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, house: House) -> LargeFileManager:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "root" / "tree" / "deeper").mkdir(parents=True)
    for number in range(5):
        (tmp_path / "root" / "tree" / "deeper" / f"{number}.txt").write_text("x")
    (tmp_path / "root" / "large.bin").write_bytes(bytes(3_000_000))
    made = LargeFileManager(root_dir=str(tmp_path / "root"))
    begin = house.progress.begin_in_thread

    def slow(*args: Any) -> Any:
        task = begin(*args)
        house.clock.advance(QUIET_SECONDS)
        return task

    made.begin_task = slow
    return made


def test_copies_are_told(house: House, manager: LargeFileManager) -> None:
    manager.copy("tree", "")
    assert house.told == [("running", 0), ("done", 5)]
    assert (house.events[-1]["kind"], house.events[-1]["name"], house.events[-1]["unit"]) == (
        "copy", "tree-Copy1", "files",
    )  # fmt: skip
    house.events.clear()
    manager.copy("large.bin", "")
    assert house.told[-1] == ("done", 3_000_000)
    assert (house.events[-1]["total"], house.events[-1]["unit"]) == (3_000_000, "bytes")


def test_a_copy_that_fails_is_told(house: House, manager: LargeFileManager, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copy2", full)
    with pytest.raises(Exception, match="No space left"):
        manager.copy("tree", "")
    assert house.told == [("running", 0), ("failed", 0)]
