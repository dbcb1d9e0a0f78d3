"""Session table, in SQLite, with the reference's columns so that either server reads the other's file."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from threading import Lock
from typing import NamedTuple

NEW = 100_000_000
"""Nanoseconds after a write within which another would not be seen by the file's time."""

LOOK_INTERVAL = 0.1
"""Seconds after which it is looked again whether another process has written into the file."""

COLUMNS = ("session_id", "path", "name", "type", "kernel_id")


class Row(NamedTuple):
    """One session."""

    session_id: str
    path: str
    name: str | None
    type: str | None
    kernel_id: str


class SessionTable:
    """The table; every call may block on the disk.

    :param path: the database file, or ``:memory:``.
    :param durable: a row is to survive the machine, not the daemon alone.
    :param clock: seconds that only grow.
    """

    def __init__(
        self, path: str = ":memory:", durable: bool = True, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._path, self._durable, self._clock = path, durable, clock
        self._lock = Lock()
        self._connection: sqlite3.Connection | None = None
        self._writes = 0
        self._known: tuple[object, list[Row]] = (None, [])
        self._looked: tuple[int, float] = (-1, 0.0)

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            if not self._durable:
                connection.execute("PRAGMA synchronous=OFF")
            connection.execute("CREATE TABLE IF NOT EXISTS session (session_id, path, name, type, kernel_id)")
            self._connection = connection
        return self._connection

    def all(self) -> list[Row]:
        """Every session, oldest first. Front ends ask every few seconds: it is read when it has changed."""
        with self._lock:
            state = self._state()
            known, rows = self._known
            if state is None or state != known:
                query = "SELECT session_id, path, name, type, kernel_id FROM session ORDER BY rowid"
                rows = [Row(*row) for row in self._open().execute(query)]
                self._known = state, rows
            return list(rows)

    def _state(self) -> object:
        """What changes with each write; None where that can not be told: a file that others write in other ways."""
        if self._path == ":memory:":
            return self._writes
        if self._durable:
            return None
        writes, when = self._looked
        now = self._clock()
        if writes == self._writes and now - when < LOOK_INTERVAL:
            return self._known[0]
        self._looked = self._writes, now
        files = [found for path in (self._path, f"{self._path}-wal") if (found := _status(path)) is not None]
        if not files or time.time_ns() - max(found.st_mtime_ns for found in files) <= NEW:
            return None
        return self._writes, *((found.st_ino, found.st_mtime_ns, found.st_size) for found in files)

    def _write(self, statement: str, values: tuple[str | None, ...]) -> None:
        with self._lock:
            self._writes += 1
            self._open().execute(statement, values)

    def get(self, session_id: str) -> Row | None:
        """One session."""
        return self._one("SELECT session_id, path, name, type, kernel_id FROM session WHERE session_id=?", session_id)

    def at(self, path: str) -> Row | None:
        """The session of a document."""
        return self._one("SELECT session_id, path, name, type, kernel_id FROM session WHERE path=?", path)

    def on(self, kernel_id: str) -> list[Row]:
        """The sessions of a kernel, oldest first."""
        with self._lock:
            rows = self._open().execute(
                "SELECT session_id, path, name, type, kernel_id FROM session WHERE kernel_id=? ORDER BY rowid",
                (kernel_id,),
            )
            return [Row(*row) for row in rows]

    def _one(self, query: str, value: str) -> Row | None:
        with self._lock:
            row = self._open().execute(query, (value,)).fetchone()
        return None if row is None else Row(*row)

    def sharing(self, kernel_id: str) -> int:
        """How many sessions have a kernel."""
        with self._lock:
            row = self._open().execute("SELECT count(*) FROM session WHERE kernel_id=?", (kernel_id,)).fetchone()
        return int(row[0])

    def add(self, row: Row) -> None:
        """Add one."""
        self._write("INSERT INTO session VALUES (?,?,?,?,?)", row)

    def replace(self, row: Row) -> None:
        """Change all but its id."""
        statement = "UPDATE session SET path=?, name=?, type=?, kernel_id=? WHERE session_id=?"
        self._write(statement, (*row[1:], row.session_id))

    def remove(self, row: Row) -> None:
        """Remove one, if it is there and still has that kernel."""
        self._write("DELETE FROM session WHERE session_id=? AND kernel_id=?", (row.session_id, row.kernel_id))

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None
