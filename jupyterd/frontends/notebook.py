"""Jupyter Notebook 7's pages and files: ``/tree``, ``/notebooks``, ``/edit``, ``/consoles``, ``/terminals``."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any

from jupyter_core.paths import jupyter_config_dir

import jupyterd.web
from jupyterd.errors import NotFound
from jupyterd.frontends.json_files import read_object
from jupyterd.frontends.lab.pages import HTML, page
from jupyterd.frontends.page_config import PageSurroundings, notebook_page
from jupyterd.frontends.settings import JupyterNotebookApp
from jupyterd.frontends.static_files import StaticFiles
from jupyterd.frontends.templates import Templates
from jupyterd.system.threads import InThread
from jupyterd.utils import url_escape, url_path_join
from jupyterd.web.api import Routes, json_api
from jupyterd.web.call import Call, Reply

KindOf = Callable[[str], Awaitable[str | None]]


class NotebookPages:
    """The pages of Notebook 7.

    :param around: tells of the server; called for each page.
    :param kind_of: what lies at a path: ``directory``, ``notebook``, ``file``, or None.
    """

    app = Routes()
    api = json_api(app)

    def __init__(
        self,
        notebook: JupyterNotebookApp,
        around: Callable[[], Awaitable[PageSurroundings]],
        in_thread: InThread,
        kind_of: KindOf,
    ) -> None:
        self._notebook = notebook
        self._around = around
        self._in_thread = in_thread
        self._kind_of = kind_of
        self._templates = Templates(notebook.templates_dir, notebook.custom_css)

    @api(("GET", "HEAD"), "/tree")
    @api(("GET", "HEAD"), "/tree/<path:path>")
    async def tree(self, call: Call, path: str = "") -> Reply:
        """The file browser; files lead to where they are shown.

        :raises NotFound: nothing lies there.
        """
        path = path.strip("/")
        kind = await self._kind_of(path)
        if kind is None:
            raise NotFound
        if kind != "directory":
            return _redirect(call, "notebooks" if kind == "notebook" else "files", path)
        return await self._page(call, "tree.html", treePath=path)

    @api(("GET", "HEAD"), "/notebooks")
    @api(("GET", "HEAD"), "/notebooks/<path:path>")
    async def notebooks(self, call: Call, path: str = "") -> Reply:
        """A notebook; directories lead to the file browser."""
        path = path.strip("/")
        if await self._kind_of(path) == "directory":
            return _redirect(call, "tree", path)
        return await self._page(call, "notebooks.html")

    @api(("GET", "HEAD"), "/edit")
    @api(("GET", "HEAD"), "/edit/<path:path>")
    async def edit(self, call: Call, path: str = "") -> Reply:
        """A text file."""
        return await self._page(call, "edit.html")

    @api(("GET", "HEAD"), "/consoles/")
    @api(("GET", "HEAD"), "/consoles/<path:path>")
    async def consoles(self, call: Call, path: str = "") -> Reply:
        """A console."""
        return await self._page(call, "consoles.html")

    @api(("GET", "HEAD"), "/terminals/")
    @api(("GET", "HEAD"), "/terminals/<path:path>")
    async def terminals(self, call: Call, path: str = "") -> Reply:
        """A terminal."""
        return await self._page(call, "terminals.html")

    async def _page(self, call: Call, template: str, **extra: Any) -> Reply:
        around = (await self._around()).shown_to(call.request)
        return page(await self._in_thread(self._render, around, template, extra))

    def _render(self, around: PageSurroundings, template: str, extra: dict[str, Any]) -> bytes:
        settings = notebook_page(self._notebook, around, notebook_version(self._notebook.package))
        return self._templates.render(template, around, {**settings, **extra})


class NotebookFiles:
    """Static files of Notebook 7; none of them is secret."""

    app = Routes()
    api = json_api(app)

    def __init__(self, assets: StaticFiles, static_dir: str) -> None:
        self._assets = assets
        # One icon that its pages ask for is missing in the package.
        self._directories = [static_dir, os.path.join(os.path.dirname(jupyterd.web.__file__), "static")]

    @api(("GET", "HEAD"), "/static/notebook/<path:path>")
    async def static(self, call: Call, path: str) -> object:
        """A file of the application."""
        return await self._assets.send(call, path, self._directories)


class CustomFiles:
    """``/custom``: style that users lay over the pages.

    :param directories: of files; the Jupyter configuration's ``custom`` comes before them.
    """

    app = Routes()
    api = json_api(app)

    def __init__(self, assets: StaticFiles, directories: list[str]) -> None:
        self._assets = assets
        self._directories = directories

    @api(("GET", "HEAD"), "/custom/<path:path>")
    async def custom(self, call: Call, path: str) -> object:
        """A file; an empty ``custom.css`` where nobody has written one."""
        directories = [os.path.join(jupyter_config_dir(), "custom"), *self._directories]
        try:
            return await self._assets.send(call, path, directories)
        except NotFound:
            if path != "custom.css":
                raise
            return Reply(b"", "text/css", headers={"Cache-Control": "no-cache"})


def notebook_version(package: str) -> str:
    """The version of the installed Notebook."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("notebook")
    except PackageNotFoundError:
        built = read_object(os.path.join(package, "static", "package.json"))
        return str(built.get("version", ""))


def _redirect(call: Call, where: str, path: str) -> Reply:
    location = url_path_join(call.base_url, where, url_escape(path))
    return Reply(b"", HTML, 302, {"Location": location})
