"""Terminals of a daemon, from its settings, and where they are mounted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jupyterd.system.threads import InThread
from jupyterd.web.root import Root
from jupyterd.web.websocket.ping import ping_times

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyterd.app.recovery import Keeping
    from jupyterd.settings.load import Settings
    from jupyterd.terminals.manager import Terminals


def terminals(
    reactor: Any, settings: Settings, keeping: Keeping | None, state_thread: InThread, keep: Callable[[], bool]
) -> Terminals:
    """The service.

    :param keeping: what outlives the daemon; None where nothing does.
    :param state_thread: writes the state file.
    :param keep: whether terminals go on when the daemon stops.
    """
    from jupyterd.terminals.manager import Terminals
    from jupyterd.terminals.settings import Shell, TerminalManager

    server = settings.server
    kept = None
    if keeping is not None:
        from jupyterd.terminals.keeper_terminals import KeptTerminals

        kept = KeptTerminals(reactor, keeping.kept, state_thread)
    service = Terminals(
        reactor,
        TerminalManager(config=settings.config),
        lambda: Shell.of(server.terminado_settings, server.root_dir, server.connection_url),
        kept,
        keep,
    )
    if keeping is not None:
        keeping.finders.append(service.find)
    return service


def mount(root: Root, service: Callable[[], Terminals], settings: Settings, in_thread: InThread) -> None:
    """``/api/terminals`` and ``/terminals/websocket``."""
    server = settings.server
    ping = ping_times(server.websocket_ping_interval, server.websocket_ping_timeout)

    def resource() -> Any:
        from jupyterd.terminals.resource import TerminalsResource

        return TerminalsResource(service(), server.root_dir, in_thread, ping).app.resource()

    root.mount("/api/terminals", resource, auth="terminals")
    root.mount("/terminals/websocket", resource, auth="terminals", websocket=True)
