"""A lock is somebody's, nobody's, or not to be had."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from jupyterd.system.file_lock import locked_directory, try_lock


def no_locks(*args: Any) -> None:
    raise OSError(95, "Operation not supported")


def test_one_has_it_until_it_is_closed(tmp_path: Path) -> None:
    first = locked_directory(str(tmp_path), without_locks=False)
    assert first is not None
    assert locked_directory(str(tmp_path), without_locks=False) is None
    assert locked_directory(str(tmp_path), without_locks=True) is None
    os.close(first)
    second = locked_directory(str(tmp_path), without_locks=False)
    assert second is not None
    os.close(second)


def test_where_there_are_no_locks_nobody_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", no_locks)
    with (tmp_path / "file").open("w") as file:
        assert try_lock(file.fileno()) is None
    assert locked_directory(str(tmp_path), without_locks=False) is None
    fd = locked_directory(str(tmp_path), without_locks=True)
    assert fd is not None
    os.close(fd)


def test_a_link_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(OSError, match="link"):
        locked_directory(str(tmp_path / "link"), without_locks=True)
