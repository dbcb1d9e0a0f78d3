"""Dashboard of a daemon: what its account is made of, and where it is mounted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from logging import DEBUG
from typing import TYPE_CHECKING, Any

from jupyterd.system.timestamps import isoformat
from jupyterd.web.root import Root

if TYPE_CHECKING:
    from jupyterd.app.parts import Parts
    from jupyterd.dashboard.status_report import Account


ACCESS = "jupyterd.web.server.access_log"
"""The namespace of answered requests."""


def account(parts: Parts) -> Account:
    """The account of a daemon, from its parts."""
    from jupyterd.dashboard.status_report import Account, Sources

    def sessions() -> Any:
        return parts.sessions.list_models()

    return Account(
        parts.reactor,
        parts.in_thread,
        Sources(
            kernels=lambda: list(_kernels(parts)),
            terminals=lambda: parts.terminals.list() if parts.server.terminals_enabled else [],
            sessions=sessions,
            people=lambda: _people(parts),
            threads=lambda: [pool.describe() for pool in parts.pools],
            reactor=lambda: _reactor(parts),
            requests=lambda: _requests(parts),
            about=lambda: {
                "root_dir": parts.server.root_dir,
                "started": parts.activity.text(parts.activity.started),
                "start_seconds": parts.start_seconds,
                "last_activity": parts.activity.text(parts.activity.last()),
                "url": parts.server.connection_url,
                "more_urls": parts.server.more_urls,
            },
            more={
                "tasks": lambda: parts.progress.describe(),
                "extension_host": lambda: _extension_host(parts),
                "stores": lambda: _stores(parts),
            },
        ),
        parts.activity.started,
    )


def _extension_host(parts: Parts) -> dict[str, Any] | None:
    """The process that runs server extensions; None where there are none."""
    if parts.extensions is None:
        return None
    from jupyterd.system.processes.resident import resident

    host = parts.extensions.host
    return {"state": host.state, "pid": host.pid, "memory": resident(host.pid), "extensions": list(host.wanted)}


def _stores(parts: Parts) -> dict[str, int]:
    """What is kept on disk, in bytes: of kernels' logs, and of notebooks that were saved, their versions."""
    from jupyterd.contents.managers.version_history import kept_bytes

    spilled = sum(kernel.channels.messages.store.spill.bytes for kernel in parts.kernels)
    return {"spill": spilled, "versions": kept_bytes()}


class LiveLevels:
    """The levels of the log, and whether each answered request is logged."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.describe = parts.levels.describe

    def change(self, namespace: str, level: int | None) -> None:
        """Another level from now on."""
        parts = self._parts
        parts.levels.change(namespace, level)
        parts.access_log.verbose = parts.levels.lowest(ACCESS) <= DEBUG


def _kernels(parts: Parts) -> Iterator[dict[str, Any]]:
    for kernel in parts.kernels:
        messages = kernel.channels.messages
        yield {
            **kernel.model(),
            "pid": getattr(kernel.process, "pid", None),
            "reason": kernel.reason,
            "since": isoformat(kernel.state_since),
            "died": isoformat(kernel.died_at) if kernel.died_at else None,
            "messages": messages.next - 1,
            "log_memory": messages.store.bytes,
            "log_disk": messages.store.spill.bytes,
            "behind": [messages.next - cursor.position for cursor in messages.attached],
            "behind_bytes": messages.store.size_from(
                min((cursor.position for cursor in messages.attached), default=messages.next)
            ),
        }


def _people(parts: Parts) -> list[dict[str, Any]]:
    """Who has tabs on kernels, and how many."""
    tabs: dict[str, int] = {}
    for kernel in parts.kernels:
        for cursor in kernel.channels.messages.attached:
            user = getattr(cursor.client, "user", None)
            name = str(getattr(user, "display_name", "") or getattr(user, "username", "") or "anonymous")
            tabs[name] = tabs.get(name, 0) + 1
    return [{"name": name, "tabs": count} for name, count in sorted(tabs.items())]


def _reactor(parts: Parts) -> dict[str, Any]:
    turns = parts.stalls.turns
    return {
        "stalls": parts.stalls.stalls,
        "worst": round(turns.worst, 4),
        "turns": sum(turns.counts),
        "busy": round(turns.total, 3),
        "stall_seconds": parts.server.stall_seconds,
    }


def _requests(parts: Parts) -> Iterable[tuple[str, int, float]]:
    rows: dict[str, tuple[int, float]] = {}
    for (method, where, _), times in parts.request_times.by_labels.items():
        count, seconds = rows.get(f"{method} {where}", (0, 0.0))
        rows[f"{method} {where}"] = count + sum(times.counts), seconds + times.sum
    return [(route, count, seconds) for route, (count, seconds) in rows.items()]


def mount(root: Root, parts: Parts) -> None:
    """Put the page and its data."""

    def dashboard() -> Any:
        from jupyterd.dashboard.resource import DashboardResource

        return DashboardResource(
            account(parts), parts.log_lines, parts.pages.render, lambda: front_end(parts), LiveLevels(parts)
        ).app.resource()

    root.mount("/jupyterd", dashboard, auth="server", exact=True, page=True)
    root.mount("/api/jupyterd", dashboard, auth="server")


def front_end(parts: Parts) -> str:
    """What the address of a notebook's page begins with, below the base URL; empty where there is none."""
    fronts = parts.front_ends
    if fronts.lab_package is not None:
        return "lab/tree/"
    return "notebooks/" if fronts.notebook_package is not None else ""
