"""Tally of durations: how many, in which bucket, and how long in all; the histogram of a metric."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds; upper bounds."""


@dataclass
class Durations:
    """Of one kind of thing.

    :ivar counts: by :data:`BUCKETS`, the last for all that took longer.
    :ivar total: seconds of all.
    """

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    total: float = 0.0

    def add(self, seconds: float) -> None:
        """One more."""
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds
