"""Server as operators and extensions know it: its settings, URLs, files and commands."""

from __future__ import annotations

from jupyterd.embedding import ServerWebApplication, embed, load_handlers
from jupyterd.settings.server_app import ServerApp
from jupyterd.settings.subcommands import JupyterPasswordApp, JupyterServerListApp, JupyterServerStopApp
from jupyterd.supervision.running_servers import list_running_servers, shutdown_server
from jupyterd.supervision.sockets import random_ports


def _serve(argv: list[str]) -> None:
    from jupyterd.__main__ import main

    main(argv)


ServerApp.serve = staticmethod(_serve)  # type: ignore[method-assign]
ServerApp.make_embedded = staticmethod(embed)  # type: ignore[method-assign]

__all__ = [
    "JupyterPasswordApp",
    "JupyterServerListApp",
    "JupyterServerStopApp",
    "ServerApp",
    "ServerWebApplication",
    "list_running_servers",
    "load_handlers",
    "random_ports",
    "shutdown_server",
]
