"""Servers that are gone and whose kernels are not: found by their keepers, and ended."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from jupyterd.keeper.start_keeper import SOCKET, KeeperGone, Line
from jupyterd.state.directory import all_of, lock

END_TIMEOUT = 15.0
"""Seconds that a keeper has to end all."""

LEFT = "Kernels and terminals whose server is gone; its next start finds them, `jupyterd stop` ends them:"


@dataclass(frozen=True)
class KeptServer:
    """One of them.

    :ivar path: the directory of its state.
    :ivar where: the port or socket that it was to have.
    :ivar children: the keeper's, those that run.
    """

    path: str
    root_dir: str
    where: str
    children: tuple[dict[str, Any], ...]

    def model(self) -> dict[str, Any]:
        """For programs."""
        kernels = sum(child["kind"] == "kernel" for child in self.children)
        counts = {"kernels": kernels, "terminals": len(self.children) - kernels}
        return {"running": False, "where": self.where, "root_dir": self.root_dir, **counts}

    def __str__(self) -> str:
        told = self.model()
        return f"{self.where} :: {self.root_dir} :: {told['kernels']} kernels, {told['terminals']} terminals"


def kept_servers(runtime_dir: str, where: str | None = None) -> list[KeptServer]:
    """All keepers that no daemon has, or those of the server that was on a port or socket."""
    found = []
    if where is not None and not where.isdecimal():
        where = os.path.abspath(where)
    for path, about in all_of(runtime_dir):
        with suppress(KeeperGone, OSError):
            line = Line(os.path.join(path, SOCKET), timeout=5.0)
            try:
                hello = line.ask("hello")
            finally:
                line.close()
            children = tuple(child for child in hello.get("children", ()) if child["running"])
            if not hello.get("busy", True) and children and where in (None, str(about.get("where", ""))):
                found.append(KeptServer(path, str(about.get("root_dir", "")), str(about.get("where", "")), children))
    return found


def end_kept(server: KeptServer) -> bool:
    """End a keeper and all that it keeps, and remove its state; whether it has ended."""
    try:
        line = Line(os.path.join(server.path, SOCKET), timeout=END_TIMEOUT)
        try:
            line.ask("end", children=True)
        finally:
            line.close()
    except (KeeperGone, OSError):
        return False
    deadline = time.monotonic() + END_TIMEOUT
    while os.path.exists(os.path.join(server.path, SOCKET)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    with suppress(OSError):
        if (fd := lock(server.path)) is not None:
            with suppress(OSError):
                shutil.rmtree(os.readlink(os.path.join(server.path, "sockets")), ignore_errors=True)
            _remove_connection_files(server)
            shutil.rmtree(server.path, ignore_errors=True)
            os.close(fd)
    return True


def _remove_connection_files(server: KeptServer) -> None:
    for child in server.children:
        name = child["name"].removeprefix("kernel:")
        with suppress(OSError):
            os.unlink(os.path.join(os.path.dirname(server.path), f"kernel-{name}.json"))
