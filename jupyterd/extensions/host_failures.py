"""Failures of the extension host: remembered, blamed on who caused them, and how long until the next start."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IReactorTime

BACK_OFF = (1.0, 2.0, 5.0, 15.0, 60.0)
"""Seconds between an end that was not asked for and the next start; the last one for all further ends."""
STABLE_SECONDS = 120.0
"""A host that has served for so long begins anew with the first of them."""
MAX_REMEMBERED = 20
"""Ends, stalls and errors that are kept for the operator's eyes."""


class HostFailures:
    """What went wrong with the host.

    :ivar history: the last :data:`MAX_REMEMBERED` times, each with ``time`` and ``what``.
    :ivar excluded: extensions that are left out, each with the reason.
    :ivar in_a_row: ends that were not asked for, without a stable host between them.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self.history: list[dict[str, Any]] = []
        self.excluded: dict[str, str] = {}
        self.in_a_row = 0
        self._suspects: dict[str, int] = {}

    def remember(self, what: str) -> None:
        """Keep it for the operator's eyes."""
        self.history.append({"time": self._clock.seconds(), "what": what})
        del self.history[:-MAX_REMEMBERED]

    def blame(self, name: str, why: str) -> bool:
        """An extension has ended the host while it was loaded: leave it out, at the second time where a signal did.

        :returns: whether it is left out.
        """
        self._suspects[name] = self._suspects.get(name, 0) + 1
        if self._suspects[name] >= 2 or "SIG" not in why:
            self.excluded[name] = f"The extension host could not load it: {why}"
        return name in self.excluded

    def forgive(self) -> None:
        """Give extensions that were left out another chance."""
        self.excluded.clear()
        self._suspects.clear()

    def delay(self, served: float) -> float:
        """Seconds until the next start.

        :param served: for how long the host had served; 0 where it had not.
        """
        if served > STABLE_SECONDS:
            self.in_a_row = 0
        seconds = BACK_OFF[min(self.in_a_row, len(BACK_OFF) - 1)]
        self.in_a_row += 1
        return seconds
