"""Kernels from a shell: ``jupyterd kernels``, ``sessions``, ``interrupt``, ``shutdown`` and ``logs``."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any, TextIO

from jupyterd.commands.base import Command, add_server, kernel_of, make_parser, server_of
from jupyterd.commands.status import table

FOLLOW = 1.0
"""Seconds between two looks of ``logs --follow``."""


def listing(words: str, description: str) -> argparse.ArgumentParser:
    """The parser of a command that lists."""
    found = make_parser(words, description, words, f"{words} --at 8889", f"{words} --json | jq .")
    add_server(found)
    found.add_argument("--json", action="store_true", help="one JSON object a line")
    return found


def on_kernel(words: str, description: str, *examples: str) -> argparse.ArgumentParser:
    """The parser of a command about one kernel."""
    found = make_parser(words, description, f"{words} 1f3a", f"{words} work/a.ipynb --at 8889", *examples)
    found.add_argument("kernel", help="its id, the beginning of its id, or its notebook's path")
    add_server(found)
    return found


def kernels(options: argparse.Namespace, stream: TextIO) -> int:
    """List kernels."""
    found = server_of(options).ask_raw("GET", "api/kernels?dead=1")
    rows = [(one["id"], one["execution_state"], str(one["connections"]), one["name"]) for one in found]
    _write(options, stream, found, ("KERNEL", "STATE", "TABS", "NAME"), rows)
    return 0


def sessions(options: argparse.Namespace, stream: TextIO) -> int:
    """List sessions."""
    found = server_of(options).ask("GET", "api/sessions")
    rows = [
        (one["id"], one["type"], one["kernel"]["id"][:8], one["kernel"]["execution_state"], one["path"])
        for one in found
    ]
    _write(options, stream, found, ("SESSION", "TYPE", "KERNEL", "STATE", "PATH"), rows)
    return 0


def _write(options: argparse.Namespace, stream: TextIO, found: Any, head: tuple[str, ...], rows: Any) -> None:
    lines = (json.dumps(one) for one in found) if options.json else table(head, rows)
    stream.writelines(f"{line}\n" for line in lines)


def interrupt(options: argparse.Namespace, stream: TextIO) -> int:
    """Interrupt a kernel."""
    client = server_of(options)
    client.ask("POST", f"api/kernels/{kernel_of(client, options.kernel)['id']}/interrupt")
    return 0


def shutdown(options: argparse.Namespace, stream: TextIO) -> int:
    """Shut a kernel down."""
    client = server_of(options)
    client.ask("DELETE", f"api/kernels/{kernel_of(client, options.kernel)['id']}")
    return 0


def logs_parser() -> argparse.ArgumentParser:
    """What ``jupyterd logs`` takes."""
    found = on_kernel(
        "logs", "Print what a kernel says on stdout and stderr, its results and errors.", "logs 1f3a --follow"
    )
    found.add_argument("--follow", "-f", action="store_true", help="go on until Ctrl-C")
    found.add_argument("--json", action="store_true", help="every message, one JSON object a line")
    return found


def logs(options: argparse.Namespace, stream: TextIO) -> int:
    """Print a kernel's message log."""
    client = server_of(options)
    kernel_id, since = kernel_of(client, options.kernel)["id"], 0
    while True:
        told = client.ask_raw("GET", f"api/kernels/{kernel_id}/log?since={since}&limit=1000")
        for message in told["messages"]:
            text = json.dumps(message) + "\n" if options.json else text_of(message)
            stream.write(text)
        stream.flush()
        since = told["next"]
        if since < told["end"]:
            continue
        if not options.follow:
            return 0
        time.sleep(FOLLOW)


def text_of(message: dict[str, Any]) -> str:
    """What a message of the log shows a person; nothing where it shows nothing."""
    kind, content = (message.get("header") or {}).get("msg_type"), message.get("content") or {}
    if kind == "stream":
        return str(content.get("text", ""))
    if kind in ("execute_result", "display_data"):
        return f"{content.get('data', {}).get('text/plain', '')}\n"
    if kind == "error":
        return "\n".join([*content.get("traceback", []), ""])
    return ""


class KernelsCommand(Command):
    """``jupyterd kernels``."""

    name = "jupyterd-kernels"

    def parser(self) -> argparse.ArgumentParser:
        """See :class:`Command`."""
        return listing("kernels", "List the kernels of a server.")

    def act(self, options: argparse.Namespace, stream: TextIO) -> int:
        """See :func:`kernels`."""
        return kernels(options, stream)


class SessionsCommand(Command):
    """``jupyterd sessions``."""

    name = "jupyterd-sessions"

    def parser(self) -> argparse.ArgumentParser:
        """See :class:`Command`."""
        return listing("sessions", "List the sessions of a server: which notebook has which kernel.")

    def act(self, options: argparse.Namespace, stream: TextIO) -> int:
        """See :func:`sessions`."""
        return sessions(options, stream)


class InterruptCommand(Command):
    """``jupyterd interrupt``."""

    name = "jupyterd-interrupt"

    def parser(self) -> argparse.ArgumentParser:
        """See :class:`Command`."""
        return on_kernel("interrupt", "Interrupt what a kernel runs.")

    def act(self, options: argparse.Namespace, stream: TextIO) -> int:
        """See :func:`interrupt`."""
        return interrupt(options, stream)


class ShutdownCommand(Command):
    """``jupyterd shutdown``."""

    name = "jupyterd-shutdown"

    def parser(self) -> argparse.ArgumentParser:
        """See :class:`Command`."""
        return on_kernel("shutdown", "Shut a kernel down.")

    def act(self, options: argparse.Namespace, stream: TextIO) -> int:
        """See :func:`shutdown`."""
        return shutdown(options, stream)


class LogsCommand(Command):
    """``jupyterd logs``."""

    name = "jupyterd-logs"

    def parser(self) -> argparse.ArgumentParser:
        """See :class:`Command`."""
        return logs_parser()

    def act(self, options: argparse.Namespace, stream: TextIO) -> int:
        """See :func:`logs`."""
        return logs(options, stream)
