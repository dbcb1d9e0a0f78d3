"""``/api/config/<section>``."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import DeferredLock

from jupyterd.config.manager import ConfigManager
from jupyterd.errors import Invalid, NotFound
from jupyterd.system.threads import InThread
from jupyterd.web.api import Routes, json_api
from jupyterd.web.call import Call

_NAME = re.compile(r"\w+")
MAX_NAME_BYTES = 200
"""Bytes of a section's name: with an ending it has to be a file's."""


class NoSuchSection(NotFound):
    """A section's name is of letters, digits and underscores."""


class ConfigResource:
    """Get, replace and change sections.

    Changes are made one after the other: two front ends that change the same section at once both keep their part.
    """

    app = Routes()
    api = json_api(app)

    def __init__(self, sections: ConfigManager, in_thread: InThread) -> None:
        self._sections = sections
        self._in_thread = in_thread
        self._writing = DeferredLock()

    @api(("GET", "HEAD"), "/api/config/<section>")
    async def get(self, call: Call, section: str) -> Any:
        """The section; empty where nothing was ever stored."""
        return await self._in_thread(self._sections.get, _checked(section))

    @api("PUT", "/api/config/<section>", status=204)
    async def put(self, call: Call, section: str) -> None:
        """Store the body as the section."""
        data = await call.json_object()
        await self._write(self._sections.set, _checked(section), data)

    @api("PATCH", "/api/config/<section>")
    async def patch(self, call: Call, section: str) -> Any:
        """Put the body into the section; null deletes."""
        data = await call.json_object()
        return await self._write(self._sections.update, _checked(section), data)

    async def _write(self, change: Callable[[str, Any], Any], section: str, data: dict[str, Any]) -> Any:
        try:
            return await self._writing.run(self._in_thread, change, section, data)
        except RecursionError:
            raise Invalid("The request body is nested too deeply") from None


def _checked(section: str) -> str:
    if len(section.encode()) > MAX_NAME_BYTES:
        raise Invalid(f"A section's name has at most {MAX_NAME_BYTES} bytes")
    if not _NAME.fullmatch(section):
        raise NoSuchSection("Not Found")
    return section
