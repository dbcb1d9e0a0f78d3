"""Commands that ask a server that runs: one file for those of a kind, over one small client."""

from __future__ import annotations

from collections.abc import Sequence

COMMANDS = {
    "run": ("jupyterd.commands.run.RunCommand", "Have a server run a notebook."),
    "runs": ("jupyterd.commands.runs.RunsCommand", "The runs of a notebook."),
    "status": ("jupyterd.commands.status.StatusCommand", "What a running server does."),
    "kernels": ("jupyterd.commands.kernels.KernelsCommand", "The kernels of a running server."),
    "sessions": ("jupyterd.commands.kernels.SessionsCommand", "Which notebook has which kernel."),
    "interrupt": ("jupyterd.commands.kernels.InterruptCommand", "Interrupt a kernel."),
    "restart": (
        "jupyterd.commands.restart.RestartCommand",
        "Restart a kernel; or have a new process take over from a server.",
    ),
    "shutdown": ("jupyterd.commands.kernels.ShutdownCommand", "Shut a kernel down."),
    "extension": ("jupyterd.commands.extension.ExtensionCommand", "Server extensions: list, enable, disable, status."),
    "logs": ("jupyterd.commands.logs.LogsCommand", "What a kernel says."),
    "log-level": ("jupyterd.commands.log_level.LogLevelCommand", "What of a running server's log is written."),
    "completion": ("jupyterd.commands.completion.CompletionCommand", "Complete words in bash, zsh or fish."),
}
"""First word of a command line → the class that takes the rest, and what it is for."""


def start(argv: Sequence[str]) -> None:
    """Do what a command line whose first word is one of :data:`COMMANDS` says.

    :raises SystemExit: with the command's status.
    """
    from importlib import import_module

    module, _, name = COMMANDS[argv[0]][0].rpartition(".")
    command = getattr(import_module(module), name)()
    command.initialize(list(argv[1:]))
    command.start()
