"""Errors of the Hub."""

from __future__ import annotations

from jupyterd.errors import Unavailable, Upstream


class HubAway(Unavailable):
    """The Hub can not be reached, or does not answer in time."""


class HubRefuses(Upstream):
    """The Hub answers, and not with what was asked for.

    :ivar upstream: its status.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(502 if status >= 500 else 500, message)
        self.upstream = status
