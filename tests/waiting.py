"""Waiting in the reactor for what no event tells."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from twisted.internet.task import deferLater

PATIENCE = 30.0
"""Seconds; a busy machine is slow."""


async def until(condition: Callable[[], Any], patience: float = PATIENCE) -> None:
    """Return when ``condition()`` is true; the reactor runs meanwhile."""
    from twisted.internet import reactor

    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        await deferLater(reactor, 0.01)  # type: ignore[arg-type]
