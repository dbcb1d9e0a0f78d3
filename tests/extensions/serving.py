"""A daemon with server extensions from the index, and what tests of them ask it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import websocket

from tests.extensions.environment import enabling_only
from tests.real.daemon import TOKEN, Daemon, running

QUERY = f"token={TOKEN}"


def started(home: Path, python: Path, *options: str, only: Sequence[str] | None = None) -> Any:
    """A daemon of an environment.

    :param only: the extensions that are enabled; by default all, as their packages enable themselves.
    """
    (home / "data").mkdir(parents=True)
    chosen = {} if only is None else enabling_only(home / "only", python, only)
    path = f"{python.parent}:{os.environ['PATH']}"
    argv = (str(python), "-m", "jupyterd")
    env = {"JUPYTER_NO_CONFIG": "", "PATH": path, **chosen}
    return running(home, "--ServerApp.extension_host_wait=180", *options, argv=argv, **env)


def git(directory: Path, *words: str) -> None:
    identity = ["-c", "user.email=a@b.c", "-c", "user.name=n", "-c", "init.defaultBranch=master"]
    subprocess.run(["git", *identity, *words], cwd=directory, check=True, capture_output=True)


def repository(daemon: Daemon, name: str) -> Path:
    place = daemon.root / name
    place.mkdir()
    git(place, "init")
    (place / "a.txt").write_text("a\n")
    git(place, "add", ".")
    git(place, "commit", "-m", "first")
    return place


def connect(daemon: Daemon, path: str, **options: Any) -> websocket.WebSocket:
    joined = "&" if "?" in path else "?"
    url = f"ws://127.0.0.1:{daemon.port}{path}{joined}{QUERY}"
    return websocket.create_connection(url, timeout=30, **options)
