"""``jupyterd run NOTEBOOK``: have a server run a notebook, and watch it."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, TextIO

from jupyterd.commands.base import make_parser
from jupyterd.commands.client import CommandError, NoAnswer, ServerClient, Unknown

POLL = 0.3
"""Seconds between two looks at a run."""

AWAY = 120.0
"""Seconds for which the server may be away: it is started again, and its runs go on."""

FAILED, WRONG_USE, INTERRUPTED = 1, 2, 130
"""Exit statuses."""

WIDTH = 30


class _Ended(CommandError):
    """The server was stopped and no kernel stayed: the one that was started since knows nothing of the run."""


class RunCommand:
    """``jupyterd run``."""

    name = "jupyterd-run"

    def parser(self) -> argparse.ArgumentParser:
        """What it takes."""
        return parser()

    def initialize(self, argv: Any = None) -> None:
        """Read the command line."""
        self.options = self.parser().parse_args(argv)

    def start(self) -> None:
        """Run; leaves with the exit status of the run."""
        raise SystemExit(run(self.options, sys.stderr))


def parser() -> argparse.ArgumentParser:
    """What the command takes."""
    found = make_parser(
        "run",
        "Run a notebook on a server; its outputs are saved there.",
        "run a.ipynb",
        "run a.ipynb -p alpha 0.1 --keep-kernel",
        "run work/a.ipynb --server http://host:8888/?token=... --detach",
    )
    found.add_argument("notebook", help="the file; with --server, its path on that server")
    found.add_argument("-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    found.add_argument("-r", "--raw-parameter", nargs=2, action="append", default=[], metavar=("NAME", "TEXT"))
    found.add_argument("--server", metavar="URL", help="by default the one of this machine that has the file")
    found.add_argument("--kernel", metavar="NAME", help="the kernelspec, if the notebook does not run yet")
    found.add_argument("--from", dest="begin", metavar="CELL", help="id or position of the first cell to run")
    found.add_argument("--keep-going", action="store_true", help="go on after a cell that fails")
    found.add_argument("--keep-kernel", action="store_true", help="leave a kernel that is started for this running")
    found.add_argument("--detach", action="store_true", help="do not wait; see `jupyterd runs`")
    return found


def find(notebook: str, server: str | None) -> tuple[ServerClient, str]:
    """The server of a notebook, and what it calls it.

    :raises CommandError: there is no such file, or no server for it.
    """
    if server is not None:
        return ServerClient.at(server), notebook.strip("/")
    if not os.path.exists(notebook):
        raise CommandError(f"There is no file {notebook}")
    client = ServerClient.for_file(notebook)
    return client, client.api_path(notebook)


def run(options: argparse.Namespace, stream: TextIO) -> int:
    """Do it; the exit status.

    :param stream: where progress is shown.
    """
    try:
        client, path = find(options.notebook, options.server)
        model = client.ask("POST", f"api/contents/{path}/run", _body(options))
        if options.detach:
            sys.stdout.write(f"{model['id']}\n")
            return 0
        return _watch(options, client, path, model, stream)
    except CommandError as error:
        stream.write(f"jupyterd run: {error}\n")
        return WRONG_USE


def _body(options: argparse.Namespace) -> dict[str, Any]:
    parameters: dict[str, Any] = {name: value_of(text) for name, text in options.parameter}
    parameters.update(dict(options.raw_parameter))
    body: dict[str, Any] = {"stop_on_error": not options.keep_going, "shut_down": not options.keep_kernel}
    if parameters:
        body["parameters"] = parameters
    if options.kernel:
        body["kernel_name"] = options.kernel
    if options.begin is not None:
        body["from"] = int(options.begin) if options.begin.isdecimal() else options.begin
    return body


def value_of(text: str) -> Any:
    """What a parameter on the command line means: a number, True, False, None, or text. Source: papermill."""
    words = {"True": True, "False": False, "None": None}
    if text in words:
        return words[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _watch(options: argparse.Namespace, client: ServerClient, path: str, model: dict[str, Any], stream: TextIO) -> int:
    bar = Bar(stream, path)
    where = f"api/contents/{path}/runs/{model['id']}"
    try:
        while model["ended"] is None:
            bar.show(model)
            time.sleep(POLL)
            client, model = _look(options, client, where)
    except KeyboardInterrupt:
        client.ask("DELETE", where)
        stream.write("\njupyterd run: cancelled\n")
        return INTERRUPTED
    except _Ended as error:
        bar.end()
        stream.write(f"jupyterd run: {error}, after {model['done']} of {model['total']} cells\n")
        return FAILED
    bar.show(model)
    bar.end()
    if model["error"]:
        stream.write("".join(f"{line}\n" for line in _lines(model["error"])))
    return 0 if model["state"] == "ok" else FAILED


def _look(options: argparse.Namespace, client: ServerClient, where: str) -> tuple[ServerClient, dict[str, Any]]:
    """How far a run is, and who said so: a server that was started again may have another port and token."""
    deadline, away = time.monotonic() + AWAY, False
    while True:
        try:
            return client, client.ask("GET", where)
        except NoAnswer:
            away = True
            if time.monotonic() > deadline:
                raise
        except Unknown:
            if away:
                raise _Ended("The server was stopped, and the run ended with it") from None
            raise
        time.sleep(POLL)
        with suppress(CommandError):
            client, _ = find(options.notebook, options.server)


def _lines(error: dict[str, Any]) -> Sequence[str]:
    trace = error.get("traceback") or [f"{error.get('ename')}: {error.get('evalue')}"]
    where = error.get("cell_id") or error.get("index")
    return trace if where is None else [f"In cell {where}:", *trace]


class Bar:
    """A bar on a terminal; elsewhere a line for each cell that has ended."""

    def __init__(self, stream: TextIO, title: str) -> None:
        self._stream, self._title = stream, title
        self._seen: tuple[Any, ...] = ()

    def show(self, model: dict[str, Any]) -> None:
        """How far it is."""
        seen = (model["done"], model["total"], model["state"])
        if seen == self._seen:
            return
        self._seen = seen
        done, total, state = seen
        if self._stream.isatty():
            full = WIDTH * done // total if total else WIDTH
            self._stream.write(f"\r{self._title} [{'#' * full}{'.' * (WIDTH - full)}] {done}/{total} {state:<9}")
        else:
            self._stream.write(f"{self._title} {done}/{total} {state}\n")
        self._stream.flush()

    def end(self) -> None:
        """Leave the line."""
        if self._stream.isatty():
            self._stream.write("\n")
