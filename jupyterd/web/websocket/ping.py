"""Ping times of websockets: how often a client is pinged, and how long it may take to answer.

Kernels', terminals' and events' websockets have the same, from ``ServerApp.websocket_ping_interval`` and
``websocket_ping_timeout``. Source: the reference's defaults.
"""

from __future__ import annotations

DEFAULT_PING_INTERVAL = 30.0
"""Seconds; often enough to keep the connection through proxies that end quiet ones."""


def ping_times(interval: float = 0, timeout: float = 0) -> tuple[float, float]:
    """Seconds between pings, and seconds in which one is to be answered.

    :param interval: as set; 0 for the default.
    :param timeout: as set; 0 for three intervals, 30 seconds at least.
    """
    seconds = float(interval or DEFAULT_PING_INTERVAL)
    return seconds, float(timeout or max(3 * seconds, DEFAULT_PING_INTERVAL))
