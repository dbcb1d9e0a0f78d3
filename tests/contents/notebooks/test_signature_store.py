"""The store of signatures: nbformat's file, from any thread, written together, lost with nothing but a crash."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import nbformat
import pytest
from twisted.internet.testing import MemoryReactorClock

from jupyterd.contents.notebooks import signature_store
from jupyterd.contents.notebooks.signature_commits import DELAY, RETRY, SignatureCommits
from jupyterd.contents.notebooks.signature_store import SharedSignatureStore
from jupyterd.testing.deferreds import at_once


def test_any_thread(tmp_path: Path) -> None:
    store = SharedSignatureStore(str(tmp_path / "db"))
    store.store_signature("d", "sha256")
    found: list[bool] = []
    thread = Thread(target=lambda: found.append(store.check_signature("d", "sha256")))
    thread.start()
    thread.join()
    assert found == [True]
    store.remove_signature("d", "sha256")
    assert not store.check_signature("d", "sha256")
    store.close()
    assert not store.check_signature("d", "sha256")


def test_nbformat_reads_the_same_database(tmp_path: Path) -> None:
    SharedSignatureStore(str(tmp_path / "db")).store_signature("d", "sha256")
    theirs = nbformat.sign.SQLiteSignatureStore(str(tmp_path / "db"))
    assert theirs.check_signature("d", "sha256")
    theirs.store_signature("e", "sha256")
    theirs.close()
    assert SharedSignatureStore(str(tmp_path / "db")).check_signature("e", "sha256")


def test_a_broken_database_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / "db").write_bytes(b"this is no database" * 100)
    store = SharedSignatureStore(str(tmp_path / "db"))
    store.store_signature("d", "sha256")
    assert store.check_signature("d", "sha256")
    assert (tmp_path / "db.bak").exists()


def test_where_there_can_be_none_it_is_kept_in_memory(tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    (tmp_path / "db.bak").mkdir()
    (tmp_path / "db.bak" / "x").touch()
    store = SharedSignatureStore(str(tmp_path / "db"))
    store.store_signature("d", "sha256")
    assert store.check_signature("d", "sha256")


def test_one_that_can_not_be_written_stays(tmp_path: Path) -> None:
    store = SharedSignatureStore(str(tmp_path / "db"))
    store.store_signature("d", "sha256")
    store._open().execute("UPDATE nbsignatures SET last_seen = '2001'")
    store._open().commit()
    store._open().execute("PRAGMA query_only = ON")
    assert store.check_signature("d", "sha256")
    store.store_signature("e", "sha256")
    assert store.check_signature("e", "sha256"), "trusted, though only here"
    assert not others_know(tmp_path, "e")
    assert store.flush()  # the connection is a new one, which may write
    assert others_know(tmp_path, "e")
    assert not (tmp_path / "db.bak").exists()


def test_a_full_disk_does_not_put_it_aside(tmp_path: Path) -> None:
    store = SharedSignatureStore(str(tmp_path / "db"))
    store.store_signature("d", "sha256")
    store._open().execute("PRAGMA max_page_count = 5")
    store.store_signature("e" * 100_000, "sha256")
    assert store.check_signature("d", "sha256")
    assert not others_know(tmp_path, "e" * 100_000)
    assert not (tmp_path / "db.bak").exists()


def test_one_that_is_locked_is_written_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signature_store, "TIMEOUT", 0.01)
    store, asked = waiting(tmp_path)
    holder = sqlite3.connect(tmp_path / "db")
    holder.execute("BEGIN EXCLUSIVE")
    store.store_signature("d", "sha256")
    assert not store.flush()
    assert store.check_signature("d", "sha256")
    holder.rollback()
    store.store_signature("e", "sha256")
    assert asked == [store, store], "it is asked for again after a failure"
    assert store.flush()
    assert others_know(tmp_path, "d")
    assert others_know(tmp_path, "e")


def test_the_oldest_go(tmp_path: Path) -> None:
    store = SharedSignatureStore(str(tmp_path / "db"), cache_size=8)
    for number in range(9):
        store.store_signature(f"d{number}", "sha256")
    assert not store.check_signature("d0", "sha256")
    assert store.check_signature("d8", "sha256")


def waiting(directory: Path) -> tuple[SharedSignatureStore, list[SharedSignatureStore]]:
    """A store that writes when it is told to, and how often it asked to be."""
    asked: list[SharedSignatureStore] = []
    return SharedSignatureStore(str(directory / "db"), asked.append), asked


def others_know(directory: Path, digest: str) -> bool:
    """Another process trusts it."""
    theirs = nbformat.sign.SQLiteSignatureStore(str(directory / "db"))
    found = theirs.check_signature(digest, "sha256")
    theirs.close()
    return bool(found)


def test_what_waits_is_trusted_here_and_then_everywhere(tmp_path: Path) -> None:
    store, asked = waiting(tmp_path)
    for digest in ("a", "b", "c"):
        store.store_signature(digest, "sha256")
    assert asked == [store], "once for all"
    assert store.check_signature("b", "sha256")
    assert not store.check_signature("b", "sha512")
    assert not others_know(tmp_path, "b")
    assert store.flush()
    assert all(others_know(tmp_path, digest) for digest in ("a", "b", "c"))
    store.store_signature("d", "sha256")
    assert asked == [store, store]
    store.close()
    assert others_know(tmp_path, "d")


def test_what_is_trusted_no_more_is_not_written(tmp_path: Path) -> None:
    store, _ = waiting(tmp_path)
    store.store_signature("a", "sha256")
    store.remove_signature("a", "sha256")
    assert not store.check_signature("a", "sha256")
    store.flush()
    assert not others_know(tmp_path, "a")


def test_what_waits_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signature_store, "MAX_WAITING", 2)
    store, _ = waiting(tmp_path)
    for digest in ("a", "b", "c"):
        store.store_signature(digest, "sha256")
    assert [store.check_signature(digest, "sha256") for digest in ("a", "b", "c")] == [False, True, True]


def test_what_waits_survives_a_database_that_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / "db").write_bytes(b"this is no database" * 100)
    store, _ = waiting(tmp_path)
    store.store_signature("a", "sha256")
    assert store.flush()
    assert others_know(tmp_path, "a")


def test_a_signature_that_is_seen_again_is_renewed(tmp_path: Path) -> None:
    store, _ = waiting(tmp_path)
    store.store_signature("a", "sha256")
    store.flush()
    store._open().execute("UPDATE nbsignatures SET last_seen = '2001'")
    store._open().commit()
    store.store_signature("a", "sha256")
    store.flush()
    rows = store._open().execute("SELECT last_seen FROM nbsignatures").fetchall()
    assert len(rows) == 1
    assert rows[0][0] > "2002"


class Reactor(MemoryReactorClock):  # type: ignore[misc]
    """Its calls from threads are made at once."""

    def callFromThread(self, function: Callable[..., Any], *args: Any) -> None:
        """Call it."""
        function(*args)


def test_one_timer_while_something_waits(tmp_path: Path) -> None:
    reactor = Reactor()
    commits = SignatureCommits(reactor, at_once)
    store = SharedSignatureStore(str(tmp_path / "db"), commits.wait)
    store.store_signature("a", "sha256")
    store.store_signature("b", "sha256")
    assert len(reactor.getDelayedCalls()) == 1
    reactor.advance(DELAY)
    assert others_know(tmp_path, "b")
    assert reactor.getDelayedCalls() == []
    store.store_signature("c", "sha256")
    assert len(reactor.getDelayedCalls()) == 1


def test_what_can_not_be_written_is_tried_again_until_it_is(tmp_path: Path) -> None:
    reactor = Reactor()
    commits = SignatureCommits(reactor, at_once)
    store = SharedSignatureStore(str(tmp_path / "db"), commits.wait)
    flush, refused = store.flush, [False, False]
    store.flush = lambda: refused.pop() if refused else flush()  # type: ignore[method-assign]
    store.store_signature("a", "sha256")
    reactor.advance(DELAY)
    reactor.advance(RETRY)
    assert not (tmp_path / "db").exists()
    reactor.advance(RETRY)
    assert others_know(tmp_path, "a")
    assert reactor.getDelayedCalls() == []


def test_a_new_signature_does_not_wait_for_the_next_try(tmp_path: Path) -> None:
    reactor = Reactor()
    commits = SignatureCommits(reactor, at_once)
    store = SharedSignatureStore(str(tmp_path / "db"), commits.wait)
    commits._watch(RETRY)
    store.store_signature("a", "sha256")
    reactor.advance(DELAY)
    assert others_know(tmp_path, "a")


def test_a_normal_stop_loses_nothing(tmp_path: Path) -> None:
    reactor = Reactor()
    commits = SignatureCommits(reactor, at_once)
    store = SharedSignatureStore(str(tmp_path / "db"), commits.wait)
    store.store_signature("a", "sha256")
    commits.stop()
    assert reactor.getDelayedCalls() == []
    store.store_signature("b", "sha256")  # a save that ends during the stop
    commits.close()
    assert others_know(tmp_path, "a")
    assert others_know(tmp_path, "b")
    store.store_signature("c", "sha256")  # and one that ends after it
    assert others_know(tmp_path, "c")
