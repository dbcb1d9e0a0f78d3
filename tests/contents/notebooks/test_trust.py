"""Signatures: nbformat's, from any thread; a broken store stops nothing."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbformat.sign import NotebookNotary

from jupyterd.contents.notebooks import signature_store, trust
from jupyterd.contents.notebooks.trust import make_notary

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


@pytest.mark.parametrize("breakage", ["garbage", "directory", "locked", "no secret"])
def test_whatever_happens_to_it_notebooks_are_saved_and_opened(
    client: Any, notebook: Callable[..., Any], data_dir: Path, breakage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signature_store, "TIMEOUT", 0.01)
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


def test_a_full_disk_leaves_no_half_a_secret(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        assert len(make_notary().secret) > 1000
    assert os.listdir(data_dir) == []
    (data_dir / "notebook_secret").touch()
    secret = make_notary().secret
    assert len(secret) > 1000
    assert (data_dir / "notebook_secret").read_bytes() == secret == make_notary().secret
    assert (data_dir / "notebook_secret").stat().st_mode & 0o777 == 0o600
