"""Account of a running daemon: kernels, people, threads, reactor, requests; one JSON object.

It is made at most once in :data:`FRESH` seconds, however many ask, so that looking costs next to nothing.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.interfaces import IReactorTime

from jupyterd import __version__
from jupyterd.dashboard.usage import Load, loads, open_descriptors
from jupyterd.system.threads import InThread

FRESH = 1.5
"""Seconds for which an account is given again."""
MAX_ROUTES = 30
"""Rows of the table of requests: those that took longest in all."""


@dataclass
class Sources:
    """Where the parts of an account come from; each is asked when one is made.

    :ivar kernels: a row for each kernel, with its ``pid`` where it has one.
    :ivar more: other parts by name: extension host, stores.
    """

    kernels: Callable[[], Iterable[dict[str, Any]]]
    terminals: Callable[[], list[dict[str, str]]]
    sessions: Callable[[], Any]
    people: Callable[[], list[dict[str, Any]]]
    threads: Callable[[], list[dict[str, Any]]]
    reactor: Callable[[], dict[str, Any]]
    requests: Callable[[], Iterable[tuple[str, int, float]]]
    about: Callable[[], dict[str, Any]]
    more: Mapping[str, Callable[[], Any]] = field(default_factory=dict)


class Account:
    """The account of one daemon.

    :param started: when it started, in seconds of the clock.
    """

    def __init__(self, clock: IReactorTime, in_thread: InThread, sources: Sources, started: float) -> None:
        self._clock = clock
        self._in_thread = in_thread
        self._sources = sources
        self._started = started
        self._last: dict[str, Any] | None = None
        self._made_at = -FRESH
        self._loads: dict[int, Load] = {}
        self._messages: dict[str, int] = {}

    async def get(self) -> dict[str, Any]:
        """The account, not older than :data:`FRESH` seconds. Rates are those since the one before."""
        now = self._clock.seconds()
        if self._last is not None and now - self._made_at < FRESH:
            return self._last
        seconds, self._made_at = now - self._made_at, now
        first = self._last is None
        account = await self._make(now, 0.0 if first else seconds)
        self._last = account
        return account

    async def _make(self, now: float, seconds: float) -> dict[str, Any]:
        sources = self._sources
        kernels = list(sources.kernels())
        pids = {kernel["pid"] for kernel in kernels if kernel["pid"]}
        found = await self._in_thread(loads, {*pids, os.getpid()})
        own = await self._in_thread(own_load)
        before, self._loads = self._loads, {**found, 0: own}
        names = await _names(sources.sessions)
        for kernel in kernels:
            self._complete(kernel, names, found, before, seconds)
        self._messages = {kernel["id"]: kernel["messages"] for kernel in kernels}
        account = {
            "version": {"jupyterd": __version__, "python": platform.python_version()},
            "pid": os.getpid(),
            "uptime": round(now - self._started, 1),
            **sources.about(),
            "cpu": _percent(own, before.get(0), seconds),
            "memory": own.memory,
            "descriptors": await self._in_thread(open_descriptors),
            "reactor": sources.reactor(),
            "threads": sources.threads(),
            "people": sources.people(),
            "kernels": kernels,
            "terminals": sources.terminals(),
            "requests": _slowest(sources.requests()),
        }
        for name, ask in sources.more.items():
            account[name] = ask()
        return account

    def _complete(
        self,
        kernel: dict[str, Any],
        names: Mapping[str, list[str]],
        found: Mapping[int, Load],
        before: Mapping[int, Load],
        seconds: float,
    ) -> None:
        """Add what it takes another look for: notebook, CPU, memory, messages a second."""
        kernel["paths"] = names.get(kernel["id"], [])
        load = found.get(kernel["pid"])
        kernel["memory"] = load.memory if load else None
        kernel["processes"] = load.processes if load else None
        kernel["cpu"] = _percent(load, before.get(kernel["pid"]), seconds) if load else None
        said = kernel["messages"] - self._messages.get(kernel["id"], kernel["messages"])
        kernel["rate"] = round(said / seconds, 1) if seconds else 0.0


def own_load() -> Load:
    """This process alone, without those below it."""
    times = os.times()
    try:
        with open("/proc/self/statm", "rb") as file:
            memory = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        memory = 0
    return Load(times.user + times.system, memory, 1)


def _percent(now: Load | None, before: Load | None, seconds: float) -> float:
    """CPU between two looks, in percent of one core."""
    if now is None or before is None or seconds <= 0:
        return 0.0
    return round(max(0.0, 100 * (now.cpu - before.cpu) / seconds), 1)


async def _names(sessions: Callable[[], Any]) -> dict[str, list[str]]:
    """Kernel → paths of its sessions."""
    names: dict[str, list[str]] = {}
    for session in await sessions():
        kernel = session.get("kernel") or {}
        names.setdefault(str(kernel.get("id", "")), []).append(str(session.get("path", "")))
    return names


def _slowest(requests: Iterable[tuple[str, int, float]]) -> list[dict[str, Any]]:
    rows = sorted(requests, key=lambda row: -row[2])[:MAX_ROUTES]
    return [{"route": route, "count": count, "seconds": round(seconds, 3)} for route, count, seconds in rows]
