"""Schemathesis against a running jupyterd: ``python -m tests.fuzz.api [seconds]``, by hand; needs schemathesis.

Asks every operation of our own API description with valid and invalid values. Wrong is: an unexpected exception, an
answer that is late, a daemon that has died, or that holds more descriptors than before. What ends the server is left
out.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.auth.test_real import TOKEN, daemon

ENDS_THE_SERVER = "/api/shutdown"
SEED = "20261123"


def main(seconds: str = "120") -> int:
    """Run; the exit status is schemathesis's."""
    home = Path(tempfile.mkdtemp(prefix="jupyterd-fuzz-"))
    culling = ("--MappingKernelManager.cull_idle_timeout=30", "--MappingKernelManager.cull_interval=10")
    with daemon(home, *culling) as server:
        before = _held(server.process.pid)
        command = [
            str(Path(sys.executable).parent / "schemathesis"), "run", "jupyterd/status/openapi.yaml",
            "--url", f"http://127.0.0.1:{server.port}", "-H", f"Authorization: token {TOKEN}",
            "--checks", "no_defect", "--max-time", seconds, "--request-timeout", "20", "--seed", SEED,
            "--exclude-path", ENDS_THE_SERVER, "--continue-on-failure", "--no-color", "--max-examples", "150",
            "--suppress-health-check", "all", "--warnings", "off",
        ]  # fmt: skip
        environment = {**os.environ, "SCHEMATHESIS_HOOKS": "tests.fuzz.checks"}
        status = subprocess.run(command, check=False, env=environment).returncode
        assert server.process.poll() is None, "the daemon has died"
        for _ in range(30):
            if _held(server.process.pid) <= before + 20:
                break
            time.sleep(2)
        tracebacks = server.log.count("Traceback")
        held = Counter(re.sub(r"\d+|/.*/", "", target) for target in _targets(server.process.pid))
        print(f"held: {dict(held)}")
        print(f"descriptors before {before}, after {_held(server.process.pid)}; tracebacks in the log: {tracebacks}")
        shutil.copy(home / "log", Path(tempfile.gettempdir()) / "jupyterd-fuzz.log")
    shutil.rmtree(home, ignore_errors=True)
    return status


def _held(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def _targets(pid: int) -> list[str]:
    return [os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")]


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
