"""Regular files are read whole, whatever their status says; nothing else is opened."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jupyterd.contents.files.os_errors import PermissionDenied
from jupyterd.contents.files.regular_files import read
from jupyterd.errors import Invalid


@pytest.mark.parametrize("size", [0, 1, 5000, 3 << 20])
def test_all_of_a_file(tmp_path: Path, size: int) -> None:
    path = tmp_path / "x"
    path.write_bytes(os.urandom(size))
    found = read(str(path), str(tmp_path))
    assert (found.data, found.status.st_size) == (path.read_bytes(), size)
    assert read(str(path), str(tmp_path), path.stat()).data == found.data


@pytest.mark.parametrize("path", ["/proc/self/status", "/proc/version"])
def test_a_file_whose_size_the_system_does_not_know(path: str) -> None:
    if not os.path.exists(path):
        pytest.skip("no /proc")
    assert os.stat(path).st_size == 0
    assert read(path, "/proc").data.endswith(b"\n")


def test_a_file_that_has_grown_since(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"one")
    before = path.stat()
    path.write_bytes(b"one and two")
    with monkeypatch.context() as patched:
        patched.setattr(os, "fstat", lambda fd: before)
        assert read(str(path), str(tmp_path)).data == b"one and two"


def test_a_file_that_has_become_something_else_since(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"1")
    known = os.stat(tmp_path / "x")
    (tmp_path / "x").unlink()
    os.mkfifo(tmp_path / "x")
    with pytest.raises(Invalid, match="Cannot read non-file"):
        read(str(tmp_path / "x"), str(tmp_path), known)
    with pytest.raises(Invalid, match="Cannot read non-file"):
        read(str(tmp_path / "x"), str(tmp_path))
    with pytest.raises(Invalid, match="Cannot read non-file"):
        read(str(tmp_path / "gone"), str(tmp_path), known)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read all")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "x").touch(0)
    with pytest.raises(PermissionDenied):
        read(str(tmp_path / "x"), str(tmp_path))
