"""Static files of the server's own: icons, style, ``/robots.txt``."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence

import jupyterd.web
from jupyterd.errors import NotFound
from jupyterd.frontends.static_files import StaticFiles
from jupyterd.web.api import Routes, json_api
from jupyterd.web.call import Call, Reply

OWN = os.path.join(os.path.dirname(jupyterd.web.__file__), "static")
DAY = "public, max-age=86400"


class OwnFiles:
    """``/static``, ``/favicon.ico``, ``/robots.txt``.

    :param directories: of an operator; their files win (``ServerApp.extra_static_paths``).
    :param more: directories of server extensions, for what is in none of the others.
    """

    app = Routes()
    api = json_api(app)

    def __init__(
        self,
        assets: StaticFiles,
        directories: Sequence[str],
        more: Callable[[], Awaitable[Sequence[str]]] | None = None,
    ) -> None:
        self._assets = assets
        self._more = more
        self._directories = [*(os.path.expanduser(each) for each in directories), OWN]

    @api(("GET", "HEAD"), "/static/<path:path>")
    async def static(self, call: Call, path: str) -> object:
        """A file."""
        try:
            return await self._assets.send(call, path, self._directories)
        except NotFound:
            if self._more is None:
                raise
        return await self._assets.send(call, path, list(await self._more()))

    @api(("GET", "HEAD"), "/favicon.ico")
    async def favicon(self, call: Call) -> object:
        """What browsers ask for by themselves."""
        return await self._assets.send(call, "favicons/favicon.ico", self._directories)

    @api(("GET", "HEAD"), "/robots.txt")
    async def robots(self, call: Call) -> object:
        """Nothing here is for search engines."""
        return Reply(b"User-agent: *\nDisallow: /\n", "text/plain; charset=utf-8", headers={"Cache-Control": DAY})
