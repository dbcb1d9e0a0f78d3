"""A log file that somebody has moved is opened again; one that is in its place is moved by its own rotation."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from twisted.python.logfile import LogFile

from jupyterd.system.log_rotation import begin_anew, install, is_moved


def test_one_that_was_moved(tmp_path: Path) -> None:
    file = LogFile("log", str(tmp_path))
    file.write("one")
    os.rename(tmp_path / "log", tmp_path / "log-1")
    assert is_moved(file)
    begin_anew(file)
    file.write("two")
    assert not is_moved(file)
    assert ((tmp_path / "log").read_text(), (tmp_path / "log-1").read_text()) == ("two", "one")
    os.rename(tmp_path / "log", tmp_path / "log-2")
    (tmp_path / "log").touch()  # as logrotate's `create`
    assert is_moved(file)
    begin_anew(file)
    file.write("three")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "log-1", "log-2"]
    assert (tmp_path / "log").read_text() == "three"


def test_one_that_is_in_its_place(tmp_path: Path) -> None:
    file = LogFile("log", str(tmp_path))
    file.write("one")
    begin_anew(file)
    file.write("two")
    assert ((tmp_path / "log").read_text(), (tmp_path / "log.1").read_text()) == ("two", "one")


def test_it_is_done_at_a_signal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handlers: dict[int, Any] = {}
    monkeypatch.setattr(signal, "signal", handlers.__setitem__)
    calls: list[Any] = []
    install("file", lambda *call: calls.append(call))
    handlers[signal.SIGUSR1](signal.SIGUSR1, None)
    assert calls == [(begin_anew, "file")]
