"""Environments of the peers: one virtual environment each, made once, below ``$XDG_CACHE_HOME/jupyterd-benchmarks``.

jupyterd is installed from this checkout, its peers from the package index. An environment is made anew when what it
should hold has changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

HOUSE = Path(__file__).resolve().parent.parent
PEERS: dict[str, tuple[str, ...]] = {
    "jupyterd": (f"{HOUSE}[lab]", "notebook>=7.2"),
    "reference": ("jupyter_server", "jupyterlab>=4.4", "notebook>=7.2", "ipykernel>=6.30"),
    "jupyverse": ("jupyverse[noauth,jupyterlab]", "ipykernel>=6.30"),
}
DRIVER = ("pyzmq", "playwright")
"""What the program that measures needs: the bench kernel and the relay speak ZeroMQ, ``lab`` drives Chromium."""


def cache() -> Path:
    """Where the environments are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base, "jupyterd-benchmarks")


def requirements(name: str) -> tuple[str, ...]:
    """What pip is asked for."""
    return DRIVER if name == "driver" else PEERS[name]


def stamp(name: str) -> str:
    """What an environment should hold: its requirements, this Python, and for jupyterd the checkout's files."""
    digest = hashlib.sha256(repr((requirements(name), sys.version)).encode())
    if name == "jupyterd":
        for path in sorted([*HOUSE.glob("jupyterd/**/*.py"), HOUSE / "setup.cfg"]):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def ensure(name: str) -> Path:
    """The virtual environment of a peer; made where it is missing or old.

    :raises subprocess.CalledProcessError: it can not be made; pip has said why.
    """
    venv, note = cache() / name, cache() / f"{name}.stamp"
    wanted = stamp(name)
    if venv.exists() and note.exists() and note.read_text() == wanted:
        return venv
    print(f"[environments] {name}: {', '.join(requirements(name))}", file=sys.stderr, flush=True)
    if not (name == "jupyterd" and venv.exists()):  # ours changes often, what it needs does not
        shutil.rmtree(venv, ignore_errors=True)
        venv.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    pip = [str(venv / "bin/python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, *requirements(name)], check=True)
    if name == "jupyterd":
        subprocess.run([*pip, "--force-reinstall", "--no-deps", str(HOUSE)], check=True)
    note.write_text(wanted)
    return venv


def drive(module: str) -> None:
    """Go on in an environment that has what measuring needs; returns where this one has it already."""
    if find_spec("zmq") and find_spec("playwright"):
        return
    python = str(ensure("driver") / "bin/python")
    os.execv(python, [python, "-m", module, *sys.argv[1:]])


def versions(venv: Path) -> dict[str, str]:
    """Distribution → version of what matters in an environment."""
    names = ("jupyterd", "jupyter_server", "jupyverse", "tornado", "twisted", "pyzmq", "jupyterlab", "ipykernel")
    code = (
        "import sys, json, importlib.metadata as m\nfound = {}\n"
        "for name in sys.argv[1:]:\n    try: found[name] = m.version(name)\n    except m.PackageNotFoundError: pass\n"
        "print(json.dumps(found))"
    )
    python = [str(venv / "bin/python"), "-I", "-c", code]
    done = subprocess.run([*python, *names], capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(done.stdout)
    return found
