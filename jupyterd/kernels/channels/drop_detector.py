"""Drop detector: how many messages a kernel has dropped, as far as its own numbers tell.

A kernel drops what it says on iopub when it is not read for long, and when its own threads do not run for long; ZeroMQ
tells nobody. ipykernel, and what is built on it, numbers its messages: an id ends with the process and a number, one
series for all channels. So more numbers missing on iopub than it can have used on the others are messages lost.
Source: jupyter_client, ``Session.msg_id``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from jupyterd.kernels.messages.websocket_codec import UNREADABLE, Bytes, Parts, read_header

FEW = 16
"""So many numbers in a row may be missing for other reasons: replies, and messages that were made and not sent."""

QUEUE = 400
"""A kernel that drops has more messages than these on their way, which come before the gap: ZeroMQ tells it that there
is room again for half of its thousand at a time."""

_numbered = re.compile(r"(.+_\d+)_(\d{1,15})").fullmatch


class DropDetector:
    """Counts the messages that one kernel's process has dropped, or that nobody heard."""

    def __init__(self) -> None:
        self._closely = False
        self._begin("", 0)

    def look_closely(self, closely: bool) -> None:
        """Whether a gap counts however little came before it: what came last was heard by a former daemon."""
        self._closely = closely
        if closely:
            self._unread, self._sure = 0, True

    def _begin(self, series: str, number: int) -> None:
        self._series, self._number = series, number
        self._unread = self._whole = 0
        self._sure = True

    def before(self, messages: Sequence[Parts]) -> list[tuple[int, int]]:
        """Where in a turn's messages of iopub some are missing: the index of what follows, and about how many."""
        series, number = _series(messages[-1][0])
        if series not in ("", self._series):
            self._begin(series, number - len(messages))
        found: list[tuple[int, int]] = []
        if not series:  # of a gateway, not of the kernel
            self._unread += len(messages)
        else:
            missing = number - self._number - self._unread - len(messages)
            if missing < -FEW:
                self._sure = False  # two that count at once
            elif missing > FEW and self._sure:
                found = list(self._located(messages))
            self._number, self._unread = number, 0
        self._whole += len(messages)
        return found

    def _located(self, messages: Sequence[Parts]) -> Iterable[tuple[int, int]]:
        expected = self._number + self._unread
        told = self._unread > 0  # a gateway has told itself what is missing
        for index, parts in enumerate(messages):
            expected += 1
            series, number = _series(parts[0])
            if series != self._series:
                told = True
            else:
                if number - expected > FEW:
                    if (self._closely or self._whole + index >= QUEUE) and not told:
                        yield index, number - expected
                    self._whole = -index
                expected, told = max(expected, number), False


def _series(header: Bytes) -> tuple[str, int]:
    try:
        match = _numbered(read_header(header).msg_id)
    except UNREADABLE:
        match = None
    return (match[1], int(match[2])) if match else ("", 0)
