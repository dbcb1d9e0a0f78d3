"""Foreign programs, each in an environment of its own: nothing of them is installed beside the daemon.

They are installed once, below ``JUPYTERD_TEST_CACHE`` (default: ``~/.cache/jupyterd-tests``), and used again.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

CACHE = Path(os.environ.get("JUPYTERD_TEST_CACHE") or Path("~/.cache/jupyterd-tests").expanduser())
HOUSE = Path(__file__).resolve().parent.parent.parent
PATIENCE = 900
"""Seconds that an installation may take."""


def hub(version: str) -> Path:
    """The directory of the commands of a JupyterHub of this version (``5``, ``4.1``)."""
    return _python(f"jupyterhub-{version}", "jupyterhub", f"jupyterhub=={version}.*", "jupyterhub-idle-culler")


def spawners() -> Path:
    """The directory of the commands of a JupyterHub with spawners for Docker, systemd and Kubernetes."""
    spawners = ("dockerspawner", "jupyterhub-systemdspawner", "jupyterhub-kubespawner")
    return _python("spawners", "jupyterhub", "jupyterhub==5.*", *spawners)


def enterprise_gateway() -> Path:
    """The directory of the commands of Jupyter Enterprise Gateway, which wants an old jupyter_client and ipykernel."""
    needed = ("jupyter_enterprise_gateway>=3.3", "jupyter_client<7", "ipykernel<7", "pyzmq<25")
    return _python("enterprise-gateway", "jupyter-enterprisegateway", *needed)


def gateway_provisioners() -> Path:
    """The directory of the commands of gateway_provisioners, with jupyterd from this checkout beside them."""
    return _python("gateway-provisioners", "jupyter-ssh-spec", "-e", str(HOUSE), "gateway_provisioners", "ipykernel")


def _python(name: str, command: str, *packages: str) -> Path:
    place = CACHE / f"{name}-py{sys.version_info.major}.{sys.version_info.minor}"

    def install() -> None:
        _run(sys.executable, "-m", "venv", str(place))
        _run(str(place / "bin" / "pip"), "install", "-q", *packages)

    return _installed(place, place / "bin" / command, install) / "bin"


def proxy() -> Path:
    """The command of configurable-http-proxy.

    Skips the test on a machine without Node.js.
    """
    if shutil.which("npm") is None:
        pytest.skip("configurable-http-proxy needs Node.js with npm")
    place = CACHE / "configurable-http-proxy"
    command = place / "node_modules" / ".bin" / "configurable-http-proxy"

    def install() -> None:
        place.mkdir(parents=True, exist_ok=True)
        quiet = ("--silent", "--no-audit", "--no-fund")
        node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
        major = "5" if int(node.lstrip("v").partition(".")[0]) >= 20 else "4"  # the newest that runs on this Node.js
        _run("npm", "install", *quiet, "--prefix", str(place), f"configurable-http-proxy@{major}")

    _installed(place, command, install)
    return command


def _installed(place: Path, command: Path, install: Callable[[], None]) -> Path:
    """Install what is not there; of several test runs one does it, and one that was cut short is done again."""
    CACHE.mkdir(parents=True, exist_ok=True)
    done = place / ".complete"
    with (CACHE / f"{place.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (done.exists() and command.exists()):
            shutil.rmtree(place, ignore_errors=True)
            install()
            done.touch()
    return place


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
