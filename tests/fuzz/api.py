"""Schemathesis against a running jupyterd: ``python -m tests.fuzz.api [seconds]``, by hand; needs schemathesis.

Asks every operation of our own API description with valid and invalid values, as somebody known and as a stranger.
Wrong is: an answer of the 500s that is not meant (``deliberate.py``), an unexpected exception in the log, an answer
that is late, a daemon that has died, or that holds more descriptors than before. What ends the server is left out.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.auth.daemon_process import BEARER, Daemon, ask, daemon

ENDS_THE_SERVER = "/api/shutdown"
SEED = "20261123"
SPARE = 4  # descriptors: connections of the client that are about to close
TOLD_WITH_TRACEBACK = ("Error while saving file: ", "Error starting kernel: ")
"""Log lines whose traceback is for the operator: the request was answered as it is meant."""


def main(seconds: str = "120") -> int:
    """Run; the exit status is 0 where nothing is wrong."""
    home = Path(tempfile.mkdtemp(prefix="jupyterd-fuzz-"))
    with daemon(home) as server:
        _tidy(server, warm=True)
        before = _held(server)
        status = _schemathesis(server, seconds, BEARER["Authorization"]) or _schemathesis(server, "20", "token wrong")
        wrong = ["schemathesis"] if status else []
        if server.process.poll() is not None:
            return 1
        _tidy(server)
        end = time.monotonic() + 60
        while _held(server) > before + SPARE and time.monotonic() < end:
            time.sleep(1)
        if _held(server) > before + SPARE:
            wrong.append(f"descriptors: {before} before, {_held(server)} after: {_targets(server)}")
        wrong += [f"exception in the log: {line}" for line in unexpected(server.log)]
        shutil.copy(home / "log", Path(tempfile.gettempdir()) / "jupyterd-fuzz.log")
    shutil.rmtree(home, ignore_errors=True)
    print("\n".join(wrong) or f"nothing is wrong; descriptors before {before}")
    return 1 if wrong else 0


def _schemathesis(server: Daemon, seconds: str, authorization: str) -> int:
    command = [
        str(Path(sys.executable).parent / "schemathesis"), "run", "jupyterd/status/openapi.yaml",
        "--url", f"http://127.0.0.1:{server.port}", "-H", f"Authorization: {authorization}",
        "--checks", "no_defect", "--max-time", seconds, "--request-timeout", "20", "--seed", SEED,
        "--exclude-path", ENDS_THE_SERVER, "--continue-on-failure", "--no-color", "--max-examples", "150",
        "--suppress-health-check", "all", "--warnings", "off",
    ]  # fmt: skip
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "tests.fuzz.checks"}
    return subprocess.run(command, check=False, env=environment).returncode


def unexpected(log: str) -> list[str]:
    """What was logged with a traceback, and is not a refusal that the log explains."""
    lines = log.splitlines()
    told = [lines[number - 1] for number, line in enumerate(lines) if line.strip().startswith("Traceback") and number]
    return [line for line in told if not any(known in line for known in TOLD_WITH_TRACEBACK)]


def _tidy(server: Daemon, warm: bool = False) -> None:
    """End all kernels and terminals; ``warm`` starts one of each before, for what stays open from then on."""
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    kinds = ("kernels", "terminals")
    for kind in kinds:
        if warm:
            ask(client, f"/api/{kind}", "POST", b"{}", BEARER)
        for each in json.loads(ask(client, f"/api/{kind}", headers=BEARER).body):
            ask(client, f"/api/{kind}/{each.get('id') or each['name']}", "DELETE", None, BEARER)
    client.close()


def _held(server: Daemon) -> int:
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def _targets(server: Daemon) -> dict[str, int]:
    directory = f"/proc/{server.process.pid}/fd"
    names = (os.readlink(f"{directory}/{name}") for name in os.listdir(directory))
    return dict(Counter(re.sub(r"\d+|/.*/", "", name) for name in names))


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
