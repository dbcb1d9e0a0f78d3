"""Directories of settings that are the test's own."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest


@pytest.fixture
def as_anybody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Not root, with no settings of this machine."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr("jupyter_core.paths.SYSTEM_CONFIG_PATH", [str(tmp_path / "system")])
    monkeypatch.setattr("jupyter_core.paths.ENV_CONFIG_PATH", [])
    (tmp_path / "system").mkdir()


@pytest.fixture
def user(jupyter_home: Path) -> Path:
    """The user's configuration directory."""
    directory = jupyter_home / "config"
    directory.mkdir()
    return directory


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """One of the machine's."""
    return tmp_path / "system"


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """What the server's logger was told."""
    monkeypatch.setattr(logging.getLogger("ServerApp"), "handlers", [caplog.handler])
    return caplog
