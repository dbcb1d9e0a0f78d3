"""``/api/kernelspecs`` and ``/kernelspecs``: what is installed, and its logos."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Callable
from typing import Any, Protocol

from jupyterd.errors import Forbidden
from jupyterd.web.api import Routes, json_api
from jupyterd.web.call import Call, Reply
from jupyterd.web.files import FileReply

MONTH = 60 * 60 * 24 * 30


class Specs(Protocol):
    """Where kernelspecs come from."""

    async def models(self) -> dict[str, Any]:
        """The REST models of all, by name."""

    async def model(self, name: str) -> dict[str, Any]:
        """The REST model of one. Raises ``NoSuchKernelSpec``."""

    async def resource(self, name: str, path: str) -> bytes | str:
        """A file of one: its content, or its path on disk."""


class KernelSpecsResource:
    """The REST routes of kernelspecs.

    :param default: gives the name of the default kernel.
    """

    app = Routes()
    api = json_api(app)

    def __init__(self, specs: Specs, default: Callable[[], str]) -> None:
        self._specs = specs
        self._default = default

    @api("GET", "/api/kernelspecs")
    async def index(self, call: Call) -> dict[str, Any]:
        """All of them."""
        models = await self._specs.models()
        return {"default": self._default(), "kernelspecs": models}

    @api("GET", "/api/kernelspecs/<name>")
    async def show(self, call: Call, name: str) -> dict[str, Any]:
        """One of them."""
        return await self._specs.model(name)

    @api(("GET", "HEAD"), "/kernelspecs/<name>/<path:path>")
    async def file(self, call: Call, name: str, path: str) -> Reply | FileReply:
        """A file of its directory: a logo, ``kernel.js``."""
        if any(part in ("", ".", "..") for part in path.split("/")) or "\0" in path:
            raise Forbidden(f"{path} is not in the kernelspec's directory")
        headers = {"Cache-Control": f"max-age={MONTH}"} if path.lower().endswith(".png") else {}
        found = await self._specs.resource(name, path)
        if isinstance(found, bytes):
            return Reply(found, mimetypes.guess_type(path)[0] or "text/plain", headers=headers)
        root = os.path.realpath(found[: -len(path)])
        real = os.path.realpath(found)
        if not real.startswith(os.path.join(root, "")):
            raise Forbidden(f"{path} is not in the kernelspec's directory")
        return FileReply(real, headers=headers)
