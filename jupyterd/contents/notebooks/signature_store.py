"""Signature store that all Jupyter programs of a user share: nbformat's SQLite file, for any thread.

A commit is the dearest part of saving a small notebook. In a server new signatures are known at once, and written
together a moment later.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from threading import Lock
from typing import TypeVar

from nbformat.sign import MemorySignatureStore, SignatureStore
from twisted.logger import Logger

T = TypeVar("T")
Signature = tuple[str, str]
"""Algorithm and digest."""
Later = Callable[["SharedSignatureStore"], None]

TIMEOUT = 2.0
"""Seconds to wait for a database that another process has locked."""

MAX_WAITING = 4096
"""How many signatures may wait for a database that can not be written; the oldest go first."""

_CREATE = """CREATE TABLE IF NOT EXISTS nbsignatures (
    id integer PRIMARY KEY AUTOINCREMENT, algorithm text, signature text, path text, last_seen timestamp)"""
_INDEX = "CREATE INDEX IF NOT EXISTS algosig ON nbsignatures(algorithm, signature)"
_FIND = "SELECT id, last_seen FROM nbsignatures WHERE algorithm = ? AND signature = ?"
_ADD = "INSERT INTO nbsignatures (algorithm, signature, last_seen) VALUES (?, ?, ?)"
_SEEN = "UPDATE nbsignatures SET last_seen = ? WHERE id = ?"
_REMOVE = "DELETE FROM nbsignatures WHERE algorithm = ? AND signature = ?"
_CULL = "DELETE FROM nbsignatures WHERE id IN (SELECT id FROM nbsignatures ORDER BY last_seen DESC LIMIT -1 OFFSET ?)"


class SharedSignatureStore(SignatureStore):
    """The store; a signature's ``last_seen`` is renewed once a day.

    A database that is broken is put aside as ``.bak``; where none can be made, signatures last as long as the server.
    One that just now can not be written (locked, read-only, disk full) stays, and what is trusted stays so.

    :param later: called with the store, in any thread, when something waits to be written: :meth:`flush` is to follow
        soon. Without it each signature is written at once.
    """

    log = Logger()

    def __init__(self, db_file: str, later: Later | None = None, cache_size: int = 65535) -> None:
        self._later = later
        self._db_file = db_file
        self._cache_size = cache_size
        self._uncounted = cache_size
        self._waiting: dict[Signature, None] = {}
        self._asked = False
        self._lock = Lock()
        """Of what waits; never held for long."""
        self._database = Lock()
        """Of the connection."""
        self._db: sqlite3.Connection | None = None
        self._memory: MemorySignatureStore | None = None

    def store_signature(self, digest: str, algorithm: str) -> None:
        """Trust what has this signature."""
        with self._lock:
            self._waiting[algorithm, digest] = None
            while len(self._waiting) > MAX_WAITING:
                del self._waiting[next(iter(self._waiting))]
            asked, self._asked = self._asked, True
        if self._later is None:
            self.flush()
        elif not asked:
            self._later(self)

    def check_signature(self, digest: str, algorithm: str) -> bool:
        """Whether it is trusted.

        :raises sqlite3.OperationalError: the database can not be read just now.
        """
        with self._lock:
            if (algorithm, digest) in self._waiting:
                return True
        with self._database:
            found = self._on_disk(lambda db: self._check(db, algorithm, digest))
            return bool(found if self._memory is None else self._memory.check_signature(digest, algorithm))

    def remove_signature(self, digest: str, algorithm: str) -> None:
        """Trust it no more.

        :raises sqlite3.OperationalError: the database can not be written just now.
        """
        with self._database:
            with self._lock:
                self._waiting.pop((algorithm, digest), None)
            self._on_disk(lambda db: _remove(db, algorithm, digest))
            if self._memory is not None:
                self._memory.remove_signature(digest, algorithm)

    def flush(self) -> bool:
        """Write what waits, in one transaction. What can not be written now stays trusted, and waits for the next time.

        :returns: whether nothing waits that did.
        """
        with self._database:
            with self._lock:
                self._asked = False
                batch = list(self._waiting)
            if not batch:
                return True
            try:
                self._on_disk(lambda db: self._add(db, batch))
            except sqlite3.Error:
                return False  # it is logged
            if self._memory is not None:
                for algorithm, digest in batch:
                    self._memory.store_signature(digest, algorithm)
            with self._lock:
                for signature in batch:
                    self._waiting.pop(signature, None)
        return True

    def close(self) -> None:
        """Write what waits and close the database; the next use opens it again."""
        self.flush()
        with self._database:
            if self._db is not None:
                self._db.close()
                self._db = None

    # -- the database, one thread at a time

    def _on_disk(self, operation: Callable[[sqlite3.Connection], T]) -> T | None:
        """Run it, once more where the database had to be put aside; None where there is no other than memory."""
        attempt = 0
        while self._memory is None:
            attempt += 1
            try:
                return operation(self._open())
            except sqlite3.Error as error:
                self._broken(error, last=attempt == 2)
        return None

    def _open(self) -> sqlite3.Connection:
        if self._db is None:
            self._db = sqlite3.connect(self._db_file, timeout=TIMEOUT, check_same_thread=False)
            self._db.execute(_CREATE)
            self._db.execute(_INDEX)
            self._db.commit()
            if self._db.execute("PRAGMA journal_mode").fetchone() == ("delete",):
                self._db.execute("PRAGMA journal_mode = TRUNCATE")  # half the work of a commit was the journal's name
        return self._db

    def _broken(self, error: sqlite3.Error, last: bool) -> None:
        self.log.warn("signature database {file}: {error}", file=self._db_file, error=error)
        if self._db is not None:
            self._db.close()
            self._db = None
        if _is_passing(error):
            raise error
        try:
            if last or self._db_file == ":memory:":
                raise OSError
            os.rename(self._db_file, self._db_file + ".bak")
            self.log.warn("it is kept as {file}.bak, a new one is made", file=self._db_file)
        except OSError:
            self.log.warn("signatures are kept in memory until the server ends")
            self._memory = MemorySignatureStore()

    def _add(self, db: sqlite3.Connection, batch: Iterable[Signature]) -> None:
        new = [(*signature, _now().isoformat()) for signature in batch if not self._check(db, *signature)]
        if not new:
            return
        db.executemany(_ADD, new)
        self._uncounted += len(new)
        if self._uncounted >= max(self._cache_size // 64, 1):  # counting reads the whole table
            self._cull(db)
            self._uncounted = 0
        db.commit()

    def _cull(self, db: sqlite3.Connection) -> None:
        (count,) = db.execute("SELECT Count(*) FROM nbsignatures").fetchone()
        if count > self._cache_size:
            db.execute(_CULL, (max(int(0.75 * self._cache_size), 1),))

    def _check(self, db: sqlite3.Connection, algorithm: str, digest: str) -> bool:
        row = db.execute(_FIND, (algorithm, digest)).fetchone()
        if row is None:
            return False
        if str(row[1]) < (_now() - timedelta(days=1)).isoformat():
            with suppress(sqlite3.OperationalError):  # locked, full, read-only: it is trusted all the same
                db.execute(_SEEN, (_now().isoformat(), row[0]))
                db.commit()
        return True


def _remove(db: sqlite3.Connection, algorithm: str, digest: str) -> None:
    db.execute(_REMOVE, (algorithm, digest))
    db.commit()


def _is_passing(error: sqlite3.Error) -> bool:
    """Nothing is wrong with what is in the database: it is locked, it may not be written, the disk is full."""
    told = str(error)
    return isinstance(error, sqlite3.OperationalError) and any(
        sign in told for sign in ("locked", "readonly", "full", "disk I/O")
    )


def _now() -> datetime:
    return datetime.now(timezone.utc)
