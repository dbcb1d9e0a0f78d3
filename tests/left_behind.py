"""Processes of ours that a run of the tests has left: whose command line or environment names a directory of it."""

from __future__ import annotations

import os
import re
import signal
import time
from contextlib import suppress
from pathlib import Path

PATIENCE = 30.0
"""Seconds in which what was told to end has ended, on a machine that has much else to do."""

OURS = re.compile(rb"(^|/|\0)jupyterd\0|jupyterd\.keeper|extension_host|ipykernel_launcher")
"""Servers, keepers, extension hosts and kernels, by their command lines."""


def left_behind(directory: Path, patience: float = PATIENCE) -> list[str]:
    """Those that do not end by themselves: their number and command line. They are ended then."""
    deadline = time.monotonic() + patience
    while (found := processes_of(directory)) and time.monotonic() < deadline:
        time.sleep(0.2)
    for pid in found:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return [f"{pid}: {command}" for pid, command in found.items()]


def processes_of(directory: Path) -> dict[int, str]:
    """Command lines by process number."""
    mark = f"{directory}/".encode()
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with suppress(OSError):
                command = (entry / "cmdline").read_bytes()
                if OURS.search(command) and (mark in command or mark in (entry / "environ").read_bytes()):
                    found[int(entry.name)] = command.replace(b"\0", b" ").decode(errors="replace")[:500]
    return found
