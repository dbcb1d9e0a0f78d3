"""``jupyterd extension``: which server extensions are enabled, where that is written, and how those that run are."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from glob import escape, glob
from typing import Any, TextIO

from jupyter_core.paths import ENV_CONFIG_PATH, SYSTEM_CONFIG_PATH, jupyter_config_dir, jupyter_config_path

from jupyterd.commands.base import Command, add_server, make_parser, server_of
from jupyterd.commands.client import CommandError
from jupyterd.commands.status import size, table
from jupyterd.extensions.discovery import JUPYTEXT, SERVED, is_installed

FOLDER = "jupyter_server_config.d"


def parser() -> argparse.ArgumentParser:
    """What the command takes; the options of ``jupyter server extension``."""
    found = make_parser(
        "extension",
        "Server extensions.",
        "extension list",
        "extension disable jupyterlab_git --user",
        "extension status",
    )
    verbs = found.add_subparsers(dest="verb", required=True, metavar="list|enable|disable|status|restart")
    verbs.add_parser("list", help="all that are enabled or disabled anywhere")
    for verb in ("enable", "disable"):
        one = verbs.add_parser(verb, help=f"{verb} an extension")
        one.add_argument("names", nargs="+", metavar="NAME", help="the module's name")
        level = one.add_mutually_exclusive_group()
        level.add_argument("--user", action="store_const", dest="level", const="user", help="for this user")
        level.add_argument(
            "--sys-prefix", action="store_const", dest="level", const="sys-prefix", help="in this environment (default)"
        )
        level.add_argument("--system", action="store_const", dest="level", const="system", help="for everybody")
        one.add_argument("--py", "--python", action="store_true", help="no difference: for the reference's sake")
        one.set_defaults(level="sys-prefix")
    for verb, words in (("status", "how those of a running server are"), ("restart", "start them anew")):
        one = verbs.add_parser(verb, help=words)
        add_server(one)
        if verb == "status":
            one.add_argument("--json", action="store_true", help="what /api/extensions answers")
    return found


class ExtensionCommand(Command):
    """``jupyterd extension``."""

    name = "jupyterd-extension"

    def parser(self) -> argparse.ArgumentParser:
        """What it takes."""
        return parser()

    def act(self, options: argparse.Namespace, stream: TextIO) -> int:
        """Do it."""
        if options.verb == "list":
            lines = list(listing())
        elif options.verb in ("enable", "disable"):
            lines = [line for name in options.names for line in switch(name, options.verb == "enable", options.level)]
        elif options.verb == "restart":
            told = server_of(options).ask("POST", "api/extensions/restart")
            lines = [f"the extension host is {told['host']['state']}"]
        else:
            told = server_of(options).ask("GET", "api/extensions")
            lines = [json.dumps(told, indent=2)] if options.json else list(account(told))
        stream.write("\n".join(lines) + "\n")
        return 0


def directory_of(level: str) -> str:
    """Where the configuration of a level is: ``user``, ``sys-prefix`` or ``system``."""
    if level == "user":
        return str(jupyter_config_dir())
    return str(ENV_CONFIG_PATH[0] if level == "sys-prefix" else SYSTEM_CONFIG_PATH[0])


def read(directory: str) -> dict[str, tuple[bool, str]]:
    """The extensions that a directory's files name: whether each is enabled, and the file that says so."""
    found: dict[str, tuple[bool, str]] = {}
    files = sorted(glob(os.path.join(escape(directory), FOLDER, "*.json")))
    for path in [*files, os.path.join(directory, "jupyter_server_config.json")]:
        for name, on in _extensions(_content(path)).items():
            found[str(name)] = (bool(on), path)
    return found


def listing() -> Iterator[str]:
    """All of them, by directory; the one that wins first."""
    effective: dict[str, bool] = {}
    for directory in jupyter_config_path():
        found = read(directory)
        if not found:
            continue
        yield f"Config dir: {directory}"
        for name, (on, path) in sorted(found.items()):
            overruled = effective.setdefault(name, on) != on
            note = ", overruled above" if overruled else f", {_how(name)}" if on else ""
            yield f"    {name} {'enabled' if on else 'disabled'}{note} ({os.path.basename(path)})"
    if not effective:
        yield "no server extension is enabled or disabled"


def _how(name: str) -> str:
    if name in SERVED or name in JUPYTEXT:
        return "served by jupyterd itself"
    return "runs in the extension host" if is_installed(name) else "not installed"


def switch(name: str, on: bool, level: str) -> Iterator[str]:
    """Enable or disable an extension, in the file that names it already or in one of its own.

    :raises CommandError: it is not installed, or the file can not be written or is none that can be added to.
    """
    if on and not is_installed(name):
        raise CommandError(f"the module {name!r} could not be found: is the extension installed?")
    directory = directory_of(level)
    known = read(directory).get(name)
    path = known[1] if known is not None else os.path.join(directory, FOLDER, f"{name}.json")
    content = _content(path)
    if not content and os.path.exists(path) and os.path.getsize(path):
        raise CommandError(f"{path}: it holds no JSON object, and is left as it is")
    try:
        content.setdefault("ServerApp", {}).setdefault("jpserver_extensions", {})[name] = on
    except (AttributeError, TypeError):
        raise CommandError(f"{path}: its ServerApp.jpserver_extensions is no object, and is left as it is") from None
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
            file.write("\n")
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from None
    yield f"{name} is {'enabled' if on else 'disabled'} in {path}"
    winner = next((found[name] for found in map(read, jupyter_config_path()) if name in found), (on, path))
    if winner[0] != on:
        yield f"    {winner[1]} overrules it: there it is {'enabled' if winner[0] else 'disabled'}"
    yield "    a server that runs sees it when it is started again"


def _content(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _extensions(content: dict[str, Any]) -> dict[str, Any]:
    section = content.get("ServerApp")
    found = section.get("jpserver_extensions") if isinstance(section, dict) else None
    return found if isinstance(found, dict) else {}


HEAD = ("EXTENSION", "VERSION", "HOW", "LOAD", "MEMORY", "ROUTES", "ERROR")


def account(told: dict[str, Any]) -> Iterator[str]:
    """What a server tells of its extensions, as text."""
    host = told["host"]
    if host is None:
        yield "no extension host"
    else:
        yield f"extension host: {host['state']}, pid {host['pid']}, {size(host['memory'])}"
    rows = [
        (
            each["name"], each["version"] or "-", each["how"], f"{each['seconds']:.1f} s", size(each["memory"]),
            str(each["routes"]), each["error"],
        )
        for each in told["extensions"]
    ]  # fmt: skip
    yield from table(HEAD, rows)
    if host is not None:
        for event in host["history"]:
            yield f"  {event['what']}"
