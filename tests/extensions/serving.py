"""A daemon with server extensions from the index, and what tests of them ask it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import websocket

from tests.extensions.environment import COMPILED, enabling_only
from tests.real.daemon import TOKEN, Daemon, running, until

QUERY = f"token={TOKEN}"
EXPOSED = "--LabApp.expose_app_in_browser=True"
"""Scripts in the page can ask JupyterLab to open a file."""
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}


def started(home: Path, python: Path, *options: str, only: Sequence[str] | None = None) -> Any:
    """A daemon of an environment.

    :param only: the extensions that are enabled; by default all, as their packages enable themselves.
    """
    (home / "data").mkdir(parents=True)
    chosen = {} if only is None else enabling_only(home / "only", python, only)
    path = f"{python.parent}:{os.environ['PATH']}"
    argv = (str(python), "-m", "jupyterd")
    env = {"JUPYTER_NO_CONFIG": "", "PATH": path, **COMPILED, **chosen}
    return running(home, "--ServerApp.extension_host_wait=180", *options, argv=argv, **env)


def ready(daemon: Daemon) -> dict[str, Any]:
    """All extensions are loaded, and none has failed."""
    daemon.ask("GET", "/lab", timeout=200)  # which waits for them

    def told() -> Any:
        found = daemon.json("GET", "/api/extensions")
        return found if found["host"]["state"] == "ready" else None

    found: dict[str, Any] = until(told, 180, "the host is not ready")
    assert [(each["name"], each["error"]) for each in found["extensions"] if each["error"]] == [], daemon.log[-3000:]
    return found


def hosted_in(told: dict[str, Any]) -> set[str]:
    """The names of the extensions that a host runs, of what ``/api/extensions`` tells."""
    return {each["name"] for each in told["extensions"] if each["how"] == "host"}


def git(directory: Path, *words: str) -> None:
    identity = ["-c", "user.email=a@b.c", "-c", "user.name=n", "-c", "init.defaultBranch=master"]
    subprocess.run(["git", *identity, *words], cwd=directory, check=True, capture_output=True)


def new_directory(daemon: Daemon, name: str) -> Path:
    """An empty one, at a second try too."""
    place = daemon.root / name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    return place


def repository(daemon: Daemon, name: str) -> Path:
    """A new one with a file and a commit."""
    place = new_directory(daemon, name)
    git(place, "init")
    git(place, "config", "user.name", "n")
    git(place, "config", "user.email", "a@b.c")
    (place / "a.txt").write_text("a\n")
    git(place, "add", ".")
    git(place, "commit", "-m", "first")
    return place


def write_notebook(daemon: Daemon, path: str, *sources: str) -> None:
    empty = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    cells = [{**empty, "id": f"c{number}", "source": source} for number, source in enumerate(sources)]
    book = {"cells": cells, "metadata": KERNEL, "nbformat": 4, "nbformat_minor": 5}
    daemon.json("PUT", f"/api/contents/{path}", {"type": "notebook", "content": book})


def kernels_of(daemon: Daemon) -> set[str]:
    return {kernel["id"] for kernel in daemon.json("GET", "/api/kernels")}


@contextmanager
def new_kernels(daemon: Daemon) -> Iterator[Callable[[], set[str]]]:
    """Tells which kernels there are that were not there at the beginning; at the end they are ended."""
    before = kernels_of(daemon)

    def new() -> set[str]:
        return kernels_of(daemon) - before

    try:
        yield new
    finally:
        for kernel in new():
            daemon.ask("DELETE", f"/api/kernels/{kernel}")


def connect(daemon: Daemon, path: str, **options: Any) -> websocket.WebSocket:
    joined = "&" if "?" in path else "?"
    url = f"ws://127.0.0.1:{daemon.port}{path}{joined}{QUERY}"
    return websocket.create_connection(url, timeout=30, **options)
