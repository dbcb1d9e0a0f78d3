"""Environments with packages from the index, each built once and kept.

They lie in ``JUPYTERD_TEST_ENVIRONMENTS``, by default in the user's cache directory; a name holds a digest of what is
in them. ``uv`` builds them, which takes seconds once it has the packages; ``pip`` where it is not there.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from jupyterd.extensions.discovery import SERVED

REPOSITORY = Path(__file__).resolve().parents[2]
HOME = Path(os.environ.get("JUPYTERD_TEST_ENVIRONMENTS") or Path.home() / ".cache" / "jupyterd-tests")
COMMON = (
    "jupyter-archive", "jupyter-collaboration", "jupyter-lsp", "jupyter-resource-usage", "jupyter-server-fileid",
    "jupyter-server-proxy", "jupyterlab-code-formatter", "jupyterlab-git", "jupytext", "nbdime", "nbgitpuller",
)  # fmt: skip
"""The eleven that are most often met."""
RARE = (
    "dask-labextension", "jupyter-fs", "jupyter-mcp-server", "jupyter-scheduler", "jupyter-server-nbmodel", "nbclassic",
    "panel", "voila",
)  # fmt: skip
"""Heavier ones; nbclassic has its own prefix beside Notebook 7 alone."""
ALL = (
    *COMMON, *RARE,
    "black", "python-lsp-server", "pyflakes", "jupyterlab-lsp", "ipykernel", "jupyterlab", "notebook",
    "pytest", "pytest-asyncio", "pytest-timeout", "pip", "hatchling", "hatch-jupyter-builder", "jupyter-packaging",
    "pytest-rerunfailures",
)  # fmt: skip
"""Both, what they need to do something, and what fetches and runs their own tests."""
AI = ("jupyter-ai", "ipykernel", "jupyterlab")
"""What is published of it wants an older library than jupyter-mcp-server does, so that both can not be in one."""

COMPILED = {"PYTHONDONTWRITEBYTECODE": ""}
"""Lets Python keep what it compiles: uv compiles nothing, and each start would do it again."""


def enabled_in(python: Path) -> list[str]:
    """The server extensions that the packages of an environment have enabled."""
    found: dict[str, bool] = {}
    for file in sorted((python.parent.parent / "etc/jupyter/jupyter_server_config.d").glob("*.json")):
        found |= json.loads(file.read_text())["ServerApp"].get("jpserver_extensions", {})
    return [name for name, enabled in found.items() if enabled]


def enabling_only(place: Path, python: Path, names: Sequence[str]) -> dict[str, str]:
    """The variables with which all other extensions of an environment that need a host are switched off.

    :param place: a new directory for the configuration that does so.
    """
    off = {name: False for name in enabled_in(python) if name not in (*names, *SERVED)}
    (place / "jupyter_server_config.d").mkdir(parents=True)
    told = {"ServerApp": {"jpserver_extensions": off}}
    (place / "jupyter_server_config.d" / "only.json").write_text(json.dumps(told))
    return {"JUPYTER_CONFIG_PATH": str(place)}


def source_of(python: Path, package: str) -> Path:
    """The unpacked source distribution of the version that an environment has of a package; fetched once."""
    asked = f"import importlib.metadata as m; print(m.version({package!r}))"
    version = subprocess.run([python, "-c", asked], check=True, capture_output=True, text=True).stdout.strip()
    place = HOME / "sources" / f"{package}-{version}"
    place.parent.mkdir(parents=True, exist_ok=True)
    with (place.parent / f"{place.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            fetched = place.parent / f"{place.name}.fetched"
            shutil.rmtree(fetched, ignore_errors=True)
            # The package's description is made by a program of its own, which is in the environment already.
            command = [python, "-m", "pip", "download", "--quiet", "--no-deps", "--no-build-isolation"]
            command += [f"--no-binary={package}", f"--dest={fetched}", f"{package}=={version}"]
            subprocess.run(command, check=True, timeout=120)
            (archive,) = fetched.iterdir()
            shutil.unpack_archive(archive, fetched / "unpacked", filter="data")
            (unpacked,) = (fetched / "unpacked").iterdir()
            unpacked.rename(place)
    return place


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
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if uv:
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, place], check=True, timeout=120)
        command = [uv, "pip", "install", "--quiet", "--python", str(python), *wanted]
    else:
        subprocess.run([sys.executable, "-m", "venv", place], check=True, timeout=300)
        command = [str(python), "-m", "pip", "install", "--quiet", *wanted]
    subprocess.run(command, check=True, timeout=1200)
