"""The state file: what is put is there, whatever became of the file before."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from jupyterd.state.store import SCHEMA, Execution, Process, StateStore


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "state.db")


def reopened(store: StateStore) -> StateStore:
    store.close()
    return StateStore(store.path)


def test_kernels_and_terminals_are_there_again(path: str) -> None:
    store = StateStore(path)
    kernel = Process("k", {"name": "python3", "env": None}, 7, 123, "boot")
    store.put_kernel(Process("k", {}, 1, 1, "boot"))
    store.put_kernel(kernel)
    store.put_terminal(Process("1", {}, 8, 124, "boot"))
    store = reopened(store)
    assert store.kernels() == [kernel]
    assert store.terminals() == [Process("1", {}, 8, 124, "boot")]
    store.remove_kernel("k")
    store.remove_terminal("1")
    assert (store.kernels(), store.terminals()) == ([], [])


def test_executions_are_there_until_they_or_their_kernel_go(path: str) -> None:
    store = StateStore(path)
    first = Execution("k", "m1", 5, "a.ipynb", "c1", "running", {"x": 1})
    second = Execution("k", "m2", 9, record={})
    for execution in (first, second, Execution("other", "m3", 1, record={})):
        store.change_executions([execution])
    store = reopened(store)
    assert store.executions("k") == [first, second]
    store.change_executions([], [("k", "m1")])
    assert store.executions("k") == [second]
    store.remove_kernel("k")
    assert [each.kernel_id for each in store.executions()] == ["other"]


def test_nobody_else_reads_it(path: str) -> None:
    StateStore(path).put_kernel(Process("k", {"secret": 1}))
    for name in os.listdir(os.path.dirname(path)):
        assert os.stat(os.path.join(os.path.dirname(path), name)).st_mode & 0o077 == 0, name


@pytest.mark.parametrize("content", [b"not a database, but long enough to be read as one" * 20, b"SQLite format 3\0"])
def test_a_damaged_file_is_set_aside(path: str, content: bytes) -> None:
    Path(path).write_bytes(content)
    store = StateStore(path)
    store.put_kernel(Process("k", {}))
    assert [each.key for each in reopened(store).kernels()] == ["k"]
    assert [name for name in os.listdir(os.path.dirname(path)) if "damaged" in name]


def test_tables_of_another_shape_are_set_aside(path: str) -> None:
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE kernel (something)")
    other.commit()
    other.close()
    store = StateStore(path)
    store.put_kernel(Process("k", {}))
    assert [each.key for each in store.kernels()] == ["k"]


def test_a_newer_file_is_left_alone(path: str) -> None:
    newer = sqlite3.connect(path)
    newer.execute(f"PRAGMA user_version={SCHEMA + 1}")
    newer.execute("CREATE TABLE kernel (id, what_is_new)")
    newer.execute("INSERT INTO kernel VALUES ('k', 1)")
    newer.commit()
    newer.close()
    store = StateStore(path)
    assert store.where == ":memory:"
    store.put_kernel(Process("x", {}))
    assert [each.key for each in store.kernels()] == ["x"]
    store.close()
    assert sqlite3.connect(path).execute("SELECT * FROM kernel").fetchall() == [("k", 1)]


def test_where_nothing_can_be_written_nothing_is_remembered(tmp_path: Path) -> None:
    store = StateStore(str(tmp_path / "missing" / "state.db"))
    store.put_kernel(Process("k", {}))
    assert [each.key for each in store.kernels()] == ["k"]
    assert store.where == ":memory:"
