"""Supervisors that know a server by its process number alone: they would lose it to a takeover.

Such a one sees its child end, and starts the server again beside the process that took over, or ends the container. So
there is no takeover below it: it has to restart the server itself, and kernels and terminals outlive that.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

SUPERVISORS = {
    "supervisord": "supervisord",
    "runsv": "runit",
    "s6-supervise": "s6",
    "supervise": "daemontools",
}
"""By the name of their program."""

INITS = frozenset({"tini", "tini-static", "docker-init", "dumb-init", "catatonit"})
"""First processes of containers, which end with their child."""


def command_of(pid: int) -> Sequence[str]:
    """The command line of a process; empty where it is not known. Source: proc(5)."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().decode("utf-8", "replace").split("\0")
    except OSError:
        return ()


def takeover_refusal(
    environment: Mapping[str, str],
    pid: int | None = None,
    parent: int | None = None,
    command_of: Callable[[int], Sequence[str]] = command_of,
) -> str:
    """Why no other process may take over from a server: whoever started it would lose it. Empty if one may.

    :param environment: the server's.
    :param pid: its number; this process's if None.
    :param parent: that of who started it.
    """
    pid = os.getpid() if pid is None else pid
    parent = os.getppid() if parent is None else parent
    begin = {os.path.basename(word).rpartition(".")[2] for word in command_of(parent)[:3]}  # behind an interpreter
    if pid == 1 or (parent == 1 and begin & INITS):
        return "the container would end with this process: restart the container"
    for program, name in SUPERVISORS.items():
        if program in begin:
            return f"{name} would lose the process that takes over: have it restart the server, kernels outlive that"
    if environment.get("SYSTEMD_EXEC_PID") == str(pid) and not environment.get("NOTIFY_SOCKET"):
        return "systemd is not told of the process that takes over: the unit needs Type=notify"
    return ""
