"""``jupyterd status``: what a running daemon does, once or again and again."""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from typing import Any, TextIO

from jupyter_core.paths import jupyter_runtime_dir

from jupyterd.commands.base import Command, add_server, local_servers, make_parser, server_of
from jupyterd.commands.client import CommandError, ServerClient
from jupyterd.supervision.handover.kept_servers import LEFT, kept_servers

EVERY = 2.0
"""Seconds between two looks of ``--watch``."""
CLEAR = "\x1b[H\x1b[2J"


def parser() -> argparse.ArgumentParser:
    """What the command takes."""
    found = make_parser(
        "status",
        "Show what a running jupyterd does: kernels, people, terminals, memory, stalls.",
        "status",
        "status 8888 --watch",
        "status --all --json",
        "status --server https://hub.example.org/user/ada/ --token ...",
    )
    add_server(found, positional=True)
    found.add_argument("--all", action="store_true", help="all servers of this machine's user")
    found.add_argument("--json", action="store_true", help="one JSON object a server")
    found.add_argument("--watch", action="store_true", help=f"paint it again each {EVERY:g} seconds")
    return found


def status(options: argparse.Namespace, stream: TextIO) -> int:
    """Show it, and what servers that are gone have left; 0, or 3 where no server runs, as init scripts have it."""
    left = [] if options.server else kept_servers(jupyter_runtime_dir(), options.where)
    if options.all or (left and not local_servers(options.where)):
        clients = local_servers(options.where)
    else:
        clients, left = [server_of(options)], []
    while True:
        pages = [page(client, options.json) for client in clients] or ([] if options.json else ["no server runs"])
        pages += [json.dumps(each.model()) for each in left] if options.json else [f"{LEFT}\n{each}" for each in left]
        stream.write((CLEAR if options.watch and not options.json else "") + "".join(f"{each}\n" for each in pages))
        stream.flush()
        if not options.watch or not clients:
            return 0 if clients else 3
        time.sleep(EVERY)


def page(client: ServerClient, as_json: bool = False) -> str:
    """One server's account, for people or programs."""
    try:
        account = client.ask("GET", "api/jupyterd/status")
    except CommandError as error:
        account = _plain(client, error)
    if as_json:
        return json.dumps({"url": client.url, **account})
    return "\n".join(lines_of(client.url, account))


def _plain(client: ServerClient, error: CommandError) -> dict[str, Any]:
    """What a Jupyter Server that is no jupyterd tells."""
    try:
        told = client.ask("GET", "api/status")
    except CommandError:
        raise error from None
    return {"status": told, "kernels": client.ask_raw("GET", "api/kernels?dead=1"), "terminals": [], "people": []}


def lines_of(url: str, account: dict[str, Any]) -> Iterator[str]:
    """An account as text."""
    if "status" in account:
        yield f"{url}  a Jupyter Server, started {account['status'].get('started', '')[:19]}"
    else:
        version, reactor = account["version"]["jupyterd"], account["reactor"]
        yield f"{url}  jupyterd {version}, pid {account['pid']}, up {span(account['uptime'])}, {account['root_dir']}"
        if account.get("more_urls"):
            yield "also at " + ", ".join(account["more_urls"])
        yield (
            f"cpu {account['cpu']} %, memory {size(account['memory'])}, {account['descriptors']} descriptors, "
            f"worst turn {1000 * reactor['worst']:.0f} ms, {reactor['stalls']} stalls"
        )
        stores, host = account["stores"], account["extension_host"]
        yield f"on disk: {size(stores['spill'])} of kernels' logs, {size(stores['versions'])} of notebooks' versions"
        if host is not None:
            yield f"extensions: {host['state']}, pid {host['pid']}, memory {size(host['memory'])}"
    people = ", ".join(f"{one['name']} ({one['tabs']})" for one in account["people"])
    yield f"people: {people or 'nobody'}; terminals: {len(account['terminals'])}; kernels: {len(account['kernels'])}"
    if account["kernels"]:
        yield ""
        yield from table(HEAD, [_row(kernel) for kernel in account["kernels"]])
    for kernel in account["kernels"]:
        if kernel.get("reason"):
            when = f"died {ago(kernel['died'])} ago: " if kernel.get("died") else ""
            yield f"{kernel['id'][:8]}: {when}{kernel['reason'].strip()}"


def ago(when: str | None) -> str:
    """How long something is ago; empty where that is not known."""
    if not when:
        return ""
    then = datetime.fromisoformat(when.replace("Z", "+00:00"))
    return span(max(0.0, (datetime.now(timezone.utc) - then).total_seconds()))


HEAD = ("KERNEL", "STATE", "SINCE", "CPU %", "MEMORY", "MSG/S", "LOG", "TABS", "NAME", "NOTEBOOK")


def _row(kernel: dict[str, Any]) -> tuple[str, ...]:
    cpu, log = kernel.get("cpu"), kernel.get("log_memory", 0) + kernel.get("log_disk", 0)
    return (
        kernel["id"][:8], kernel["execution_state"], ago(kernel.get("since")) or "-",
        "-" if cpu is None else f"{cpu:g}", size(kernel.get("memory")),
        f"{kernel.get('rate', 0):g}", size(log), str(kernel["connections"]), kernel["name"],
        ", ".join(kernel.get("paths", ())),
    )  # fmt: skip


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows in columns, none longer than the terminal."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    most = shutil.get_terminal_size((200, 24)).columns
    for row in (head, *rows):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        yield line[:most]


def size(count: int | None) -> str:
    """Bytes in a unit that is short to read."""
    if count is None:
        return "-"
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value /= 1000
    return f"{value:.0f} {unit}"


def span(seconds: float) -> str:
    """A time in the largest unit that fits."""
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{int(seconds // unit)} {name}"
    return f"{int(seconds)} s"


class StatusCommand(Command):
    """``jupyterd status``."""

    name = "jupyterd-status"

    def parser(self) -> argparse.ArgumentParser:
        """See :class:`Command`."""
        return parser()

    def act(self, options: argparse.Namespace, stream: TextIO) -> int:
        """See :func:`status`."""
        return status(options, stream)
