"""A kernel's working directory: its notebook's, the nearest above it that exists, never one above the root."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyterd.kernels.working_directory import working_directory


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("", ""),
        ("/", ""),
        ("work", "work"),
        ("/work/", "work"),
        ("work/gone/a.ipynb", "work"),
        ("work/a.ipynb", "work"),
        ("gone/too", ""),
        ("..", ""),
        ("../other", ""),
        ("work/../..", ""),
    ],
)
def test_the_nearest_directory_that_exists(tmp_path: Path, path: str, found: str) -> None:
    root = tmp_path / "root"
    (root / "work").mkdir(parents=True)
    (root / "work" / "a.ipynb").touch()
    (tmp_path / "other").mkdir()
    assert working_directory(str(root), path) == str(root / found)
