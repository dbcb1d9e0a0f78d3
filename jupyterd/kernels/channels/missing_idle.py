"""Missing ``idle``: the end of a request whose status never comes, supplied here.

A client waits for both, the reply and ``idle`` on iopub. A kernel drops what it says on iopub when it is not read for
long (a daemon that was stopped, a machine that swapped), and the last of it first: its cell would run for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

SILENCE_TIMEOUT = 10.0
"""Seconds of silence after a reply until the server says what is missing."""


@dataclass
class _Open:
    header: bytes
    since: float
    heard: int
    ran: bool


class MissingIdles:
    """The requests of one kernel whose ``idle`` is missing.

    :param clock: the reactor's.
    :param missing: called with the header of a request that was replied to, and whose ``idle`` is missing, and with
        whether it ran: where it was aborted nothing else is missing.
    :param newest: the id of the request to which the newest message on iopub belongs, and how many there were; None
        while there may be more on iopub that is not read.
    """

    def __init__(
        self, clock: Any, missing: Callable[[bytes, bool], None], newest: Callable[[], tuple[str, int] | None]
    ) -> None:
        self._clock, self._missing, self._newest = clock, missing, newest
        self._open: dict[str, _Open] = {}
        self._early: set[str] = set()
        self._timer: Any = None

    def replied(self, msg_id: str, header: bytes, heard: int, ran: bool) -> None:
        """The reply came, when there were ``heard`` messages."""
        if msg_id in self._early:
            self._early.discard(msg_id)
            return
        self._open[msg_id] = _Open(header, self._clock.seconds(), heard, ran)
        if self._timer is None:
            self._timer = self._clock.callLater(SILENCE_TIMEOUT, self._look)

    def idle(self, msg_id: str, awaited: bool) -> None:
        """``idle`` came; ``awaited``: before the reply, which will follow."""
        if self._open.pop(msg_id, None) is None and awaited:
            self._early.add(msg_id)

    def end(self) -> None:
        """The kernel says nothing more."""
        self._open.clear()
        self._early.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        newest = self._newest()
        now = self._clock.seconds()
        for msg_id, request in list(self._open.items()):
            if newest is None or (newest[0] == msg_id and newest[1] != request.heard):
                request.since, request.heard = now, newest[1] if newest else request.heard
            elif now - request.since >= SILENCE_TIMEOUT:
                del self._open[msg_id]
                self._missing(request.header, request.ran)
        if self._open:
            oldest = min(request.since for request in self._open.values())
            self._timer = self._clock.callLater(oldest + SILENCE_TIMEOUT - now, self._look)
