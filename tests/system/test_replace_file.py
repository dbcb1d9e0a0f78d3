"""Small files are the old ones or the new ones, and nothing else is left."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from jupyterd.system.replace_file import replace_file, written_aside


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)


def test_a_new_one_is_private_unless_it_is_for_all(tmp_path: Path) -> None:
    umask = os.umask(0o027)
    try:
        replace_file(str(tmp_path / "own"), "x")
        replace_file(str(tmp_path / "all"), b"y", mode=0o666)
    finally:
        os.umask(umask)
    assert (mode(tmp_path / "own"), mode(tmp_path / "all")) == (0o600, 0o640)
    assert (tmp_path / "all").read_bytes() == b"y"


def test_mode_and_link_stay_where_they_are_to_be_kept(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    (tmp_path / "a").chmod(0o644)
    (tmp_path / "link").symlink_to("a")
    replace_file(str(tmp_path / "link"), "new")
    assert (tmp_path / "link").is_symlink()
    assert (mode(tmp_path / "a"), (tmp_path / "a").read_text()) == (0o644, "new")
    replace_file(str(tmp_path / "link"), "other", keep=False)
    assert (mode(tmp_path / "link"), (tmp_path / "a").read_text()) == (0o600, "new")


def test_a_full_disk_leaves_the_old_one(tmp_path: Path, full: Any) -> None:
    (tmp_path / "a").write_text("old")
    for write in (replace_file, written_aside):
        with pytest.raises(OSError, match="No space"):
            write(str(tmp_path / "a"), "new")
    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "old"
