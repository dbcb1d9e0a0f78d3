"""``/api/terminals``: list, start, end; ``/terminals/websocket/<name>``: show one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from jupyterd.system.threads import InThread
from jupyterd.terminals.manager import Terminals
from jupyterd.web.api import Routes, json_api
from jupyterd.web.body_schema import Body
from jupyterd.web.call import Call

if TYPE_CHECKING:
    from jupyterd.terminals.protocol import TerminalProtocol


TEXT = {"type": "string", "nullable": True}
START = Body({"type": "object", "properties": {"name": TEXT, "cwd": TEXT}}, required=False)


class TerminalsResource:
    """Terminals, for clients.

    :param root_dir: directories that clients name are relative to it, where they do not exist otherwise.
    """

    app = Routes()
    api = json_api(app)

    def __init__(self, terminals: Terminals, root_dir: str, in_thread: InThread, ping: tuple[float, float]) -> None:
        self._terminals = terminals
        self._root_dir = root_dir
        self._in_thread = in_thread
        self._ping = ping

    @api("GET", "/api/terminals")
    async def all(self, call: Call) -> object:
        """All terminals."""
        return self._terminals.list()

    @api("POST", "/api/terminals", body=START)
    async def create(self, call: Call) -> object:
        """Start one: ``name`` and ``cwd`` may be given."""
        body = await call.json_object()
        name, directory = body.get("name"), body.get("cwd")
        if directory is not None:
            directory = await self._in_thread(existing, directory, self._root_dir)
        return self._terminals.model(await self._terminals.start(name, directory))

    @api("GET", "/api/terminals/<name>")
    async def get(self, call: Call, name: str) -> object:
        """One terminal."""
        return self._terminals.model(self._terminals[name])

    @api("DELETE", "/api/terminals/<name>", status=204)
    async def delete(self, call: Call, name: str) -> None:
        """End one terminal and what runs in it."""
        await self._terminals[name].end()

    @api.websocket("/terminals/websocket/<name>")
    async def show(self, call: Call, name: str) -> TerminalProtocol:
        """Show one terminal."""
        from jupyterd.terminals.protocol import TerminalProtocol

        return TerminalProtocol(self._terminals[name], *self._ping)


def existing(directory: str, root_dir: str) -> str | None:
    """The directory that a client means; None where there is no such; blocks."""
    for candidate in (directory, os.path.join(os.path.expanduser(root_dir), directory)):
        if "\0" not in candidate and os.path.isdir(candidate):
            return os.path.realpath(candidate)
    return None
