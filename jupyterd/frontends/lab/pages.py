"""JupyterLab's pages and files: ``/lab``, ``/doc``, ``/static/lab``, ``/lab/extensions``, ``/lab/api/themes``."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from glob import glob
from typing import Any

from jupyterd.errors import NotFound
from jupyterd.frontends.json_files import glob_escape
from jupyterd.frontends.lab.themes import relink
from jupyterd.frontends.page_config import MANAGERS, PageSurroundings, lab_page
from jupyterd.frontends.plugin import served
from jupyterd.frontends.settings import LabApp, LabServerApp
from jupyterd.frontends.static_files import StaticFiles, find
from jupyterd.frontends.templates import Templates
from jupyterd.system.threads import InThread
from jupyterd.utils import url_path_join
from jupyterd.web.api import Routes, json_api
from jupyterd.web.call import Call, Reply
from jupyterd.web.files import not_newer

HTML = "text/html; charset=UTF-8"
_VIEW = re.compile(r"(?:/workspaces/([A-Za-z0-9_-]+))?(?:/tree(?:/(.*))?)?", re.DOTALL)


def page(body: bytes) -> Reply:
    """An HTML page; it holds the token, so no cache keeps it."""
    return Reply(body, HTML, headers={"Cache-Control": "no-store"})


def without_slash(call: Call) -> Reply | None:
    """The redirect from a page's path with a slash at its end to the one without."""
    path, question, query = call.request.uri.decode("ascii", "replace").partition("?")
    if not path.endswith("/"):
        return None
    return Reply(b"", HTML, 301, {"Location": f"{path.rstrip('/')}{question}{query}"})


class LabPages:
    """``/lab`` and ``/doc``.

    :param around: tells of the server; called for each page.
    :param metadata: of the extension manager, asked for where JupyterLab does not bring it.
    """

    app = Routes()
    api = json_api(app)

    def __init__(
        self,
        lab: LabApp,
        around: Callable[[], Awaitable[PageSurroundings]],
        in_thread: InThread,
        metadata: Callable[[], Awaitable[dict[str, Any]]],
    ) -> None:
        self._lab = lab
        self._around = around
        self._in_thread = in_thread
        self._metadata = metadata
        self._templates = Templates(lab.templates_dir, lab.custom_css)
        self._store_ids = itertools.count()
        self._manager: dict[str, Any] | None = None

    @api(("GET", "HEAD"), "/lab")
    @api(("GET", "HEAD"), "/lab/<path:rest>")
    async def lab(self, call: Call, rest: str = "") -> Reply:
        """The application; what it does not know it tells the user itself."""
        return without_slash(call) or await self._page(call, rest, "multiple-document")

    @api(("GET", "HEAD"), "/doc")
    @api(("GET", "HEAD"), "/doc/<path:rest>")
    async def document(self, call: Call, rest: str = "") -> Reply:
        """The application with one document at a time."""
        if _VIEW.fullmatch(f"/{rest}" if rest else "") is None:
            raise NotFound
        return without_slash(call) or await self._page(call, rest, "single-document")

    async def _page(self, call: Call, rest: str, mode: str) -> Reply:
        view = _VIEW.fullmatch(f"/{rest}" if rest else "")
        extra: dict[str, Any] = {"mode": mode, "workspace": "default", "treePath": ""}
        if view is not None:
            extra |= {"workspace": view[1] or "default", "treePath": view[2] or ""}
        else:
            extra["notFoundUrl"] = call.request.path.decode("latin-1")
        if self._lab.extension_manager not in MANAGERS and not self._lab.core_mode:
            self._manager = self._manager or await self._metadata()
            extra["extensionManager"] = self._manager
        around = (await self._around()).shown_to(call.request)
        return page(await self._in_thread(self._render, around, extra))

    def _render(self, around: PageSurroundings, extra: dict[str, Any]) -> bytes:
        settings = lab_page(self._lab, around, next(self._store_ids))
        return self._templates.render("index.html", around, {**settings, **extra})


class LabFiles:
    """Static files of JupyterLab, of prebuilt extensions and of themes; none of them is secret."""

    app = Routes()
    api = json_api(app)

    def __init__(self, assets: StaticFiles, lab: LabServerApp, base_url: str, in_thread: InThread) -> None:
        self._assets = assets
        self._lab = lab
        self._themes_url = url_path_join(base_url, lab.themes_url)
        self._in_thread = in_thread

    @api(("GET", "HEAD"), "/static/lab/<path:path>")
    async def static(self, call: Call, path: str) -> object:
        """A file of the application."""
        return await self._assets.send(call, path, [self._lab.static_dir])

    @api(("GET", "HEAD"), "/lab/extensions/<path:path>")
    async def extension(self, call: Call, path: str) -> object:
        """A file of a prebuilt extension, or of the one that the server brings itself."""
        if own := served(path):
            return await self._assets.send(call, *own)
        return await self._assets.send(call, path, self._lab.extension_paths, self._lab.cache_files)

    @api(("GET", "HEAD"), "/lab/api/themes/<path:path>")
    async def theme(self, call: Call, path: str) -> object:
        """A file of a theme; style sheets with their links led back here."""
        directories = await self._in_thread(self._theme_directories)
        if not path.endswith(".css"):
            return await self._assets.send(call, path, directories, self._lab.cache_files)
        style, modified = await self._in_thread(_read, path, directories)
        headers = {
            "Cache-Control": self._assets.caching(call, path),
            "Last-Modified": formatdate(modified, usegmt=True),
        }
        if not_newer(modified, call.header("if-modified-since")):
            return Reply(b"", "text/css", 304, headers)
        return Reply(relink(style, path, self._themes_url), "text/css", headers=headers)

    def _theme_directories(self) -> list[str]:
        found: list[str] = []
        for directory in self._lab.extension_paths:
            for depth in ("*", "@*/*"):
                found += sorted(glob(os.path.join(glob_escape(directory), depth, "themes")))
        return [*found, self._lab.themes_dir] if self._lab.themes_dir else found


def _read(path: str, directories: list[str]) -> tuple[bytes, float]:
    """A file and when it was changed."""
    with open(find(path, directories), "rb") as file:
        return file.read(), os.fstat(file.fileno()).st_mtime
