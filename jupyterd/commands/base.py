"""Base of commands: an argparse parser, what it does, and the server that is meant."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any, TextIO

from jupyterd.commands.client import CommandError, ServerClient
from jupyterd.supervision.running_servers import list_running_servers, listens_on

WRONG_USE, INTERRUPTED = 2, 130
"""Exit statuses."""


class Command:
    """A subcommand of ``jupyterd``. Not an application of traitlets, whose import takes longer than all the rest."""

    name = ""

    def parser(self) -> argparse.ArgumentParser:
        """What it takes."""
        raise NotImplementedError

    def act(self, options: argparse.Namespace, stream: TextIO) -> int:
        """Do it, write to ``stream``, and give the exit status.

        :raises CommandError: it can not be done.
        """
        raise NotImplementedError

    def initialize(self, argv: Any = None) -> None:
        """Read the command line."""
        self.options = self.parser().parse_args(argv)

    def start(self) -> None:
        """Do it; leaves with the exit status."""
        try:
            status = self.act(self.options, sys.stdout)
            sys.stdout.flush()
        except CommandError as error:
            sys.stderr.write(f"{self.name.replace('-', ' ', 1)}: {error}\n")
            status = WRONG_USE
        except KeyboardInterrupt:
            status = INTERRUPTED
        except BrokenPipeError:  # whoever read it has had enough
            sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the end
            status = 0
        raise SystemExit(status)


def make_parser(words: str, description: str, *examples: str) -> argparse.ArgumentParser:
    """The parser of ``jupyterd words``; its help ends with examples, without ``jupyterd``."""
    shown = "".join(f"  jupyterd {example}\n" for example in examples)
    return argparse.ArgumentParser(
        f"jupyterd {words}",
        description=description,
        epilog=f"examples:\n{shown}" if shown else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_server(parser: argparse.ArgumentParser, positional: bool = False) -> None:
    """The options that say which server is meant."""
    where = "port or UNIX socket of a server of this machine; not needed where one runs"
    if positional:
        parser.add_argument("where", nargs="?", help=where)
    else:
        parser.add_argument("--at", dest="where", metavar="PORT|SOCKET", help=where)
    parser.add_argument("--server", metavar="URL", help="a server anywhere; its token may be in the URL")
    parser.add_argument("--token", metavar="TOKEN", help="its token; by default JUPYTER_TOKEN's")


def on_kernel(words: str, description: str, *examples: str) -> argparse.ArgumentParser:
    """The parser of a command about one kernel."""
    found = make_parser(words, description, f"{words} 1f3a", f"{words} work/a.ipynb --at 8889", *examples)
    found.add_argument("kernel", help="its id, the beginning of its id, or its notebook's path")
    add_server(found)
    return found


def local_servers(where: str | None = None) -> list[ServerClient]:
    """The servers of this machine's user; those on a port or socket if ``where`` names one."""
    wanted = os.path.abspath(where) if where and not where.isdecimal() else where
    found = []
    for info in list_running_servers():
        if wanted is not None and not listens_on(info, wanted):
            continue
        found.append(ServerClient(str(info["url"]), str(info.get("token") or ""), str(info.get("root_dir") or "")))
    return found


def server_of(options: argparse.Namespace) -> ServerClient:
    """The one server that the options mean.

    :raises CommandError: there is none, or there are several.
    """
    if options.server:
        client = ServerClient.at(options.server)
        return ServerClient(client.url, options.token) if options.token else client
    found = local_servers(options.where)
    if not found:
        on = f" on {options.where}" if options.where else ""
        raise CommandError(f"no server runs{on}")
    if len(found) > 1:
        raise CommandError("several servers run, say which: " + ", ".join(client.url for client in found))
    return found[0]


def kernel_of(client: ServerClient, wanted: str) -> dict[str, Any]:
    """The kernel that is meant by its id, the beginning of its id, or its notebook's path.

    :raises CommandError: none is, or several are.
    """
    kernels = {kernel["id"]: kernel for kernel in client.ask_raw("GET", "api/kernels?dead=1")}
    paths = {session["kernel"]["id"]: session["path"] for session in client.ask("GET", "api/sessions")}
    found = [kernel for name, kernel in kernels.items() if name.startswith(wanted) or paths.get(name) == wanted]
    if len(found) == 1:
        return {**found[0], "path": paths.get(found[0]["id"], "")}
    raise CommandError(f"{'no kernel is' if not found else 'several kernels are'} meant by {wanted!r}")
