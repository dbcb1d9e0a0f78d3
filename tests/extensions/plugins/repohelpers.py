"""Repositories for nbgitpuller's tests, which import them from here: their source distribution comes without them."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any


class Remote:
    """A bare repository in a temporary directory."""

    def __init__(self) -> None:
        self._place = tempfile.TemporaryDirectory()
        self.path = self._place.name

    def __enter__(self) -> Remote:
        run(self.path, "init", "--quiet", "--bare", "--initial-branch=master")
        return self

    def __exit__(self, *_: Any) -> None:
        self._place.cleanup()


class Pusher:
    """A clone that pushes."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._place = tempfile.TemporaryDirectory()
        self.path = self._place.name

    def __enter__(self) -> Pusher:
        run(self.path, "clone", "--quiet", self._remote.path, ".")
        return self

    def __exit__(self, *_: Any) -> None:
        self._place.cleanup()

    def push_file(self, path: str, content: str) -> None:
        Path(self.path, path).write_text(content)
        run(self.path, "add", path)
        run(self.path, "-c", "user.name=n", "-c", "user.email=a@b.c", "commit", "--quiet", "-m", "a file")
        run(self.path, "push", "--quiet", "origin", "master")


def run(place: str, *words: str) -> None:
    subprocess.run(["git", *words], cwd=place, check=True)
