"""Shims of the extension host: ``psutil.Process()`` is the server, and its metrics have theirs."""

from __future__ import annotations

import importlib.util
from typing import Any

STOCK_METRICS = (
    "python_",
    "process_",
    "http_request_duration_seconds",
    "terminal_currently_running",
    "kernel_currently_running",
    "jupyter_server",
    "server_info",
    "server_extension",
    "last_activity",
    "server_started",
    "active_duration",
)
"""How the names of metrics begin that the daemon has its own of."""


def psutil_of(daemon: int) -> None:
    """Let ``psutil.Process()`` mean the daemon: extensions sum what it and its children take.

    :param daemon: its process id.
    """
    if importlib.util.find_spec("psutil") is None:
        return
    import psutil

    original = psutil.Process.__init__

    def init(self: Any, pid: int | None = None) -> None:
        original(self, daemon if pid is None else pid)

    psutil.Process.__init__ = init


def metrics() -> tuple[bytes, str]:
    """The metrics of extensions, as Prometheus's text; and its media type."""
    from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest

    class Theirs:
        def collect(self) -> Any:
            return (family for family in REGISTRY.collect() if not family.name.startswith(STOCK_METRICS))

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Theirs())
    return generate_latest(registry), CONTENT_TYPE_LATEST
