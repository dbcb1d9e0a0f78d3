"""Kernels from a shell: ``jupyterd kernels``, ``sessions``, ``interrupt`` and ``shutdown``."""

from __future__ import annotations

import argparse
import json
from typing import Any, TextIO

from jupyterd.commands.base import Command, add_server, kernel_of, make_parser, on_kernel, server_of
from jupyterd.commands.status import table


def listing(words: str, description: str) -> argparse.ArgumentParser:
    """The parser of a command that lists."""
    found = make_parser(words, description, words, f"{words} --at 8889", f"{words} --json | jq .")
    add_server(found)
    found.add_argument("--json", action="store_true", help="one JSON object a line")
    return found


def _write(options: argparse.Namespace, stream: TextIO, found: Any, head: tuple[str, ...], rows: Any) -> None:
    lines = (json.dumps(one) for one in found) if options.json else table(head, rows)
    stream.writelines(f"{line}\n" for line in lines)


class KernelsCommand(Command):
    """``jupyterd kernels``."""

    name = "jupyterd-kernels"

    def parser(self) -> argparse.ArgumentParser:
        """See :class:`Command`."""
        return listing("kernels", "List the kernels of a server.")

    def act(self, options: argparse.Namespace, stream: TextIO) -> int:
        """See :class:`Command`."""
        found = server_of(options).ask_raw("GET", "api/kernels?dead=1")
        rows = [(one["id"], one["execution_state"], str(one["connections"]), one["name"]) for one in found]
        _write(options, stream, found, ("KERNEL", "STATE", "TABS", "NAME"), rows)
        return 0


class SessionsCommand(Command):
    """``jupyterd sessions``."""

    name = "jupyterd-sessions"

    def parser(self) -> argparse.ArgumentParser:
        """See :class:`Command`."""
        return listing("sessions", "List the sessions of a server: which notebook has which kernel.")

    def act(self, options: argparse.Namespace, stream: TextIO) -> int:
        """See :class:`Command`."""
        found = server_of(options).ask("GET", "api/sessions")
        rows = [
            (one["id"], one["type"], one["kernel"]["id"][:8], one["kernel"]["execution_state"], one["path"])
            for one in found
        ]
        _write(options, stream, found, ("SESSION", "TYPE", "KERNEL", "STATE", "PATH"), rows)
        return 0


class InterruptCommand(Command):
    """``jupyterd interrupt``."""

    name = "jupyterd-interrupt"

    def parser(self) -> argparse.ArgumentParser:
        """See :class:`Command`."""
        return on_kernel("interrupt", "Interrupt what a kernel runs.")

    def act(self, options: argparse.Namespace, stream: TextIO) -> int:
        """See :class:`Command`."""
        client = server_of(options)
        client.ask("POST", f"api/kernels/{kernel_of(client, options.kernel)['id']}/interrupt")
        return 0


class ShutdownCommand(Command):
    """``jupyterd shutdown``."""

    name = "jupyterd-shutdown"

    def parser(self) -> argparse.ArgumentParser:
        """See :class:`Command`."""
        return on_kernel("shutdown", "Shut a kernel down.")

    def act(self, options: argparse.Namespace, stream: TextIO) -> int:
        """See :class:`Command`."""
        client = server_of(options)
        client.ask("DELETE", f"api/kernels/{kernel_of(client, options.kernel)['id']}")
        return 0
