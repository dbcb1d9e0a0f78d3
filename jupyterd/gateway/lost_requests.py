"""Lost requests: what a lost connection may have swallowed, found out on the next one, answered with an error.

A connection may be dead for a while before anybody notices. What was sent in that time is neither known to have
arrived, nor could it be sent again: it would run twice. The kernel handles its shell channel in order, so when a
request that was sent later is answered, one of which nothing was heard has not arrived.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jupyterd.kernels.messages.server_session import ServerSession
from jupyterd.kernels.messages.websocket_codec import UNREADABLE, Bytes, Parts, read_header, read_parent

REMEMBERED = 4096
"""Requests without any answer that are remembered; the oldest are forgotten first."""

NAME = "GatewayConnectionLost"
WHY = "The connection to the gateway was lost when this was sent: it did not reach the kernel."


class LostRequests:
    """Requests of one link that may be lost."""

    def __init__(self, server_session: ServerSession) -> None:
        self._server_session = server_session
        self._unheard: dict[str, tuple[str, bytes]] = {}
        self._doubtful: dict[str, tuple[str, bytes]] = {}
        self._probe: str | None = None

    def sent(self, channel: str, parts: Parts) -> None:
        """A message was handed to the connection."""
        try:
            header = read_header(parts[0])
        except UNREADABLE:
            return
        if header.msg_type.endswith("_request"):
            self._unheard[header.msg_id] = (channel, bytes(parts[0]))
            if len(self._unheard) > REMEMBERED:
                del self._unheard[next(iter(self._unheard))]

    def lost(self) -> None:
        """Note that the connection is lost: every request without an answer is now in doubt."""
        self._doubtful = dict(self._unheard)
        self._probe = None

    def probe(self) -> Parts | None:
        """What to ask the kernel on a new connection, before all else; None where there is no doubt."""
        if not self._doubtful:
            return None
        self._probe, parts = self._server_session.message("kernel_info_request", {})
        return parts

    def heard(self, channel: str, parts: Parts, answer: Callable[[str, list[Bytes]], None]) -> bool:
        """A message came.

        :param answer: takes channel and parts of what the kernel would have said.
        :returns: whether it is the answer to the probe, hence for nobody else.
        """
        if not self._unheard and self._probe is None:
            return False
        asked = read_parent(parts[1]).msg_id
        self._unheard.pop(asked, None)
        if asked != self._probe or channel != "shell":
            return False
        self._probe = None
        swallowed = [msg_id for msg_id in self._doubtful if msg_id in self._unheard]
        self._doubtful = {}
        for msg_id in swallowed:
            self._refuse(*self._unheard.pop(msg_id), answer)
        return True

    def _refuse(self, channel: str, header: bytes, answer: Callable[[str, list[Bytes]], None]) -> None:
        error: dict[str, Any] = {"ename": NAME, "evalue": WHY, "traceback": [f"{NAME}: {WHY}"]}
        kind = read_header(header).msg_type

        def say(on: str, msg_type: str, content: dict[str, Any]) -> None:
            answer(on, list(self._server_session.message(msg_type, content, header)[1]))

        if kind == "execute_request":
            say("iopub", "error", error)
        say(channel, kind.removesuffix("_request") + "_reply", {"status": "error", "execution_count": None, **error})
        say("iopub", "status", {"execution_state": "idle"})
