"""Counters of what happened since the start: events by kind, deaths of kernels by reason; and rows for metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_PREFIX = "https://events.jupyter.org/"
MAX_KINDS = 200
"""Kinds that are counted apart; an event of one more counts as ``other``."""


@dataclass(frozen=True)
class Row:
    """One metric: a counter or gauge with a value for each combination of labels, or a histogram.

    :ivar kind: ``counter``, ``gauge`` or ``histogram``.
    :ivar values: label values → number; for a histogram, its counts by bucket, the last for all above.
    :ivar buckets: upper bounds, and the sum of all values: for a histogram.
    """

    name: str
    help: str
    kind: str
    values: Mapping[tuple[str, ...], Any]
    labels: Sequence[str] = ()
    buckets: Sequence[float] = ()
    sum: float = 0.0


@dataclass
class EventCounters:
    """Counts events as they pass to the bus: kernels started, restarted and dead, files saved, runs."""

    events: Counter[tuple[str, ...]] = field(default_factory=Counter)
    deaths: Counter[tuple[str, ...]] = field(default_factory=Counter)
    starts: Counter[tuple[str, ...]] = field(default_factory=Counter)
    restarts: Counter[tuple[str, ...]] = field(default_factory=Counter)

    def count(self, schema_id: str, data: Mapping[str, Any]) -> None:
        """One event. It costs a dictionary look-up."""
        schema = schema_id.removeprefix(_PREFIX)
        key: tuple[str, ...] = (schema, str(data.get("action") or ""))
        if key not in self.events and len(self.events) >= MAX_KINDS:
            key = ("other", "")
        self.events[key] += 1
        if "kernel_death" in schema:
            self.deaths[(reason_of(data),)] += 1
            if data.get("restarting"):
                self.restarts[("death",)] += 1
        elif schema.endswith("kernel_actions/v1"):
            self._action(data)

    def _action(self, data: Mapping[str, Any]) -> None:
        status = "error" if data.get("status") == "error" else "success"
        if data.get("action") == "start":
            self.starts[(status,)] += 1
        elif data.get("action") == "restart" and status == "success":
            self.restarts[("asked",)] += 1

    def rows(self) -> list[Row]:
        """The counters as metrics."""
        return [
            Row("jupyterd_events", "events by schema and action", "counter", dict(self.events), ("schema", "action")),
            Row("jupyterd_kernel_starts", "starts of kernels, by result", "counter", dict(self.starts), ("result",)),
            Row(
                "jupyterd_kernel_restarts",
                "restarts of kernels: asked for, or after a death",
                "counter",
                dict(self.restarts),
                ("reason",),
            ),
            Row("jupyterd_kernel_deaths", "deaths of kernels, by reason", "counter", dict(self.deaths), ("reason",)),
        ]


def reason_of(death: Mapping[str, Any]) -> str:
    """A death in one of a few words: ``memory``, ``signal 9``, ``exit 1``, ``unknown``."""
    if death.get("out_of_memory"):
        return "memory"
    if death.get("signal"):
        return f"signal {death['signal']}"
    status = death.get("status")
    return "unknown" if status is None else f"exit {status}"
