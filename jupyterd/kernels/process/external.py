"""External kernels, which others started and whose connection files lie in a directory: listed, used, never stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from twisted.logger import Logger

from jupyterd.errors import Failed
from jupyterd.system.threads import InThread


class ExternalProcess:
    """A kernel that is not ours.

    :param connection: its connection file's content.
    :param ask: sends a request on its control channel.
    """

    owned = False
    autorestart = False
    shutdown_wait_time = 0.0

    def __init__(self, connection: Mapping[str, Any], ask: Callable[[str, dict[str, Any]], None]) -> None:
        self.connection_info = {**connection, "key": str(connection["key"]).encode()}
        self.name = str(connection["kernel_name"])
        self.metadata: Mapping[str, Any] = {}
        self._ask = ask

    def resolve_path(self, path: str) -> str | None:
        """Where it runs is not known."""
        return None

    def update_env(self, env: Mapping[str, str], cwd: str | None = None) -> None:
        """It is never started by us."""

    def prepare(self) -> None:
        """It is never started by us."""

    async def start(self) -> None:
        """It runs already."""

    def retry(self, death: Any) -> bool:
        """It is never started by us."""
        return False

    async def restart(self, *, now: bool, new_ports: bool = False) -> None:
        """It can not be started again from here.

        :raises Failed: always.
        """
        raise Failed("An external kernel can not be restarted from here")

    async def stop(self, *, now: bool = False) -> None:
        """It is let go, not stopped."""

    async def interrupt(self) -> None:
        """Ask it by message: we have no process to signal."""
        self._ask("interrupt_request", {})


class ExternalKernels:
    """Which connection files lie in a directory, and the kernels they became.

    :param adopt: makes a kernel of a connection file's content; gives its id.
    :param let_go: forgets a kernel, by its id.
    """

    log = Logger()

    def __init__(
        self,
        directory: str,
        in_thread: InThread,
        adopt: Callable[[Mapping[str, Any]], str],
        let_go: Callable[[str], Awaitable[None]],
    ) -> None:
        self._directory = directory
        self._in_thread = in_thread
        self._adopt = adopt
        self._let_go = let_go
        self._known: dict[str, str] = {}
        self._refused: dict[str, Any] = {}

    async def look(self) -> None:
        """Adopt the kernels whose files are new, let go of those whose files are gone."""
        found = await self._in_thread(read_directory, self._directory)
        self._refused = {path: info for path, info in self._refused.items() if found.get(path) == info}
        for path in found.keys() - self._known.keys() - self._refused.keys():
            try:
                self._known[path] = self._adopt(found[path])
            except Exception as error:  # noqa: BLE001 - whatever lies there, the other kernels are listed
                self._refused[path] = found[path]
                self.log.warn("{path} is no usable connection file: {error}", path=path, error=error)
        for path in self._known.keys() - found.keys():
            if (kernel_id := self._known.pop(path, None)) is not None:  # another look may have been quicker
                await self._let_go(kernel_id)


def read_directory(path: str) -> dict[str, dict[str, Any]]:
    """The connection files in a directory, by their path; blocks. Whatever else lies there is passed over."""
    found: dict[str, dict[str, Any]] = {}
    try:
        entries = list(os.scandir(path))
    except OSError:
        return found
    for entry in entries:
        if not entry.is_file():
            continue
        try:
            with open(entry.path, encoding="utf-8") as file:
                info = json.load(file)
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(info, dict) and "kernel_name" in info and "key" in info:
            found[entry.path] = info
    return found
