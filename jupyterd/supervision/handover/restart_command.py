"""Restart of a server without a gap: it is asked to, and it is told what came of it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from jupyterd.keeper.processes import start_time
from jupyterd.state.directory import all_of
from jupyterd.supervision.handover.predecessor import FAILED

TAKEOVER_TIMEOUT = 120.0
"""Seconds in which another process takes over."""


FINDING = 45.0
"""Seconds of them, once the server has ended, in which the other process finds what it left."""


class RestartFailed(Exception):
    """The server serves on as it was; one line for a person."""


def restart_server(
    server: dict[str, Any], servers: Callable[[], list[dict[str, Any]]], runtime_dir: str
) -> dict[str, Any]:
    """Have another process take over from a server; what that says of itself. Blocks.

    :param server: one of those that :func:`~jupyterd.supervision.running_servers.list_running_servers` gives.
    :param servers: gives them again.
    :raises RestartFailed: it does not come about.
    """
    pid = int(server["pid"])
    if not hears(pid):
        raise RestartFailed("it has no keeper that kernels could be left to: stop it and start it again")
    for path in _told(runtime_dir, pid):
        with suppress(OSError):
            os.unlink(path)
    os.kill(pid, signal.SIGUSR2)
    deadline, gone = time.monotonic() + TAKEOVER_TIMEOUT, False
    while time.monotonic() < deadline:
        time.sleep(0.1)
        for each in servers():
            if each["pid"] != pid and (each.get("sock"), each["port"]) == (server.get("sock"), server["port"]):
                return each
        for path in _told(runtime_dir, pid):
            with suppress(OSError), open(path, encoding="utf-8") as file:
                raise RestartFailed(file.read().strip() or "the new process ended")
        if not gone and start_time(pid) is None:
            gone, deadline = True, min(deadline, time.monotonic() + FINDING)
    if gone:
        raise RestartFailed("the server ended, and no other process took over")
    raise RestartFailed(f"no other process took over within {TAKEOVER_TIMEOUT:g} seconds")


def hears(pid: int) -> bool:
    """Whether a process does something of its own at SIGUSR2, which ends others. Source: proc(5)."""
    with suppress(OSError, ValueError), open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("SigCgt:"):
                return bool(int(line.split()[1], 16) >> (signal.SIGUSR2 - 1) & 1)
    return False


def _told(runtime_dir: str, pid: int) -> list[str]:
    """Where a server says why its restart failed."""
    return [os.path.join(path, FAILED) for path, told in all_of(runtime_dir) if told.get("pid") == pid]
