"""``jupyterd logs``: what a kernel says, from its message log."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any, TextIO

from jupyterd.commands.base import Command, kernel_of, on_kernel, server_of

FOLLOW = 1.0
"""Seconds between two looks of ``logs --follow``."""


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


class LogsCommand(Command):
    """``jupyterd logs``."""

    name = "jupyterd-logs"

    def parser(self) -> argparse.ArgumentParser:
        """See :class:`Command`."""
        found = on_kernel(
            "logs", "Print what a kernel says on stdout and stderr, its results and errors.", "logs 1f3a --follow"
        )
        found.add_argument("--follow", "-f", action="store_true", help="go on until Ctrl-C")
        found.add_argument("--json", action="store_true", help="every message, one JSON object a line")
        return found

    def act(self, options: argparse.Namespace, stream: TextIO) -> int:
        """See :class:`Command`."""
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
