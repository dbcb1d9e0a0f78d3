"""JupyterLab's client library, run by node. ``NODE_PATH`` leads to ``@jupyterlab/services`` and ``ws`` (npm)."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conformance.servers import ENVIRONMENT
from tests.real.daemon import TOKEN, running

NODE_PATH = os.environ.get("NODE_PATH", "")
SCRIPT = Path(__file__).with_name("services.cjs")


@pytest.mark.skipif(shutil.which("node") is None, reason="no node")
@pytest.mark.skipif(
    not Path(NODE_PATH, "@jupyterlab/services").exists(), reason="NODE_PATH leads to no @jupyterlab/services"
)
def test_jupyterlabs_client_library(tmp_path: Path) -> None:
    with running(tmp_path, **ENVIRONMENT) as daemon:
        command = ["node", str(SCRIPT), f"http://127.0.0.1:{daemon.port}/", TOKEN]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, "\n".join(line for line in done.stdout.splitlines() if not line.startswith("ok"))
    assert done.stdout.count("ok ") == 22
