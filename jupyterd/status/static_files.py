"""The server's own small files: icons, style, ``/robots.txt``."""

from __future__ import annotations

import os
from collections.abc import Sequence

import jupyterd.web
from jupyterd.frontends.static_files import Assets
from jupyterd.web.api import Routes, json_api
from jupyterd.web.call import Call, Reply

OWN = os.path.join(os.path.dirname(jupyterd.web.__file__), "static")
DAY = "public, max-age=86400"


class OwnFiles:
    """``/static``, ``/favicon.ico``, ``/robots.txt``.

    :param directories: of an operator; their files win (``ServerApp.extra_static_paths``).
    """

    app = Routes()
    api = json_api(app)

    def __init__(self, assets: Assets, directories: Sequence[str]) -> None:
        self._assets = assets
        self._directories = [*(os.path.expanduser(each) for each in directories), OWN]

    @api(("GET", "HEAD"), "/static/<path:path>")
    async def static(self, call: Call, path: str) -> object:
        """A file."""
        return await self._assets.send(call, path, self._directories)

    @api(("GET", "HEAD"), "/favicon.ico")
    async def favicon(self, call: Call) -> object:
        """What browsers ask for by themselves."""
        return await self._assets.send(call, "favicons/favicon.ico", self._directories)

    @api(("GET", "HEAD"), "/robots.txt")
    async def robots(self, call: Call) -> object:
        """Nothing here is for search engines."""
        return Reply(b"User-agent: *\nDisallow: /\n", "text/plain; charset=utf-8", headers={"Cache-Control": DAY})
