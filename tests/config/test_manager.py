"""Which directories sections are read from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jupyterd.config import ConfigManager
from jupyterd.config.manager import read_nbconfig


def test_a_manager_of_somebody_s_own_is_left_alone() -> None:
    read_nbconfig(object())


def test_sections_of_the_classic_notebook_come_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jupyterd.config.manager.jupyter_config_path", lambda: [str(tmp_path)])
    (tmp_path / "nbconfig" / "notebook.d").mkdir(parents=True)
    (tmp_path / "serverconfig").mkdir()
    (tmp_path / "nbconfig" / "notebook.d" / "w.json").write_text(json.dumps({"load_extensions": {"w": True}, "a": 1}))
    (tmp_path / "serverconfig" / "notebook.json").write_text(json.dumps({"a": 2}))
    manager = ConfigManager()
    assert manager.get("notebook") == {"a": 2}
    read_nbconfig(manager)
    assert manager.get("notebook") == {"a": 2, "load_extensions": {"w": True}}
