"""Servers that run on this machine: finding them, stopping them, and the commands that do so."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from jupyter_core.application import JupyterApp
from traitlets import Bool, Integer, Unicode
from traitlets.config import Application

from jupyterd import DEFAULT_JUPYTER_SERVER_PORT, __version__, commands
from jupyterd.supervision.handover.kept_servers import LEFT, KeptServer, end_kept, kept_servers
from jupyterd.supervision.running_servers import list_running_servers, listens_on, shutdown_server


class CommandApp(Application):
    """One of :data:`jupyterd.commands.COMMANDS`, as traitlets wants subcommands."""

    def __init__(self, word: str, parent: Application) -> None:
        super().__init__(parent=parent)
        self._words = [word]

    def initialize(self, argv: Any = None) -> None:
        """Take its command line."""
        self._words += argv or []

    def start(self) -> None:
        """Do it; leaves with its exit status."""
        commands.start(self._words)


def as_applications(given: Mapping[str, tuple[str, str]]) -> dict[str, tuple[Any, str]]:
    """Commands as traitlets wants them."""
    return {word: (partial(CommandApp, word), text) for word, (_, text) in given.items()}


class JupyterServerListApp(JupyterApp):
    """``jupyterd list``."""

    name = "jupyterd-list"
    version = __version__
    description = "List currently running Jupyter servers."
    flags = {
        "jsonlist": ({"JupyterServerListApp": {"jsonlist": True}}, "One JSON list of all of them."),
        "json": ({"JupyterServerListApp": {"json": True}}, "One JSON object a line."),
    }
    jsonlist = Bool(False, config=True, help="One JSON list of all servers' info files.")
    json = Bool(False, config=True, help="One JSON object a line, each a server's info file.")

    def start(self) -> None:
        """Print them."""
        servers = list(list_running_servers(self.runtime_dir, log=self.log))
        if self.jsonlist:
            print(json.dumps(servers, indent=2))  # noqa: T201 - it is a command
            return
        if not self.json:
            print("Currently running servers:")  # noqa: T201
        for server in servers:
            print(json.dumps(server) if self.json else _line_of(server))  # noqa: T201
        kept = [] if self.json else kept_servers(self.runtime_dir)
        if kept:
            print(LEFT)  # noqa: T201
        for each in kept:
            print(each)  # noqa: T201


def _line_of(server: dict[str, Any]) -> str:
    token = f"?token={server['token']}" if server.get("token") else ""
    more = "".join(f", {url}" for url in server.get("more_urls", ()))
    return f"{server['url']}{token}{more} :: {server['root_dir']}"


class JupyterServerStopApp(JupyterApp):
    """``jupyterd stop [port or socket]``."""

    name = "jupyterd-stop"
    version = __version__
    description = "Stop currently running Jupyter server for a given port"
    port = Integer(DEFAULT_JUPYTER_SERVER_PORT, config=True, help="Port of the server to stop.")
    sock = Unicode("", config=True, help="UNIX socket of the server to stop.")
    kernels = Bool(False, config=True, help="End its kernels and terminals too, where it would keep them.")
    flags = {"kernels": ({"JupyterServerStopApp": {"kernels": True}}, "End its kernels and terminals too.")}

    def parse_command_line(self, argv: Any = None) -> None:
        """The first word is a port, or else the path of a socket."""
        super().parse_command_line(argv)
        if not self.extra_args:
            return
        if self.extra_args[0].isdecimal():
            self.port = int(self.extra_args[0])
        else:
            self.sock = os.path.abspath(self.extra_args[0])

    def shutdown_server(self, server: dict[str, Any]) -> bool:
        """Stop this one."""
        return shutdown_server(server, log=self.log, kernels="end" if self.kernels else "default")

    def start(self) -> None:
        """Find it and stop it; say what runs when it is not found."""
        servers = list(list_running_servers(self.runtime_dir, log=self.log))
        wanted = self.sock or self.port
        if not any(listens_on(each, wanted) for each in servers):
            kept = kept_servers(self.runtime_dir, str(wanted))
            if kept:
                self._end(kept)
                return
        if not servers:
            self.exit(f"There are no running servers (per {self.runtime_dir})")
        for server in servers:
            if listens_on(server, wanted):
                self._stop(wanted, server)
                return
        self.log.info("There is currently no server running on %s", wanted)
        self.log.info("Ports/sockets currently in use:")
        for server in servers:
            self.log.info(" - %s", server.get("sock") or server["port"])
        self.exit(1)

    def _end(self, kept: list[KeptServer]) -> None:
        for each in kept:
            self.log.info("The server is gone; ending what it left: %s", each)
            end_kept(each)

    def _stop(self, where: str | int, server: dict[str, Any]) -> None:
        self.log.info("Shutting down server on %s...", where)
        if not self.shutdown_server(server):
            sys.exit(f"Could not stop server on {where}")
        if self.sock and self.sock == server.get("sock"):
            _forget_socket(self.sock)


def _forget_socket(path: str) -> None:
    with suppress(OSError):  # the server has removed it itself
        os.unlink(path)


class JupyterPasswordApp(JupyterApp):
    """``jupyterd password``."""

    name = "jupyterd-password"
    version = __version__
    description = "Set a password for the Jupyter server; a token is no longer needed then."

    def _config_file_default(self) -> str:
        return os.path.join(self.config_dir, "jupyter_server_config.json")

    def start(self) -> None:
        """Ask for the password, twice, and write its hash."""
        from getpass import getpass

        from jupyterd.auth.passwords import set_password

        try:
            password, again = getpass("Enter password: "), getpass("Verify password: ")
        except EOFError:
            password = again = ""
        if password != again:
            self.exit("Passwords do not match.")
        if not password:
            self.exit("An empty password is none.")
        set_password(password, config_file=self.config_file)
        self.log.info("Wrote hashed password to %s", self.config_file)
