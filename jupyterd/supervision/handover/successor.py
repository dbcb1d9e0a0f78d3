"""Successor's side of a takeover: it gets the listening sockets of the server before it, and tells it to go."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from twisted.logger import Logger

from jupyterd.keeper.start_keeper import SOCKET, KeeperGone, Line

ANSWER = 20.0
"""Seconds in which the server before it hands its sockets over."""

STDERR = "JUPYTERD_STDERR"
"""The variable with the descriptor of what is standard error once the takeover is certain."""


class CanNotTakeOver(Exception):
    """The server before it does not hand over; one line for a person."""


@dataclass(frozen=True)
class HandedOver:
    """A listening socket of the server before.

    :ivar endpoint: what it is of; empty where it is that of ``ip`` or ``sock``.
    :ivar path: of a UNIX socket that the server has made, and is to remove.
    """

    listening: socket.socket
    endpoint: str = ""
    path: str = ""


class Successor:
    """Takes over from the server that runs.

    :param candidates: gives the directories of servers' states that may be the one's, best first.
    :ivar path: that one's directory; None where there is none to take over from.
    """

    log = Logger()

    def __init__(self, candidates: Callable[[], Iterator[str]]) -> None:
        self._candidates = candidates
        self._line: Line | None = None
        self.path: str | None = None

    def sockets(self) -> list[HandedOver]:
        """Its listening sockets, both accept from them now; none where no server is there. Blocks.

        :raises CanNotTakeOver: it does not hand them over.
        """
        for path in self._candidates():
            with suppress(KeeperGone, OSError):
                line = Line(os.path.join(path, SOCKET), timeout=ANSWER)
                if line.ask("hello").get("busy"):
                    return self._ask(line, path)
                line.close()
        return []

    def _ask(self, line: Line, path: str) -> list[HandedOver]:
        try:
            answer: dict[str, Any] = line.ask("take_over")
        except KeeperGone as error:
            raise CanNotTakeOver(f"the server that runs does not hand over: {error}") from None
        if "error" in answer or not answer.get("busy"):
            line.close()
            raise CanNotTakeOver(f"the server that runs does not hand over: {answer.get('error', 'it is gone')}")
        self._line, self.path = line, path
        found = [socket.socket(fileno=fd) for fd in line.fds]
        for each in found:
            each.setblocking(False)
            each.set_inheritable(False)
        places = answer.get("places") or [("", "")] * len(found)
        return [HandedOver(each, *place) for each, place in zip(found, places, strict=True)]

    def go(self) -> None:
        """Tell it to go: all of this one is there."""
        if self._line is not None:
            with suppress(KeeperGone):
                self._line.ask("go")
            self._line.close()
            self._line = None
        fd = os.environ.pop(STDERR, "")
        if fd.isdecimal():
            os.dup2(int(fd), 2)
            os.close(int(fd))
