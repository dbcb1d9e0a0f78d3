"""Other projects' own tests of their server extensions: whatever Jupyter server they start is jupyterd."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.extensions.environment import ALL, COMPILED, enabling_only, python_of, source_of
from tests.real.daemon import free_port

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]
PLUGINS = Path(__file__).parent / "plugins"


def run(home: Path, extension: str, *words: str) -> str:
    """Run them with that extension alone; the last line that pytest says."""
    (home / ".gitconfig").write_text("[user]\nname = n\nemail = a@b.c\n[init]\ndefaultBranch = master\n")
    (home / "pytest.ini").write_text("[pytest]\n")  # theirs asks for plugins that measure coverage
    python = python_of("all", ALL)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JUPYTER")}
    path = f"{python.parent}:{os.environ['PATH']}"
    env = {**kept, "HOME": str(home), "PYTHONPATH": str(PLUGINS), "PATH": path, "TEST_PORT": str(free_port())}
    env |= COMPILED | enabling_only(home / "only", python, [extension])
    command = [str(python), "-m", "pytest", "-q", "-p", "as_jupyterd", "-p", "no:cacheprovider", "--reruns=2"]
    command += ["-c", str(home / "pytest.ini"), "-o", "timeout_func_only=true", *words]
    done = subprocess.run(command, cwd=home, env=env, check=False, timeout=580, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-10_000:]
    return done.stdout.strip().splitlines()[-1]


def test_nbdime(tmp_path: Path) -> None:
    told = run(tmp_path, "nbdime", "--pyargs", "nbdime.tests.test_server_extension", "-k", "jupyter_server")
    assert told.startswith("10 passed"), told


def test_jupyter_server_proxy(tmp_path: Path) -> None:
    tests = source_of(python_of("all", ALL), "jupyter-server-proxy") / "tests" / "test_proxies.py"
    told = run(tmp_path, "jupyter_server_proxy", str(tests), "-o", "asyncio_mode=auto")
    assert int(told.split()[0]) >= 2 * 55, told  # each with two commands that start a server


def test_nbgitpuller(tmp_path: Path) -> None:
    tests = source_of(python_of("all", ALL), "nbgitpuller") / "tests" / "test_api.py"
    told = run(tmp_path, "nbgitpuller", str(tests))
    assert int(told.split()[0]) >= 2 * 5, told
