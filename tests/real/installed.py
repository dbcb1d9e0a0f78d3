"""Programs of others, each in an environment of its own that is made once and used again.

They lie below ``JUPYTERD_TEST_CACHE`` (default: ``~/.cache/jupyterd-tests``).
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

CACHE = Path(os.environ.get("JUPYTERD_TEST_CACHE") or Path("~/.cache/jupyterd-tests").expanduser())
PATIENCE = 900
"""Seconds that an installation may take."""


def environment_of(name: str, *requirements: str) -> Path:
    """The directory of the commands of an environment with these packages; of several test runs one makes it."""
    place = CACHE / f"{name}-py{sys.version_info.major}.{sys.version_info.minor}"
    done = place / ".complete"
    told = "\n".join(requirements)
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{place.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists() or done.read_text() != told:
            shutil.rmtree(place, ignore_errors=True)
            _run(sys.executable, "-m", "venv", str(place))
            _run(str(place / "bin" / "pip"), "install", "-q", *requirements)
            done.write_text(told)
    return place / "bin"


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
