"""Processes that carry a mark in their environment: what a process has started, whatever group it is in now."""

from __future__ import annotations

import os
import signal

MARK = "JUPYTERD_EXTENSION_HOST"
"""The environment variable; its value is another one for each run."""


def kill_marked(mark: str) -> int:
    """Kill all of this user's processes that have the mark, but for this one; blocks.

    :param mark: the value of :data:`MARK`.
    :returns: how many were killed; none where the system has no ``/proc``.
    """
    wanted = f"{MARK}={mark}".encode()
    killed = 0
    try:
        names = os.listdir("/proc")
    except OSError:
        return 0
    for name in names:
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                marked = wanted in file.read().split(b"\0")
            if marked:
                os.kill(int(name), signal.SIGKILL)
                killed += 1
        except OSError:
            continue  # another user's, or gone
    return killed
