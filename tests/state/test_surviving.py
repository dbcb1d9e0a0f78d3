"""What outlives a daemon beside its state file: how the last children of its keeper ended."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet.task import Clock

from jupyterd.keeper.server import _write_json
from jupyterd.keeper.wire import ENDED
from jupyterd.state.directory import StateDirectory
from jupyterd.state.surviving import Kept

MODEL = {"name": "kernel:k", "kind": "kernel", "pid": 5, "started": 6, "running": False, "status": -9, "tail": "x"}


def kept(home: Path) -> Kept:
    return Kept(Clock(), StateDirectory(str(home), "/root", "8888", lambda: 8888), [str(home)])


def test_how_the_last_children_ended_is_told_once(tmp_path: Path) -> None:
    made = kept(tmp_path)
    _write_json(made.directory.join(ENDED), [MODEL])
    assert made.ended() == [MODEL]
    assert made.ended() == []


@pytest.mark.parametrize("text", ["", "[", "5", "null", '{"name": "k"}', '[5, null, {"name": "k"}]', "\xff"])
def test_what_is_no_such_file_tells_nothing(tmp_path: Path, text: str) -> None:
    made = kept(tmp_path)
    Path(made.directory.join(ENDED)).write_bytes(text.encode("latin-1"))
    assert made.ended() == []
