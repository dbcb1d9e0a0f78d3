"""``jupyterd log-level``: what of a running server's log is written."""

from __future__ import annotations

import argparse
from typing import TextIO

from jupyterd.commands.base import Command, add_server, make_parser, server_of

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
NONE = "default"


class LogLevelCommand(Command):
    """``jupyterd log-level``."""

    name = "jupyterd-log-level"

    def parser(self) -> argparse.ArgumentParser:
        """See :class:`Command`."""
        found = make_parser(
            "log-level",
            "Show or change the level of a running server's log, until its settings are read again (SIGHUP).",
            "log-level",
            "log-level DEBUG",
            "log-level jupyterd.kernels DEBUG",
            f"log-level jupyterd.kernels {NONE}     # take its own level away",
        )
        found.add_argument("namespace", nargs="?", help="for it and all below it; without one, for all")
        found.add_argument(
            "level", nargs="?", help=f"{', '.join(LEVELS)}, or {NONE}; without one, the levels are shown"
        )
        add_server(found)
        return found

    def act(self, options: argparse.Namespace, stream: TextIO) -> int:
        """See :class:`Command`."""
        client = server_of(options)
        namespace, level = (options.namespace or "", options.level) if options.level else ("", options.namespace)
        if level is None:
            told = client.ask("GET", "api/jupyterd/log-level")
        else:
            asked = {"namespace": namespace, "level": None if level == NONE else level}
            told = client.ask("PUT", "api/jupyterd/log-level", asked)
        stream.write(f"{told['level']}\n")
        stream.writelines(f"{name} {own}\n" for name, own in told["namespaces"].items())
        return 0
