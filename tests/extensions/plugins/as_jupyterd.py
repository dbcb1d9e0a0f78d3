"""A pytest plugin for other projects' own tests: whatever Jupyter server they start, it is jupyterd.

``pytest -p as_jupyterd``, with this directory on the path.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

SERVERS = {"lab", "notebook", "server", "jupyter_server", "jupyter-server", "jupyter-notebook", "jupyter-lab"}
START = subprocess.Popen.__init__


def translated(command: Any) -> Any:
    """The command that starts jupyterd in place of a Jupyter server; others as they are."""
    if not isinstance(command, (list, tuple)):
        return command
    words = [str(word) for word in command]
    if words[:2] == [sys.executable, "-m"]:
        words = words[2:]
    if words and words[0] == "jupyter":
        words = words[1:]
    if not words or words[0].rpartition("/")[2] not in SERVERS:
        return command
    return [sys.executable, "-m", "jupyterd", "--allow-root", *words[1:]]


def start(self: Any, args: Any, *rest: Any, **options: Any) -> None:
    START(self, translated(args), *rest, **options)


subprocess.Popen.__init__ = start  # type: ignore[method-assign]
