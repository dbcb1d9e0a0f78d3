"""Status of a daemon: its account of itself, from the parts, and where it is mounted; its events too."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jupyterd.frontends.packages import package_dir
from jupyterd.web.root import Root
from jupyterd.web.websocket.ping import ping_times

if TYPE_CHECKING:
    from jupyterd.app.parts import Parts
    from jupyterd.contents.service import Contents
    from jupyterd.events.bus import EventBus
    from jupyterd.kernels.log.totals import MessageTotals
    from jupyterd.settings.load import Settings
    from jupyterd.settings.server_app import ServerApp
    from jupyterd.status.counters import Row
    from jupyterd.status.resource import StatusResource
    from jupyterd.supervision.idle_stop import IdleStop
    from jupyterd.system.threads import InThread

STOP_DELAY = 0.1
"""Seconds between the answer to ``/api/shutdown`` and the end, so that it gets out."""


def resource(parts: Parts) -> StatusResource:
    """``/api/status``, metrics and health of a daemon."""
    from jupyterd.status.metrics import Metrics
    from jupyterd.status.resource import StatusResource

    def connections() -> int:
        return parts.kernels.connections

    def terminals() -> int:
        return len(parts.terminals) if parts.server.terminals_enabled else 0

    def stop(kernels: str | None) -> None:
        if parts.keeping is not None:
            parts.keeping.asked_to_stop(kernels)
        parts.reactor.callLater(STOP_DELAY, parts.reactor.stop)

    return StatusResource(
        activity=parts.activity,
        metrics=Metrics(
            parts.request_times,
            parts.activity,
            lambda: parts.kernels.running(),
            connections,
            terminals,
            lambda: metric_rows(parts),
        ),
        kernels=lambda: len(parts.kernels.living()),
        connections=connections,
        stop=stop,
        ready=parts.takes_work,
        in_thread=parts.in_thread,
        more_metrics=lambda: None if parts.extensions is None else parts.extensions.metrics(),
        look_at_activity=lambda: None if parts.extensions is None else parts.extensions.look_at_activity(),
    )


MAX_KERNELS = 50
"""Kernels that have metrics of their own: those with the largest logs."""


def metric_rows(parts: Parts) -> list[Row]:
    """Metrics of reactor, threads, kernels' logs, messages, refusals, events, saves."""
    from jupyterd.status.counters import Row

    return [
        *_of_reactor(parts),
        *_of_threads(parts),
        *_of_kernels(parts),
        *_of_messages(parts.totals),
        Row("jupyterd_requests_refused", "requests refused, by check", "counter", _by(parts.site.refused), ("check",)),
        *parts.counters.rows(),
        *_of_contents(parts),
    ]


def _of_reactor(parts: Parts) -> Iterator[Row]:
    """Its latency."""
    from jupyterd.status.counters import Row
    from jupyterd.supervision.reactor_latency import BUCKETS

    turns = parts.stalls.turns
    yield Row(
        "jupyterd_reactor_turn_seconds",
        "turns of the reactor, between two waits",
        "histogram",
        {(): list(turns.counts)},
        buckets=BUCKETS,
        sum=turns.total,
    )
    yield Row("jupyterd_reactor_stalls", "turns longer than stall_seconds", "counter", {(): parts.stalls.stalls})


def _of_threads(parts: Parts) -> Iterator[Row]:
    from jupyterd.status.counters import Row

    pools = [pool.describe() for pool in parts.pools]

    def row(name: str, text: str, value: str) -> Row:
        return Row(name, text, "gauge", {(str(pool["name"]),): pool[value] for pool in pools}, ("pool",))

    yield row("jupyterd_threads_busy", "calls under way", "busy")
    yield row("jupyterd_threads_waiting", "calls in line", "waiting")


def _of_kernels(parts: Parts) -> Iterator[Row]:
    """Logs of kernels, those with the largest ones."""
    from jupyterd.status.counters import Row

    logs = [(kernel.id, kernel.channels.messages) for kernel in parts.kernels]
    logs = sorted(logs, key=lambda one: -one[1].store.bytes)[:MAX_KERNELS]

    def row(name: str, text: str, value: Callable[[Any], float], kind: str = "gauge") -> Row:
        return Row(name, text, kind, {(one,): value(log) for one, log in logs}, ("kernel_id",))

    yield row("jupyterd_kernel_messages", "messages in a kernel's log", lambda log: log.next - 1, "counter")
    yield row("jupyterd_kernel_log_memory_bytes", "log of a kernel in memory", lambda log: log.store.bytes)
    yield row("jupyterd_kernel_log_disk_bytes", "log of a kernel on disk", lambda log: log.store.spill.bytes)
    yield row("jupyterd_kernel_lag_messages", "messages that the slowest websocket has still to get", _lag)
    yield row("jupyterd_kernel_backlog_bytes", "bytes that websockets have been given and not confirmed", _backlog)


