"""``/api/nbconvert``, ``GET /nbconvert/<format>/<path>``, ``POST /nbconvert/<format>``."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from jupyter_core.paths import jupyter_config_dir

from jupyterd.contents.managers.sync_or_async import settled
from jupyterd.nbconvert.converter import Converted, Converter
from jupyterd.nbconvert.formats import Formats
from jupyterd.utils import url_escape, url_path_join
from jupyterd.web.api import Routes, json_api
from jupyterd.web.body_schema import Body
from jupyterd.web.call import Call, Reply

if TYPE_CHECKING:
    from jupyterd.contents.service import Contents

NO_CACHE = "no-store, no-cache, must-revalidate, max-age=0"
HTML = "text/html; charset=UTF-8"


NOTEBOOK = Body(
    {
        "type": "object",
        "required": ["content"],
        "properties": {"name": {"type": "string"}, "content": {"type": "object"}},
    },
    missing="The request body needs name and content of a notebook",
)


class NbconvertResource:
    """Conversions, for browsers and other clients.

    :param contents: gives the contents service, where notebooks are read.
    :param policy: a Content-Security-Policy that takes the place of the sandbox; None to keep the sandbox.
    """

    app = Routes()
    api = json_api(app)

    def __init__(
        self, formats: Formats, converter: Converter, contents: Callable[[], Contents], policy: str | None = None
    ) -> None:
        self._formats = formats
        self._converter = converter
        self._contents = contents
        self._policy = policy

    @api("GET", "/api/nbconvert")
    async def formats(self, call: Call) -> object:
        """The formats there are."""
        return await self._formats.all()

    @api("GET", "/nbconvert/<form>/<path:path>")
    async def convert(self, call: Call, form: str, path: str) -> Reply:
        """A notebook of the contents in another format: ``download``, ``sanitize_html``.

        :raises NotFound: no such format, or nothing there.
        """
        path = path.strip("/")
        model, os_path = await self._contents().ask(read, path)
        if model["type"] != "notebook":
            location = url_path_join(call.base_url, "files", url_escape(path))
            return Reply(b"", HTML, 302, {"Location": location})
        title = os.path.splitext(model["name"])[0]
        modified = model["last_modified"]
        metadata = {"name": title, "modified_date": f"{modified:%B} {modified.day}, {modified.year}"}
        if os_path is not None:
            metadata["path"] = os.path.dirname(os_path)
        sanitize = call.arg("sanitize_html")
        converted = await self._converter.convert(
            form,
            model["content"],
            {"metadata": metadata, "config_dir": jupyter_config_dir()},
            sanitize=None if sanitize is None else sanitize.lower() == "true",
            gone=call.gone,
        )
        call.set_header("Last-Modified", format_datetime(modified, usegmt=True))
        call.set_header("Cache-Control", NO_CACHE)
        return self._reply(call, converted, title, (call.arg("download") or "").lower() == "true")

    @api("POST", "/nbconvert/<form>", body=NOTEBOOK)
    async def convert_body(self, call: Call, form: str) -> Reply:
        """A notebook of the request in another format: ``{"name": ..., "content": ...}``."""
        body = await call.json_object()
        name, notebook = body.get("name", "notebook.ipynb"), body["content"]
        title = os.path.splitext(name)[0]
        resources = {"metadata": {"name": title}, "config_dir": jupyter_config_dir()}
        converted = await self._converter.convert(form, notebook, resources, gone=call.gone)
        return self._reply(call, converted, title, False)

    def _reply(self, call: Call, converted: Converted, title: str, download: bool) -> Reply:
        headers = {"Cache-Control": NO_CACHE} if converted.extension == ".zip" else {}
        if download or converted.extension == ".zip":
            name = quote((title + converted.extension).encode("utf-8", "surrogateescape"), safe="")
            headers["Content-Disposition"] = f"attachment; filename*=utf-8''{name}"
        if self._policy is not None:
            headers["Content-Security-Policy"] = self._policy
        media_type = converted.media_type
        if media_type and converted.extension != ".zip":
            media_type += "; charset=utf-8"
        return Reply(converted.body, media_type or HTML, headers=headers)


async def read(manager: Any, path: str) -> tuple[dict[str, Any], str | None]:
    """What lies at a path, and the path of its file where the manager keeps files."""
    model: dict[str, Any] = await settled(manager.get(path, content=True))
    locate = getattr(manager, "_get_os_path", None)
    if isinstance(model["last_modified"], str):
        model["last_modified"] = datetime.fromisoformat(model["last_modified"].replace("Z", "+00:00"))
    return model, locate(path) if locate is not None else None
