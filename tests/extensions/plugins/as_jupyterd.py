"""A pytest plugin for other projects' own tests: whatever Jupyter server they start, it is jupyterd.

``pytest -p as_jupyterd``, with this directory on the path. Their tests have little patience with a first request: they
are told that the server has started when its extensions are there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any
from urllib.request import urlopen

from jupyterd.extension_host.shims import iri_grammar_late

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
    if words[1:2] == ["extension"]:
        return [sys.executable, "-m", "jupyterd", *words[1:]]
    return [sys.executable, "-m", "jupyterd", "--allow-root", *words[1:]]


def start(self: Any, args: Any, *rest: Any, **options: Any) -> None:
    command = translated(args)
    START(self, command, *rest, **options)
    if command is not args and "extension" not in command:
        await_extensions(command, options.get("env") or os.environ)


def await_extensions(command: list[str], env: Any) -> None:
    """Wait until all extensions are loaded, two minutes at most."""
    given = dict(word.lstrip("-").split("=", 1) for word in command if word.startswith("--") and "=" in word)
    given_token = [value for name, value in given.items() if name.endswith(".token")]
    token = given_token[0] if given_token else env.get("JUPYTER_TOKEN", "")
    port = given.get("port") or given.get("ServerApp.port")
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            with urlopen(f"http://127.0.0.1:{port}/api/extensions?token={token}", timeout=10) as answer:
                if json.load(answer)["host"]["state"] == "ready":
                    return
        except (OSError, ValueError, TypeError):
            pass
        time.sleep(0.3)


iri_grammar_late()  # they import jsonschema
subprocess.Popen.__init__ = start  # type: ignore[method-assign]
