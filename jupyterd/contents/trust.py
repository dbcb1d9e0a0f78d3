"""Which notebooks' outputs this user has made or accepted: signatures, as nbformat makes and stores them.

The database and the secret are the reference's, so what was trusted there is trusted here. Whatever happens to them, a
notebook can be opened (untrusted) and saved (unsigned).
"""

from __future__ import annotations

import hmac
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from threading import Lock
from typing import Any

from nbformat.sign import MemorySignatureStore, NotebookNotary, SignatureStore
from twisted.logger import Logger

TIMEOUT = 2.0
"""Seconds to wait for a signature database that another process has locked."""

_CREATE = """CREATE TABLE IF NOT EXISTS nbsignatures (
    id integer PRIMARY KEY AUTOINCREMENT, algorithm text, signature text, path text, last_seen timestamp)"""
_INDEX = "CREATE INDEX IF NOT EXISTS algosig ON nbsignatures(algorithm, signature)"
_FIND = "SELECT id, last_seen FROM nbsignatures WHERE algorithm = ? AND signature = ?"
_ADD = "INSERT INTO nbsignatures (algorithm, signature, last_seen) VALUES (?, ?, ?)"
_SEEN = "UPDATE nbsignatures SET last_seen = ? WHERE id = ?"
_REMOVE = "DELETE FROM nbsignatures WHERE algorithm = ? AND signature = ?"
_CULL = "DELETE FROM nbsignatures WHERE id IN (SELECT id FROM nbsignatures ORDER BY last_seen DESC LIMIT -1 OFFSET ?)"


