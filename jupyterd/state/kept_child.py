"""Child of the keeper, as the daemon knows it: a kernel or a shell, its pipe, and how it ended."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from jupyterd.keeper.processes import signal_process
from jupyterd.keeper.wire import Message

EARLY = 8 * 1024
"""Bytes of a kernel's standard error that are kept until somebody takes them."""


class KeptChild:
    """A child of the keeper, as the daemon knows it.

    :ivar fd: its pipe or pseudo-terminal, ours to close; -1 where there is none. A kernel's is held so that the pipe
        outlives the keeper, and never read here.
    :ivar status: exit code, or minus the signal; None while it runs, and where nobody knows.
    :ivar tail: the last bytes of a kernel's standard error.
    """

    def __init__(self, model: Message, fd: int = -1) -> None:
        self.name: str = model["name"]
        self.kind: str = model["kind"]
        self.pid: int = model["pid"]
        self.started: int = model["started"]
        self.info: dict[str, Any] = model.get("info") or {}
        self.fd = fd
        self.running = True
        self.status: int | None = None
        self.tail = b""
        self._said: Callable[[bytes], None] | None = None
        self._early = b""
        self.screen: str | None = None
        self._ended: Callable[[], None] | None = None

    def on_end(self, ended: Callable[[], None] | None) -> None:
        """Who is told, once, when it has ended; at once if it has."""
        self._ended = ended
        if not self.running:
            self._tell()

    def hear(self, said: Callable[[bytes], None] | None) -> None:
        """Who is told of its standard error from now on, and at once of what came before anybody was."""
        self._said = said
        early, self._early = self._early, b""
        if said is not None and early:
            said(early)

    def wrote(self, data: bytes) -> None:
        """It wrote to its standard error."""
        if self._said is not None:
            self._said(data)
        else:
            self._early = (self._early + data)[-EARLY:]

    def end(self, status: int | None, tail: bytes) -> None:
        """It has ended."""
        if self.running:
            self.running = False
            self.status, self.tail = status, tail or self.tail
            self.close()
            self._tell()

    def _tell(self) -> None:
        ended, self._ended = self._ended, None
        if ended is not None:
            ended()

    def signal(self, number: int, group: bool) -> None:
        """Send it a signal.

        :raises ProcessLookupError: it is gone.
        """
        if not self.running:
            raise ProcessLookupError(f"process {self.pid} has ended")
        signal_process(self.pid, self.started, number, group)

    def close(self) -> None:
        """Let go of its pipe."""
        if self.fd >= 0 and self.kind == "kernel":
            os.close(self.fd)
            self.fd = -1
