"""What finds processes that tests have left."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.left_behind import left_behind

pytestmark = pytest.mark.real


@pytest.mark.parametrize("by", ["command line", "environment"])
def test_a_process_of_a_directory_is_found_and_ended(tmp_path: Path, by: str) -> None:
    argument = f"{tmp_path}/x" if by == "command line" else "x"
    env = {"HOME": f"{tmp_path}/x"} if by == "environment" else {}
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "jupyterd", argument], env=env)
    assert left_behind(tmp_path.parent / f"{tmp_path.name}-another", 0.0) == []
    other = subprocess.Popen(["sleep", "600"], env=env)
    (found,) = left_behind(tmp_path, 0.3)
    other.kill()
    other.wait()
    assert found.startswith(f"{process.pid}: ")
    assert process.wait(30) == -9
    assert left_behind(tmp_path, 0.0) == []
