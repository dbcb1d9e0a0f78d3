"""Counters of events and deaths, and rows as Prometheus reads them."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from jupyterd.status.counters import MAX_KINDS, EventCounters, Row, reason_of
from jupyterd.status.metrics import cumulative, family_of

ACTIONS = "https://events.jupyter.org/jupyter_server/kernel_actions/v1"
DEATHS = "https://events.jupyter.org/jupyterd/kernel_death/v1"


class Rows:
    """A collector of rows."""

    def __init__(self, *rows: Row) -> None:
        self.rows = rows

    def collect(self) -> Any:
        return [family_of(row) for row in self.rows]


def text_of(*rows: Row) -> list[str]:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Rows(*rows))
    return [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]


def test_events_are_counted_by_schema_and_action() -> None:
    counters = EventCounters()
    for action in ("start", "start", "restart"):
        counters.count(ACTIONS, {"action": action, "status": "success"})
    counters.count(ACTIONS, {"action": "start", "status": "error"})
    counters.count(DEATHS, {"kernel_id": "x", "signal": 9, "restarting": True})
    assert text_of(*counters.rows()) == [
        'jupyterd_events_total{action="start",schema="jupyter_server/kernel_actions/v1"} 3.0',
        'jupyterd_events_total{action="restart",schema="jupyter_server/kernel_actions/v1"} 1.0',
        'jupyterd_events_total{action="",schema="jupyterd/kernel_death/v1"} 1.0',
        'jupyterd_kernel_starts_total{result="success"} 2.0',
        'jupyterd_kernel_starts_total{result="error"} 1.0',
        'jupyterd_kernel_restarts_total{reason="asked"} 1.0',
        'jupyterd_kernel_restarts_total{reason="death"} 1.0',
        'jupyterd_kernel_deaths_total{reason="signal 9"} 1.0',
    ]


def test_kinds_are_bounded() -> None:
    counters = EventCounters()
    for number in range(3 * MAX_KINDS):
        counters.count(f"https://example.org/{number}", {})
    assert len(counters.events) == MAX_KINDS + 1
    assert counters.events[("other", "")] == 2 * MAX_KINDS


@pytest.mark.parametrize(
    ("death", "word"),
    [
        ({"out_of_memory": True, "signal": 9}, "memory"),
        ({"signal": 11, "status": None}, "signal 11"),
        ({"status": 0}, "exit 0"),
        ({"status": None}, "unknown"),
    ],
)
def test_deaths_in_a_few_words(death: dict[str, Any], word: str) -> None:
    assert reason_of(death) == word


def test_a_histogram_counts_those_below_too() -> None:
    assert cumulative((0.1, 1.0), (3, 2, 1)) == [("0.1", 3), ("1.0", 5), ("+Inf", 6)]
    row = Row("turn_seconds", "turns", "histogram", {(): (3, 2, 1)}, buckets=(0.1, 1.0), sum=2.5)
    assert text_of(row) == [
        'turn_seconds_bucket{le="0.1"} 3.0', 'turn_seconds_bucket{le="1.0"} 5.0', 'turn_seconds_bucket{le="+Inf"} 6.0',
        "turn_seconds_count 6.0", "turn_seconds_sum 2.5",
    ]  # fmt: skip
