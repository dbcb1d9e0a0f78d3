"""Metrics for Prometheus: HTTP's, and how rows of all kinds are written.

The names are the reference's and a few more. The rows of kernels, messages, saves and of the reactor's latency are made
in :mod:`jupyterd.app.status`, from what :mod:`jupyterd.supervision.reactor_latency` and others count.

``prometheus_client`` is imported when the first scrape comes; until then requests are counted in plain lists.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jupyterd import __version__
from jupyterd.status.activity import Activity
from jupyterd.status.counters import Row
from jupyterd.status.version import API_VERSION
from jupyterd.web.root import Mount
from jupyterd.web.server.request import Request

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Seconds; the default of prometheus_client."""


@dataclass(slots=True)
class Times:
    """How long answers took: counts for each bucket, the last for all above; the sum in seconds."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    sum: float = 0.0


MAX_REMEMBERED = 1000
"""Mounts with method and status whose labels are remembered at a time."""


class RequestTimes:
    """How long answers took, by method, mount and status.

    :ivar by_labels: all of them.
    """

    def __init__(self) -> None:
        self.by_labels: dict[tuple[str, str, str], Times] = {}
        self._remembered: dict[tuple[bytes, Mount | None, int], Times] = {}

    def __call__(self, request: Request, seconds: float) -> None:
        """An answer was given."""
        times = self._remembered.get((request.method, request.mount, request.code)) or self._find(request)
        times.counts[bisect_left(BUCKETS, seconds)] += 1
        times.sum += seconds

    def _find(self, request: Request) -> Times:
        mount = request.mount
        method = request.method.decode("latin-1")
        if method not in _METHODS:  # clients may invent methods; metrics must not grow with them
            method = "other"
        where = "/" + "/".join(mount.prefix) if mount is not None else "none"
        times = self.by_labels.setdefault((method, where, str(request.code)), Times())
        if len(self._remembered) >= MAX_REMEMBERED:
            self._remembered.clear()
        self._remembered[request.method, mount, request.code] = times
        return times


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@dataclass(frozen=True)
class Look:
    """All numbers at one time."""

    times: Mapping[tuple[str, str, str], Times] = field(default_factory=dict)
    kernels: Mapping[str, int] = field(default_factory=dict)
    gauges: Sequence[tuple[str, str, float]] = ()
    rows: Sequence[Row] = ()


class Metrics:
    """All of them.

    :param kernels: how many kernels run, by the kernelspec's name.
    :param connections: open websockets to kernels.
    :param terminals: how many terminals run.
    :param more: rows of other parts; their labels are bounded.
    """

    def __init__(
        self,
        times: RequestTimes,
        activity: Activity,
        kernels: Callable[[], Mapping[str, int]],
        connections: Callable[[], int],
        terminals: Callable[[], int],
        more: Callable[[], Iterable[Row]] = tuple,
    ) -> None:
        self._times = times
        self._activity = activity
        self._kernels = kernels
        self._connections = connections
        self._terminals = terminals
        self._more = more
        self._registry: Any = None
        self._looked = Look()

    def look(self) -> None:
        """Take all numbers as they are now. Called in the reactor's thread, to which they belong."""
        last, started = self._activity.last(), self._activity.started
        self._looked = Look(
            {labels: Times(times.counts[:], times.sum) for labels, times in self._times.by_labels.items()},
            dict(self._kernels()),
            [
                ("terminal_currently_running_total", "terminals that run", self._terminals()),
                ("jupyterd_kernel_connections", "open websockets to kernels", self._connections()),
                ("jupyter_server_last_activity_timestamp_seconds", "last use", self._activity.wall(last)),
                ("jupyter_server_started_timestamp_seconds", "start", self._activity.wall(started)),
                ("jupyter_server_active_duration_seconds", "from the start to the last use", last - started),
            ],
            list(self._more()),
        )

    def render(self, accept: str) -> tuple[bytes, str]:
        """All metrics, as :meth:`look` saw them, in the format that the client prefers, and its media type.

        Called in a thread: it takes milliseconds where there are many.
        """
        from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
        from prometheus_client.exposition import choose_encoder

        if self._registry is None:
            self._registry = CollectorRegistry(auto_describe=False)
            for collector in (GCCollector, PlatformCollector, ProcessCollector):
                collector(registry=self._registry)
            self._registry.register(self)
        encode, media_type = choose_encoder(accept)
        return encode(self._registry), media_type

    def collect(self) -> Iterator[Any]:
        """Called by prometheus_client's registry."""
        from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily

        looked = self._looked
        yield _durations(looked)
        kernels = GaugeMetricFamily("kernel_currently_running_total", "kernels that run, by type", labels=["type"])
        for name, number in looked.kernels.items():
            kernels.add_metric([name], number)
        yield kernels
        for name, text, value in looked.gauges:
            yield GaugeMetricFamily(name, text, value=value)
        for row in looked.rows:
            yield family_of(row)
        yield InfoMetricFamily("jupyter_server", "the Jupyter Server API's version", value={"version": API_VERSION})
        yield InfoMetricFamily("jupyterd", "jupyterd's version", value={"version": __version__})


def _durations(looked: Look) -> Any:
    from prometheus_client.core import HistogramMetricFamily

    family = HistogramMetricFamily(
        "http_request_duration_seconds",
        "duration of HTTP requests in seconds, by where they were answered",
        labels=["method", "handler", "status_code"],
    )
    for labels, times in looked.times.items():
        family.add_metric(labels, cumulative(BUCKETS, times.counts), sum_value=times.sum)
    return family


def cumulative(bounds: Iterable[float], counts: Iterable[int]) -> list[tuple[str, int]]:
    """Counts by bucket as Prometheus has them: each with those below it, the last without a bound."""
    total, found = 0, []
    for bound, count in zip([*(str(bound) for bound in bounds), "+Inf"], counts, strict=True):
        total += count
        found.append((bound, total))
    return found


def family_of(row: Row) -> Any:
    """A row as prometheus_client has it."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    if row.kind == "histogram":
        histogram = HistogramMetricFamily(row.name, row.help, labels=row.labels)
        for labels, counts in row.values.items():
            histogram.add_metric(labels, cumulative(row.buckets, counts), sum_value=row.sum)
        return histogram
    kind = CounterMetricFamily if row.kind == "counter" else GaugeMetricFamily
    family = kind(row.name, row.help, labels=row.labels)
    for labels, value in row.values.items():
        family.add_metric(labels, value)
    return family
