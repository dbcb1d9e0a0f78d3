"""What a user's own notebook is trusted by is on disk when the daemon has stopped, for every other Jupyter program."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import nbformat
from nbformat.sign import NotebookNotary

from tests.real.daemon import Daemon, running

OUTPUT = {"output_type": "display_data", "metadata": {}, "data": {"text/html": "<script>"}}
CELL = {"cell_type": "code", "id": "a", "source": "1", "outputs": [OUTPUT], "execution_count": 1}


def save(daemon: Daemon, path: str) -> None:
    content = {"cells": [{**CELL, "metadata": {"trusted": True}}], "metadata": {"path": path}}
    model = {"type": "notebook", "content": {**content, "nbformat": 4, "nbformat_minor": 5}}
    assert daemon.ask("PUT", f"/api/contents/{path}", model).status == 201


def trusted(daemon: Daemon, path: str) -> Any:
    content = daemon.json("GET", f"/api/contents/{path}")["content"]
    return content["cells"][0]["metadata"]["trusted"]


def nbformat_trusts(home: Path, path: str) -> bool:
    notary = NotebookNotary(data_dir=str(home / "data"))
    found = notary.check_signature(nbformat.read(home / "root" / path, as_version=4))
    notary.store.close()
    return bool(found)


def test_a_stop_right_after_a_save(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        save(daemon, "a.ipynb")
        assert trusted(daemon, "a.ipynb"), "at once"
        assert daemon.stop() == 0
    assert nbformat_trusts(tmp_path, "a.ipynb")


def test_a_kill_right_after_a_save(tmp_path: Path) -> None:
    """It may cost the trust, never the notebook, and nothing that was trusted before."""
    with running(tmp_path) as daemon:
        save(daemon, "a.ipynb")
        assert daemon.stop() == 0
    with running(tmp_path) as daemon:
        for number in range(20):
            save(daemon, f"b{number}.ipynb")
        assert daemon.stop(signal.SIGKILL) == -signal.SIGKILL
    assert all(json.loads((tmp_path / "root" / f"b{number}.ipynb").read_bytes()) for number in range(20))
    assert nbformat_trusts(tmp_path, "a.ipynb")
    with running(tmp_path) as daemon:
        assert trusted(daemon, "a.ipynb")
        save(daemon, "c.ipynb")
        assert trusted(daemon, "c.ipynb")
