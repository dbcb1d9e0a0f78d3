"""Pages and paths around the contents API: ``/view``, ``/api/resolvePath`` and the old ``/api/notebooks``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from jupyterd.contents import operations
from jupyterd.contents.http.resource import escape
from jupyterd.contents.service import Contents
from jupyterd.errors import Invalid, NotFound
from jupyterd.web.api import Routes, json_api
from jupyterd.web.call import Call, Reply

KernelPath = Callable[[str, str], Awaitable[str | None]]


class Render(Protocol):
    """Makes a page of a template."""

    def __call__(self, name: str, **names: Any) -> bytes: ...


class ViewResource:
    """``/view/<path>``: a file in a frame without rights."""

    app = Routes()
    api = json_api(app)

    def __init__(self, contents: Contents, render: Render) -> None:
        self._contents = contents
        self._render = render

    @api(("GET", "HEAD"), "/view/<path:path>")
    async def view(self, call: Call, path: str) -> Reply:
        """The page with the frame.

        :raises NotFound: no such file.
        """
        path = call.path.removeprefix("/view").strip("/")
        if not await self._contents.ask(operations.file_exists, path):
            raise NotFound(f"File does not exist: {path}")
        url = f"{call.base_url}files/{escape(path)}"
        page = self._render("view.html", file_url=url, page_title=path.rsplit("/", 1)[-1])
        return Reply(page, content_type="text/html; charset=UTF-8")


class ResolvePathResource:
    """``/api/resolvePath``: what a path in a traceback or a terminal is called here.

    :param kernel_path: resolves a path for a kernel: gives its path, or None; raises NotFound for an unknown kernel.
    """

    app = Routes()
    api = json_api(app)

    def __init__(self, contents: Contents, kernel_path: KernelPath | None = None) -> None:
        self._contents = contents
        self._kernel_path = kernel_path

    @api(("GET", "HEAD"), "/api/resolvePath")
    async def resolve(self, call: Call) -> dict[str, Any]:
        """The scopes in which the path is known.

        :raises Invalid: no path is given. The reference's text.
        """
        path, kernel = call.arg("path"), call.arg("kernel")
        if path is None:
            raise Invalid("Missing argument path")
        found: list[dict[str, Any]] = [{"scope": "server", "path": await self._contents.ask(operations.resolve, path)}]
        answer: dict[str, Any] = {}
        if kernel and self._kernel_path is not None:
            try:
                found.append({"scope": "kernel", "path": await self._kernel_path(kernel, path)})
            except NotFound:
                reason = f"Kernel {kernel} could not be found"
                answer["unresolved"] = [{"scope": "kernel", "reason": reason}]
        return {"resolved": [entry for entry in found if entry["path"] is not None], **answer}


class NotebooksResource:
    """``/api/notebooks``: where old clients looked for what is at ``/api/contents``."""

    app = Routes()
    api = json_api(app)

    @api(("GET", "HEAD", "PUT", "PATCH", "POST", "DELETE"), "/api/notebooks")
    @api(("GET", "HEAD", "PUT", "PATCH", "POST", "DELETE"), "/api/notebooks/<path:path>")
    async def moved(self, call: Call, path: str = "") -> Reply:
        """A redirect."""
        path = call.path.removeprefix("/api/notebooks")
        return Reply(status=302, headers={"Location": f"{call.base_url}api/contents/{escape(path)}".rstrip("/")})
