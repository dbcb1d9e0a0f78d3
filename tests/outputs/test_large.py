"""Large outputs are written by the child process, as large notebooks are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jupyterd.contents import service
from jupyterd.contents.operations import Query
from tests.outputs.daemon_in_memory import Kit, Page, cell, done

pytestmark = pytest.mark.slow


@pytest.fixture
def kit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kit:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(service, "LARGE", 10_000)
    made = Kit(tmp_path)
    made.put(cell("c1"), cell("c2"))
    return made


def test_written_opened_and_saved_by_a_stale_page_through_the_child(kit: Kit, tmp_path: Path) -> None:
    page = Page(kit, "one")
    header = page.run("c1")
    page.leave()
    kit.ran(header, "x" * 30_000)
    kit.pass_time(70)
    assert kit.disk()[0] == (1, ["x" * 30_000])
    assert kit.contents.worker._process is not None, "it was the child"
    answer = done(kit.contents.get("a.ipynb", Query()))
    assert isinstance(answer, service.FileAnswer)
    assert '"jupyterd_outputs"' in Path(answer.os_path).read_text()
    content = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell("c1"), cell("c2", "edited")]}
    body = tmp_path / "body"
    body.write_text(json.dumps({"type": "notebook", "format": "json", "content": content}))
    done(kit.contents.put_spooled("a.ipynb", str(body), None))
    assert kit.disk() == [(1, ["x" * 30_000]), (None, [])]
    kit.contents.worker.close()