def _of_messages(totals: MessageTotals) -> Iterator[Row]:
    from jupyterd.status.counters import Row

    yield Row(
        "jupyterd_messages_from_kernels", "messages of kernels", "counter", _by(totals.from_kernels), ("channel",)
    )
    yield Row("jupyterd_messages_to_kernels", "messages of clients", "counter", _by(totals.to_kernels), ("channel",))
    yield Row("jupyterd_messages_refused", "messages of kernels not taken", "counter", _by(totals.refused), ("reason",))
    yield Row("jupyterd_messages_ignored", "messages of clients not taken", "counter", _by(totals.ignored), ("reason",))
    yield Row("jupyterd_messages_dropped", "about so many kernels dropped themselves", "counter", {(): totals.dropped})
    yield Row("jupyterd_gaps_told", "times that clients were told of missing messages", "counter", {(): totals.gaps})


def _by(counts: Mapping[str, int]) -> dict[tuple[str, ...], int]:
    return {(name,): count for name, count in counts.items()}


def _lag(log: Any) -> int:
    return max([log.next - cursor.position for cursor in log.attached], default=0)


def _backlog(log: Any) -> int:
    return sum(cursor.client.unacknowledged() for cursor in log.attached if cursor.client is not None)


def _of_contents(parts: Parts) -> list[Row]:
    """Saves and uploads; nothing before the first request for contents has made the service."""
    from jupyterd.status.counters import Row
    from jupyterd.system.tally import BUCKETS

    made: Contents | None = parts.__dict__.get("contents")
    if made is None:
        return []
    saves: dict[tuple[str, ...], Any] = {(): list(made.saves.counts)}
    text = "how long saves took, from their turn to the disk"
    return [
        Row("jupyterd_save_seconds", text, "histogram", saves, buckets=BUCKETS, sum=made.saves.total),
        Row("jupyterd_uploads", "uploads, by kind", "counter", _by(made.uploads), ("kind",)),
        Row("jupyterd_upload_bytes", "bytes of them", "counter", {(): made.uploaded}),
    ]


def idle_stop(parts: Parts) -> IdleStop:
    """Ends a daemon that nobody uses."""
    from jupyterd.supervision.idle_stop import IdleStop

    def busy() -> int:
        return len(parts.kernels.living()) + (len(parts.terminals) if parts.server.terminals_enabled else 0)

    return IdleStop(
        parts.reactor,
        parts.server.shutdown_no_activity_timeout,
        busy=busy,
        last_used=parts.activity.last,
        stop=parts.reactor.stop,
    )


def mount(
    root: Root,
    settings: Settings,
    status: Callable[[], StatusResource],
    more_static: Callable[[], Awaitable[Sequence[str]]] | None = None,
    language_servers: bool = False,
) -> None:
    """Put the resources where clients look for them.

    :param more_static: directories of server extensions' static files.
    :param language_servers: an extension serves them.
    """
    server = settings.server

    def account() -> Any:
        return status().app.resource()

    def files() -> Any:
        from jupyterd.frontends.static_files import StaticFiles
        from jupyterd.status.static_files import OwnFiles

        assets = StaticFiles(tuple(server.static_immutable_cache))
        return OwnFiles(assets, server.extra_static_paths, more_static).app.resource()

    def languages() -> Any:
        from jupyterd.status.lsp import NoLanguageServers

        return NoLanguageServers().app.resource()

    root.mount(["/api", "/healthz", "/readyz"], account, auth="", public=True, exact=True)
    root.mount("/api/status", account, auth="api", exact=True)
    root.mount("/api/spec.yaml", account, auth="api", exact=True, page=True)
    root.mount("/api/shutdown", account, auth="server", exact=True)
    root.mount("/metrics", account, auth="", public=not server.authenticate_prometheus, exact=True)
    root.mount(["/favicon.ico", "/robots.txt"], files, auth="", public=True, exact=True, page=True)
    root.mount("/static", files, auth="", public=True, page=True)
    if package_dir("jupyterlab") is not None and not language_servers:
        root.mount("/lsp", languages, auth="lsp")


def mount_events(root: Root, bus: Callable[[], EventBus], in_thread: InThread, server: ServerApp) -> None:
    """Put ``/api/events`` and its websocket."""

    def events() -> Any:
        from jupyterd.events.resource import EventsResource

        ping = ping_times(server.websocket_ping_interval, server.websocket_ping_timeout)
        return EventsResource(bus(), in_thread, ping).app.resource()

    root.mount("/api/events", events, auth="events", exact=True)
    root.mount("/api/events/subscribe", events, auth="events", exact=True, websocket=True)
