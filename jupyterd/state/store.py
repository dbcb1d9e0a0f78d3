"""State of a server in SQLite: what the next daemon needs to find the kernels, terminals and executions of this one.

A write is in the page cache when its call returns: it survives the daemon, not the machine. All calls may block.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from typing import Any

from twisted.logger import Logger

SCHEMA = 1
"""The version of the tables; :data:`MIGRATIONS` brings an older file to it."""

_TABLES = """
CREATE TABLE IF NOT EXISTS kernel (
    id TEXT PRIMARY KEY, pid INTEGER, started INTEGER, boot TEXT, record TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS terminal (
    name TEXT PRIMARY KEY, pid INTEGER, started INTEGER, boot TEXT, record TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS execution (
    kernel_id TEXT NOT NULL, msg_id TEXT NOT NULL, path TEXT, cell_id TEXT, position INTEGER NOT NULL,
    state TEXT NOT NULL, record TEXT NOT NULL, PRIMARY KEY (kernel_id, msg_id)
);
CREATE TABLE IF NOT EXISTS run (id TEXT PRIMARY KEY, record TEXT NOT NULL);
"""

MEMORY = ":memory:"
"""A path that is no file. Source: SQLite."""

MIGRATIONS: dict[int, Callable[[sqlite3.Connection], None]] = {}
"""By the version that each starts from."""


@dataclass(frozen=True)
class Process:
    """A kernel or terminal and its process.

    :param key: the kernel's id or the terminal's name.
    :param pid: its process; None where it is not one of this machine.
    :param started: when that was started, in ticks since the machine was.
    :param boot: the run of the machine.
    :param record: all else, as JSON has it.
    """

    key: str
    record: dict[str, Any]
    pid: int | None = None
    started: int | None = None
    boot: str = ""


@dataclass(frozen=True)
class Execution:
    """A request to run code, as the recorder of outputs knows it.

    :param path: the document.
    :param position: the number, in the kernel's log, of the first message that can be of it.
    :param state: what who writes it makes of it, such as ``running``.
    :param record: all else, as JSON has it.
    """

    kernel_id: str
    msg_id: str
    position: int
    path: str | None = None
    cell_id: str | None = None
    state: str = "running"
    record: dict[str, Any] | None = None


class StateStore:
    """The file.

    :ivar where: ``path``, or :data:`MEMORY` where it can not be used.
    :param path: it is made where it is missing; set aside where it is none, or damaged. One of a newer version is left
        alone, and nothing is remembered then; nor where it can not be written.
    """

    log = Logger()

    def __init__(self, path: str) -> None:
        self.path = path
        self.where = path
        self._lock = Lock()
        self._connection = self._open()

    # -- kernels and terminals

    def put_kernel(self, kernel: Process) -> None:
        """Remember a kernel, in place of what was known of it."""
        self._put("kernel", kernel)

    def put_terminal(self, terminal: Process) -> None:
        """Remember a terminal."""
        self._put("terminal", terminal)

    def _put(self, table: str, process: Process) -> None:
        key = "id" if table == "kernel" else "name"
        row = (process.key, process.pid, process.started, process.boot, json.dumps(process.record))
        self._write(f"INSERT OR REPLACE INTO {table} ({key}, pid, started, boot, record) VALUES (?,?,?,?,?)", row)  # noqa: S608

    def kernels(self) -> list[Process]:
        """All kernels, oldest first."""
        return self._processes("SELECT id, record, pid, started, boot FROM kernel ORDER BY rowid")

    def terminals(self) -> list[Process]:
        """All terminals, oldest first."""
        return self._processes("SELECT name, record, pid, started, boot FROM terminal ORDER BY rowid")

    def _processes(self, query: str) -> list[Process]:
        return [Process(key, json.loads(record), *rest) for key, record, *rest in self._read(query)]

    def remove_kernel(self, kernel_id: str) -> None:
        """Forget a kernel and its executions."""
        self._write("DELETE FROM kernel WHERE id=?", (kernel_id,))
        self._write("DELETE FROM execution WHERE kernel_id=?", (kernel_id,))

    def remove_terminal(self, name: str) -> None:
        """Forget a terminal."""
        self._write("DELETE FROM terminal WHERE name=?", (name,))

    # -- executions

    def change_executions(self, changed: Iterable[Execution], gone: Iterable[tuple[str, str]] = ()) -> None:
        """Remember executions, in place of what was known of them, and forget others; all of it or nothing.

        :param gone: of each the kernel's id and its own.
        """
        self._write_all(
            (
                "INSERT OR REPLACE INTO execution (kernel_id, msg_id, path, cell_id, position, state, record)"
                " VALUES (?,?,?,?,?,?,?)",
                [_row(each) for each in changed],
            ),
            ("DELETE FROM execution WHERE kernel_id=? AND msg_id=?", list(gone)),
        )

    def executions(self, kernel_id: str | None = None) -> list[Execution]:
        """The executions of a kernel, or of all, oldest first."""
        query = "SELECT kernel_id, msg_id, position, path, cell_id, state, record FROM execution"
        rows = self._read(
            f"{query} WHERE kernel_id=? ORDER BY rowid" if kernel_id is not None else f"{query} ORDER BY rowid",
            () if kernel_id is None else (kernel_id,),
        )
        return [
            Execution(kernel_id, msg_id, position, path, cell_id, state, json.loads(record))
            for kernel_id, msg_id, position, path, cell_id, state, record in rows
        ]

    # -- runs of notebooks

    def put_run(self, run_id: str, record: dict[str, Any]) -> None:
        """Remember a run, in place of what was known of it."""
        self._write(
            "INSERT INTO run (id, record) VALUES (?,?) ON CONFLICT (id) DO UPDATE SET record=excluded.record",
            (run_id, json.dumps(record)),
        )

    def runs(self) -> list[dict[str, Any]]:
        """The records of all runs, oldest first."""
        return [json.loads(record) for (record,) in self._read("SELECT record FROM run ORDER BY rowid")]

    def remove_run(self, run_id: str) -> None:
        """Forget a run."""
        self._write("DELETE FROM run WHERE id=?", (run_id,))

    # -- the file

    def close(self) -> None:
        """Close it."""
        with self._lock:
            self._connection.close()

    def _read(self, query: str, values: Any = ()) -> list[Any]:
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    def _write(self, query: str, values: Any) -> None:
        with self._lock:
            try:
                self._connection.execute(query, values)
            except sqlite3.Error as error:
                self._not_written(error)

    def _write_all(self, *changes: tuple[str, list[Any]]) -> None:
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                for query, rows in changes:
                    if rows:
                        self._connection.executemany(query, rows)
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                self._not_written(error)
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")

    def _not_written(self, error: sqlite3.Error) -> None:
        self.log.error("the server's state can not be written to {path}: {error}", path=self.path, error=error)

    def _open(self) -> sqlite3.Connection:
        try:
            return self._open_file()
        except _Newer as error:
            self.log.error("{error}; this daemon does not remember its own", error=error)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError) and not _is_damaged(error):
                self.log.error("the server's state can not be kept in {path}: {error}", path=self.path, error=error)
            else:
                aside = f"{self.path}.damaged-{time.time_ns()}"
                self.log.error(
                    "{path} is damaged ({error}), set aside as {aside}", path=self.path, error=error, aside=aside
                )
                with suppress(OSError, sqlite3.Error):
                    os.replace(self.path, aside)
                    for end in ("-wal", "-shm"):
                        with suppress(FileNotFoundError):
                            os.unlink(self.path + end)
                    return self._open_file()
        self.where = MEMORY
        return _connect(MEMORY)

    def _open_file(self) -> sqlite3.Connection:
        if self.path != MEMORY and not os.path.exists(self.path):
            with suppress(OSError):
                os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=5.0)
        try:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > SCHEMA:
                raise _Newer(f"{self.path} is of a newer version ({version})")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=OFF")
            for old in range(version or SCHEMA, SCHEMA):
                MIGRATIONS[old](connection)
            connection.executescript(_TABLES)
            connection.execute(f"PRAGMA user_version={SCHEMA}")
            for table in ("kernel", "terminal", "execution", "run"):
                connection.execute(f"SELECT record FROM {table}").fetchall()  # noqa: S608
        except BaseException:
            connection.close()
            raise
        return connection


def _row(each: Execution) -> tuple[Any, ...]:
    record = json.dumps(each.record or {})
    return each.kernel_id, each.msg_id, each.path, each.cell_id, each.position, each.state, record


class _Newer(Exception):
    pass


def _is_damaged(error: sqlite3.Error) -> bool:
    return "malformed" in str(error) or "no such column" in str(error)


def _connect(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.executescript(_TABLES)
    return connection