class SharedSignatureStore(SignatureStore):
    """The SQLite store of nbformat, for any thread; a signature's ``last_seen`` is renewed once a day.

    A database that is broken is put aside as ``.bak``; where none can be made, signatures last as long as the server.
    One that just now can not be written (locked, read-only, disk full) stays, and what is trusted stays so.
    """

    log = Logger()

    def __init__(self, db_file: str, cache_size: int = 65535) -> None:
        self._db_file = db_file
        self._cache_size = cache_size
        self._added = 0
        self._lock = Lock()
        self._db: sqlite3.Connection | None = None
        self._memory: MemorySignatureStore | None = None

    def store_signature(self, digest: str, algorithm: str) -> None:
        """Trust what has this signature."""
        self._use(self._store, digest, algorithm)

    def check_signature(self, digest: str, algorithm: str) -> bool:
        """Whether it is trusted."""
        return bool(self._use(self._check, digest, algorithm))

    def remove_signature(self, digest: str, algorithm: str) -> None:
        """Trust it no more."""
        self._use(self._remove, digest, algorithm)

    def close(self) -> None:
        """Close the database; the next use opens it again."""
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None

    def _use(self, operation: Any, digest: str, algorithm: str) -> Any:
        with self._lock:
            for attempt in (1, 2):
                if self._memory is not None:
                    return getattr(self._memory, operation.__name__[1:] + "_signature")(digest, algorithm)
                try:
                    return operation(self._open(), digest, algorithm)
                except sqlite3.Error as error:
                    self._broken(error, last=attempt == 2)
            return getattr(self._memory, operation.__name__[1:] + "_signature")(digest, algorithm)

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

    def _store(self, db: sqlite3.Connection, digest: str, algorithm: str) -> None:
        if self._check(db, digest, algorithm):
            return
        db.execute(_ADD, (algorithm, digest, _now().isoformat()))
        if self._added % max(self._cache_size // 64, 1) == 0:  # counting reads the whole table
            self._cull(db)
        self._added += 1
        db.commit()

    def _cull(self, db: sqlite3.Connection) -> None:
        (count,) = db.execute("SELECT Count(*) FROM nbsignatures").fetchone()
        if count > self._cache_size:
            db.execute(_CULL, (max(int(0.75 * self._cache_size), 1),))

    def _check(self, db: sqlite3.Connection, digest: str, algorithm: str) -> bool:
        row = db.execute(_FIND, (algorithm, digest)).fetchone()
        if row is None:
            return False
        if str(row[1]) < (_now() - timedelta(days=1)).isoformat():
            with suppress(sqlite3.OperationalError):  # locked, full, read-only: it is trusted all the same
                db.execute(_SEEN, (_now().isoformat(), row[0]))
                db.commit()
        return True

    def _remove(self, db: sqlite3.Connection, digest: str, algorithm: str) -> None:
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


_making = Lock()


def make_notary(**kwargs: Any) -> NotebookNotary:
    """A :class:`NotebookNotary` by its settings, with a store that any thread may use unless another is configured.

    :param kwargs: as for every Configurable: ``parent`` or ``config``.
    """
    from jupyter_core.paths import jupyter_data_dir

    parent = kwargs.get("parent")
    section = getattr(parent, "config", kwargs.get("config", {})).get("NotebookNotary", {})
    if "data_dir" not in section:
        kwargs["data_dir"] = jupyter_data_dir()
        os.makedirs(kwargs["data_dir"], mode=0o700, exist_ok=True)
    if "store_factory" in section:
        return NotebookNotary(**kwargs)
    notary = NotebookNotary(store_factory=MemorySignatureStore, **kwargs)
    with _making, suppress(Exception):  # two threads must not make two secrets; one that fails is told when it is used
        assert notary.secret
    store = SharedSignatureStore(notary.db_file)
    notary.store_factory = lambda: store
    notary.store = store
    return notary


def signature_of(nb: dict[str, Any], notary: NotebookNotary) -> str:
    """What nbformat's ``compute_signature`` gives: the keys (sorted) and values, one after the other, hashed."""
    with _without(nb.get("metadata", {}), "signature"):
        mac = hmac.new(notary.secret, digestmod=notary.digestmod)
        parts: list[str] = []
        cells = nb.get("cells")
        if isinstance(cells, list) and all(key >= "cells" for key in nb):
            parts.append("cells")
            for cell in cells:
                _collect(cell, parts)
                mac.update("".join(parts).encode())
                parts = []
            nb = {key: value for key, value in nb.items() if key != "cells"}
        _collect(nb, parts)
    mac.update("".join(parts).encode())
    return str(mac.hexdigest())


@contextmanager
def _without(mapping: dict[str, Any], key: str) -> Iterator[None]:
    held = mapping.pop(key, None)
    try:
        yield
    finally:
        if held is not None:
            mapping[key] = held


def _collect(value: Any, parts: list[str]) -> None:
    if isinstance(value, dict):
        for key in sorted(value):
            parts.append(key)
            item = value[key]
            if type(item) is str:
                parts.append(item)
            else:
                _collect(item, parts)
    elif isinstance(value, list | tuple):
        for item in value:
            if type(item) is str:
                parts.append(item)
            else:
                _collect(item, parts)
    else:
        parts.append(str(value))


def all_cells_trusted(nb: dict[str, Any]) -> bool:
    """Take the ``trusted`` marks off a notebook's code cells; whether each had one, or has no output to distrust.

    Source: nbformat's ``NotebookNotary.check_cells``.
    """
    trusted = True
    for cell in nb["cells"]:
        if cell["cell_type"] == "code" and not _cell_trusted(cell):
            trusted = False
    return trusted


_SAFE_KEYS = {"output_type", "execution_count", "metadata"}


def _cell_trusted(cell: dict[str, Any]) -> bool:
    if cell["metadata"].pop("trusted", False):
        return True
    return all(
        output["output_type"] not in ("execute_result", "display_data") or not set(output) - _SAFE_KEYS
        for output in cell["outputs"]
    )


def mark_cells(nb: dict[str, Any], trusted: bool) -> None:
    """Tell the client, in each code cell's metadata, whether its outputs may run scripts."""
    for cell in nb["cells"]:
        if cell["cell_type"] == "code":
            cell["metadata"]["trusted"] = trusted
