"""Settings of terminals, and the command and environment that follow from them."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from shutil import which
from typing import Any

from traitlets import Integer
from traitlets.config import Configurable

DEFAULT_CULL_INTERVAL = 300


class TerminalManager(Configurable):
    """Settings of terminals, under the name that operators know."""

    cull_inactive_timeout = Integer(
        0, config=True, help="Seconds without output or input after which a terminal is ended; 0 and less: never."
    )
    cull_interval = Integer(DEFAULT_CULL_INTERVAL, config=True, help="Seconds between looks for such terminals.")


@dataclass(frozen=True)
class Shell:
    """What runs in a new terminal.

    :param command: program and arguments.
    :param environment: all of it; None for a variable takes it away.
    :param directory: where it starts, unless a client asks for another.
    """

    command: tuple[str, ...]
    environment: Mapping[str, str | None]
    directory: str

    @classmethod
    def of(cls, settings: Mapping[str, Any], root_dir: str, url: str) -> Shell:
        """From ``ServerApp.terminado_settings``.

        :param url: where the server is; programs in the terminal find it as ``JUPYTER_SERVER_URL``.
        """
        told = settings.get("shell_command")
        if isinstance(told, str):
            told = shlex.split(told)
        command = list(told) if told else [os.environ.get("SHELL") or which("sh") or "/bin/sh"]
        if not told and not _at_terminal():
            # Started by a supervisor, the daemon has none of the user's environment: a login shell reads it.
            command.append("-l")
        environment = {
            "TERM": str(settings.get("type") or "xterm-256color"),
            "JUPYTER_SERVER_ROOT": root_dir,
            "JUPYTER_SERVER_URL": url,
            **settings.get("extra_env", {}),
        }
        return cls(tuple(command), environment, os.path.expanduser(root_dir))

    def variables(self, rows: int, columns: int) -> dict[str, str]:
        """The environment of a process in a terminal of that size."""
        variables = dict(os.environ)
        size = {"COLUMNS": str(columns), "LINES": str(rows), "PYXTERM_DIMENSIONS": f"{columns}x{rows}"}
        for name, value in {**size, **self.environment}.items():
            if value is None:
                variables.pop(name, None)
            else:
                variables[name] = value
        return variables


def _at_terminal() -> bool:
    try:
        return sys.stdout.isatty()
    except (AttributeError, ValueError):  # no standard output, or a closed one
        return False
