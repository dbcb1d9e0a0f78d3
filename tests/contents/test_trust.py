"""Signatures: nbformat's, from any thread; a broken store stops nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbformat.sign import NotebookNotary

from jupyterd.contents import trust
from jupyterd.contents.trust import SharedSignatureStore, make_notary

RICH = {"output_type": "display_data", "metadata": {}, "data": {"text/html": "<b>"}}
text = st.text(st.characters(blacklist_categories=("Cs",)))
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), text),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(text, inner, max_size=3)),
    max_leaves=10,
)


@settings(deadline=None, max_examples=60)
@given(json_values, st.sampled_from(["a", "z"]))
def test_the_digest_is_nbformats(value: Any, key: str) -> None:
    nb = {
        "cells": [{"cell_type": "code", "metadata": {"v": value}, "source": "é", "outputs": [RICH]}],
        "metadata": {"signature": "old", "w": value},
        "nbformat": 4,
        "nbformat_minor": 4,
        key: value,
    }
    notary = NotebookNotary(data_dir="", secret=b"secret", store_factory=trust.MemorySignatureStore)
    assert trust.signature_of(nb, notary) == notary.compute_signature(nbformat.from_dict(nb))
    assert nb["metadata"]["signature"] == "old"


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.sampled_from(["code", "markdown"])), max_size=4))
def test_cells_are_judged_as_nbformat_does(told: list[tuple[bool, bool, str]]) -> None:
    cells = [
        {"cell_type": kind, "metadata": {"trusted": True} if marked else {}, "outputs": [RICH] if rich else []}
        for marked, rich, kind in told
    ]
    nb = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}
    other = nbformat.from_dict(nb)
    notary = NotebookNotary(data_dir="", secret=b"x", store_factory=trust.MemorySignatureStore)
    assert trust.all_cells_trusted(nb) == notary.check_cells(other)
    assert nb == other


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
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        store.store_signature("e", "sha256")
    assert store.check_signature("d", "sha256")
    assert not (tmp_path / "db.bak").exists()


def test_a_full_disk_does_not_put_it_aside(tmp_path: Path) -> None:
    store = SharedSignatureStore(str(tmp_path / "db"))
    store.store_signature("d", "sha256")
    store._open().execute("PRAGMA max_page_count = 5")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        store.store_signature("e" * 100_000, "sha256")
    assert store.check_signature("d", "sha256")
    assert not (tmp_path / "db.bak").exists()


def test_the_oldest_go(tmp_path: Path) -> None:
    store = SharedSignatureStore(str(tmp_path / "db"), cache_size=8)
    for number in range(9):
        store.store_signature(f"d{number}", "sha256")
    assert not store.check_signature("d0", "sha256")
    assert store.check_signature("d8", "sha256")


@pytest.mark.parametrize("breakage", ["garbage", "directory", "locked", "no secret"])
def test_whatever_happens_to_it_notebooks_are_saved_and_opened(
    client: Any, notebook: Callable[..., Any], data_dir: Path, breakage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trust, "TIMEOUT", 0.01)
    model = {"type": "notebook", "content": notebook("x")}
    holder = None
    if breakage == "garbage":
        (data_dir / "nbsignatures.db").write_bytes(b"garbage" * 1000)
    elif breakage == "directory":
        (data_dir / "nbsignatures.db").mkdir(parents=True)
    elif breakage == "locked":
        assert client.put("a.ipynb", model).status == 201
        holder = sqlite3.connect(data_dir / "nbsignatures.db")
        holder.execute("BEGIN EXCLUSIVE")
    else:
        (data_dir / "notebook_secret").mkdir()
    model["content"] = notebook("y")
    assert client.put("a.ipynb", model).status in (200, 201)
    assert client.get("a.ipynb")["content"]["cells"][0]["source"] == "y"
    if holder is not None:
        holder.close()


def test_trusted_when_saved_here_untrusted_when_changed_elsewhere(client: Any, notebook: Callable[..., Any]) -> None:
    nb = notebook("x")
    nb["cells"][0].update(outputs=[RICH], metadata={"trusted": True})
    client.put("a.ipynb", {"type": "notebook", "content": nb})
    trusted = client.get("a.ipynb")["content"]["cells"][0]["metadata"]
    path = client.root / "a.ipynb"
    path.write_text(path.read_text().replace("<b>", "<script>"))
    untrusted = client.get("a.ipynb")["content"]["cells"][0]["metadata"]
    assert (trusted, untrusted) == ({"trusted": True}, {"trusted": False})
    assert client.ask("POST", "/api/contents/a.ipynb/trust").status == 201
    assert client.get("a.ipynb")["content"]["cells"][0]["metadata"] == {"trusted": True}


def test_settings_of_the_notary_hold(tmp_path: Path) -> None:
    from traitlets.config import Config

    config = Config({"NotebookNotary": {"db_file": str(tmp_path / "mine.db"), "algorithm": "sha512"}})
    notary = make_notary(config=config)
    assert (notary.db_file, notary.algorithm) == (str(tmp_path / "mine.db"), "sha512")
