"""``jupyterd runs NOTEBOOK``: which runs of a notebook there are, and how far they are."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any, TextIO

from jupyterd.commands.base import make_parser
from jupyterd.commands.client import CommandError
from jupyterd.commands.run import WRONG_USE, find


class RunsCommand:
    """``jupyterd runs``."""

    name = "jupyterd-runs"

    def parser(self) -> argparse.ArgumentParser:
        """What it takes."""
        return parser()

    def initialize(self, argv: Any = None) -> None:
        """Read the command line."""
        self.options = self.parser().parse_args(argv)

    def start(self) -> None:
        """Tell; leaves with an exit status."""
        raise SystemExit(runs(self.options, sys.stdout))


def parser() -> argparse.ArgumentParser:
    """What the command takes."""
    found = make_parser(
        "runs", "The runs of a notebook that a server remembers.", "runs a.ipynb", "runs a.ipynb --cancel ID"
    )
    found.add_argument("notebook", help="the file; with --server, its path on that server")
    found.add_argument("--server", metavar="URL", help="by default the one of this machine that has the file")
    found.add_argument("--cancel", metavar="ID", help="stop this one")
    found.add_argument("--json", action="store_true", help="one JSON object a line")
    return found


def runs(options: argparse.Namespace, stream: TextIO) -> int:
    """Do it; the exit status."""
    try:
        client, path = find(options.notebook, options.server)
        if options.cancel:
            client.ask("DELETE", f"api/contents/{path}/runs/{options.cancel}")
            return 0
        for model in client.ask("GET", f"api/contents/{path}/runs"):
            stream.write((json.dumps(model) if options.json else _line(model)) + "\n")
    except CommandError as error:
        sys.stderr.write(f"jupyterd runs: {error}\n")
        return WRONG_USE
    return 0


def _line(model: dict[str, Any]) -> str:
    when = (model["started"] or model["created"])[:19]
    error = model["error"] or {}
    why = f"  {error.get('ename')}: {error.get('evalue')}".splitlines()[0] if error else ""
    return f"{model['id']}  {when}  {model['state']:<9} {model['done']}/{model['total']}{why}"
