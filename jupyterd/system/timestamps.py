"""Timestamps: times as JSON has them, in ISO 8601, UTC, with a ``Z``."""

from __future__ import annotations

from datetime import datetime, timezone
from functools import lru_cache


@lru_cache(maxsize=1024)  # clients ask for the same kernels again and again
def isoformat(seconds: float, timespec: str = "auto") -> str:
    """A time as text, ``2026-01-02T03:04:05.678901Z``.

    :param seconds: since 1970.
    :param timespec: of :meth:`datetime.datetime.isoformat`; ``microseconds`` has them in a full second too.
    """
    return with_z(datetime.fromtimestamp(seconds, timezone.utc), timespec)


def with_z(when: datetime, timespec: str = "auto") -> str:
    """An aware time as text, with ``Z`` where it is in UTC."""
    return when.isoformat(timespec=timespec).replace("+00:00", "Z")
