"""Environments with packages from the index, each built once and kept.

They lie in ``JUPYTERD_TEST_ENVIRONMENTS``, by default in the user's cache directory; a name holds a digest of what is
in them. ``uv`` builds them where it is there, else ``pip``.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
HOME = Path(os.environ.get("JUPYTERD_TEST_ENVIRONMENTS") or Path.home() / ".cache" / "jupyterd-tests")
COMMON = (
    "jupyter-archive", "jupyter-collaboration", "jupyter-lsp", "jupyter-resource-usage", "jupyter-server-fileid",
    "jupyter-server-proxy", "jupyterlab-code-formatter", "jupyterlab-git", "jupytext", "nbdime", "nbgitpuller",
    "black", "python-lsp-server", "ipykernel", "jupyterlab", "pytest", "pytest-asyncio", "pytest-timeout",
)  # fmt: skip
"""The eleven that are most often met, what they need to do something, and what runs their own tests."""
RARE = (
    "dask-labextension", "jupyter-fs", "jupyter-scheduler", "jupyter-server-nbmodel", "nbclassic", "voila",
    "ipykernel", "jupyterlab", "notebook",
)  # fmt: skip
"""Heavier ones; nbclassic has its own prefix beside Notebook 7 alone."""


def python_of(name: str, packages: Sequence[str]) -> Path:
    """The interpreter of an environment that has jupyterd and these packages; builds it the first time."""
    digest = hashlib.sha256("\n".join([sys.version, str(REPOSITORY), *sorted(packages)]).encode()).hexdigest()[:12]
    HOME.mkdir(parents=True, exist_ok=True)
    place = HOME / f"{name}-{digest}"
    python = place / "bin" / "python"
    with (HOME / f"{name}-{digest}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "complete").exists():
            shutil.rmtree(place, ignore_errors=True)
            _build(place, python, packages)
            (place / "complete").touch()
    return python


def _build(place: Path, python: Path, packages: Sequence[str]) -> None:
    wanted = ["-e", str(REPOSITORY), *packages]
    uv = shutil.which("uv")
    if uv:
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, place], check=True, timeout=120)
        command = [uv, "pip", "install", "--quiet", "--python", str(python), *wanted]
    else:
        subprocess.run([sys.executable, "-m", "venv", place], check=True, timeout=300)
        command = [str(python), "-m", "pip", "install", "--quiet", *wanted]
    subprocess.run(command, check=True, timeout=1200)
