"""The sessions' table: what is known of it is what is in it, whoever wrote."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from jupyterd.sessions.store import LOOK_INTERVAL, NEW, Row, SessionTable

ONE, TWO = Row("1", "a.ipynb", "", "notebook", "k"), Row("2", "b.ipynb", "", "notebook", "k")


def settle(path: str) -> None:
    """A while goes by since the file was written."""
    for each in filter(os.path.exists, (path, f"{path}-wal")):
        before = os.stat(each).st_mtime_ns - 2 * NEW
        os.utime(each, ns=(before, before))


@pytest.fixture(params=["delete", "wal"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A file with either kind of journal; the state of a server has the second."""
    made = str(tmp_path / "sessions.db")
    connection = sqlite3.connect(made)
    connection.execute(f"PRAGMA journal_mode={request.param}")
    connection.close()
    return made


@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize("name", ["", "sessions.db"])
def test_each_write_is_seen(tmp_path: Path, name: str, durable: bool) -> None:
    path = str(tmp_path / name) if name else ":memory:"
    table = SessionTable(path, durable)
    table.add(ONE)
    for _ in range(2):
        assert table.all() == [ONE]
        if name:
            settle(path)
    table.add(TWO)
    assert table.all() == [ONE, TWO]
    table.replace(ONE._replace(path="c.ipynb"))
    assert [row.path for row in table.all()] == ["c.ipynb", "b.ipynb"]
    table.remove(TWO)
    assert [row.session_id for row in table.all()] == ["1"]
    table.close()


def test_what_another_server_writes_is_seen(path: str) -> None:
    now = [0.0]
    ours, theirs = SessionTable(path, durable=False, clock=lambda: now[0]), SessionTable(path, durable=False)
    ours.add(ONE)
    theirs.all()  # the journal stays while somebody has it open
    settle(path)
    assert ours.all() == ours.all() == [ONE]
    theirs.add(TWO)
    assert ours.all() == [ONE], "it is looked for now and then"
    now[0] += LOOK_INTERVAL
    assert ours.all() == [ONE, TWO]
    now[0] += LOOK_INTERVAL
    theirs.remove(ONE)  # at once, in what may be the same tick of the file's clock
    assert ours.all() == [TWO]


def test_it_is_not_read_where_nothing_has_changed(path: str) -> None:
    table = SessionTable(path, durable=False)
    table.add(ONE)
    settle(path)
    assert table.all() == [ONE]
    asked: list[str] = []
    table._open().set_trace_callback(asked.append)
    table.all().clear()
    assert (table.all(), asked) == ([ONE], [])
