"""``jupyterd restart``: a kernel by another process of its kind, or a whole server by another process."""

from __future__ import annotations

import argparse
import os
from typing import Any, TextIO

from jupyterd.commands.base import Command, add_server, kernel_of, make_parser, server_of
from jupyterd.commands.client import CommandError
from jupyterd.supervision.running_servers import list_running_servers, listens_on

HIGHEST_PORT = 65535


class RestartCommand(Command):
    """``jupyterd restart``."""

    name = "jupyterd-restart"

    def parser(self) -> argparse.ArgumentParser:
        """See :class:`Command`."""
        found = make_parser(
            "restart",
            "Restart a kernel; or have a new process take over from a server, with its sockets, kernels and terminals.",
            "restart                   # the server, where one runs",
            "restart 8888              # the server on that port",
            "restart 1f3a              # the kernel whose id begins so",
            "restart work/a.ipynb      # the kernel of that notebook",
        )
        found.add_argument(
            "what", nargs="?", help="a server's port or UNIX socket; else a kernel's id, its beginning, or notebook"
        )
        found.add_argument("--kernel", action="store_true", help="it is a kernel, whatever it looks like")
        add_server(found)
        return found

    def act(self, options: argparse.Namespace, stream: TextIO) -> int:
        """See :class:`Command`."""
        servers = list(list_running_servers())
        what = options.what
        if what is not None and (options.kernel or not is_place(what, servers)):
            client = server_of(options)
            client.ask("POST", f"api/kernels/{kernel_of(client, what)['id']}/restart")
            return 0
        if options.server:
            raise CommandError("only a server of this machine can be restarted")
        stream.write(_restart(_meant(what or options.where, servers)))
        return 0


def is_place(word: str, servers: list[dict[str, Any]]) -> bool:
    """Whether a word is a port, or the path of a socket, and not a kernel."""
    if word.isdecimal():
        return int(word) <= HIGHEST_PORT
    return any(listens_on(server, os.path.abspath(word)) for server in servers)


def _meant(where: str | None, servers: list[dict[str, Any]]) -> dict[str, Any]:
    """The server that is meant; the one that runs where no place is given.

    :raises CommandError: there is none, or there are several.
    """
    if where is not None:
        wanted = where if where.isdecimal() else os.path.abspath(where)
        servers = [server for server in servers if listens_on(server, wanted)]
    if not servers:
        raise CommandError(f"no server runs{f' on {where}' if where else ''}")
    if len(servers) > 1:
        raise CommandError("several servers run, say which: " + ", ".join(str(server["url"]) for server in servers))
    return servers[0]


def _restart(server: dict[str, Any]) -> str:
    """Restart it; what came of it."""
    from jupyter_core.paths import jupyter_runtime_dir

    from jupyterd.supervision.handover.restart_command import RestartFailed, restart_server

    try:
        found = restart_server(server, lambda: list(list_running_servers()), jupyter_runtime_dir())
    except RestartFailed as error:
        raise CommandError(f"the server on {server['url']} serves on as it was: {error}") from error
    return f"Process {found['pid']} has taken over {found['url']} from {server['pid']}.\n"
