"""Private API of the extension host: kernels, sessions, contents; on a socket that it alone can use."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jupyterd.auth.user import User
from jupyterd.contents.service import Contents
from jupyterd.errors import Failed, Invalid
from jupyterd.kernels.manager import MappingKernelManager
from jupyterd.kernelspecs.manager import NoSuchKernelSpec
from jupyterd.system.processes.marked import MARK
from jupyterd.web.api import Routes, json_api
from jupyterd.web.call import Call
from jupyterd.web.refusal import Refusal

if TYPE_CHECKING:
    from jupyterd.web.root import Mount
    from jupyterd.web.server.request import Request

UPDATE = b"X-Jupyterd-Update"
"""In each answer: the number of the update that holds what the request has changed."""


class HostGate:
    """Lets the host in, and nobody else.

    :param key: what it must show.
    :param update: the number of the last update that was pushed to it.
    """

    def __init__(self, key: bytes, update: Callable[[], int]) -> None:
        self._expected = b"Bearer " + key.hex().encode()
        self._update = update
        self._user = User("extension-host")

    def admit(self, request: Request, mount: Mount | None) -> Refusal | None:
        """Whether it is the host."""
        given = request.getHeader(b"authorization") or b""
        if not hmac.compare_digest(given, self._expected):
            return Refusal(403, "Forbidden")
        request.user, request.token_authenticated = self._user, True
        return Refusal(404) if mount is None else None

    def check_form(self, request: Request) -> Refusal | None:
        """There are no forms."""

    def headers(self, request: Request) -> tuple[tuple[bytes, bytes], ...]:
        """The number of the update that comes before this answer."""
        return ((UPDATE, b"%d" % self._update()),)


class HostAPI:
    """What the public API has no field for."""

    app = Routes()
    api = json_api(app)

    def __init__(self, kernels: MappingKernelManager, contents: Callable[[], Contents]) -> None:
        self._kernels = kernels
        self._contents = contents

    @api("POST", "/host/kernels", status=201)
    async def start(self, call: Call) -> dict[str, Any]:
        """Start a kernel: ``name``, ``path``, ``kernel_id``, and ``env``, its whole environment."""
        body = await call.json_object()
        env = body.get("env")
        if env is not None:
            if not isinstance(env, dict):
                raise Invalid("env must be a JSON object")
            env = {str(name): str(value) for name, value in env.items() if name != MARK}
        try:
            kernel = await self._kernels.start(
                body.get("name"), path=body.get("path"), kernel_id=body.get("kernel_id"), env=env
            )
        except NoSuchKernelSpec as error:
            raise Failed(error.message) from error
        return kernel.model()

    @api("DELETE", "/host/kernels/<kernel_id>", status=204)
    async def shut_down(self, call: Call, kernel_id: str) -> None:
        """End a kernel; with ``now=1`` without asking it."""
        await self._kernels.shutdown(kernel_id, now=call.arg("now") == "1")

    @api("POST", "/host/kernels/<kernel_id>/restart")
    async def restart(self, call: Call, kernel_id: str) -> dict[str, Any]:
        """Restart a kernel; with ``now=1`` without asking it."""
        return (await self._kernels.restart(kernel_id, now=call.arg("now") == "1")).model()

    @api("POST", "/host/kernels/<kernel_id>/interrupt", status=204)
    async def interrupt(self, call: Call, kernel_id: str) -> None:
        """Interrupt a kernel."""
        await self._kernels.interrupt(kernel_id)

    @api("GET", "/host/kind")
    async def kind(self, call: Call) -> dict[str, bool]:
        """What lies at the ``path`` of the contents: a file, a directory, something hidden."""
        from jupyterd.contents.managers.sync_or_async import settled

        path = call.arg("path") or ""

        async def look(manager: Any) -> dict[str, bool]:
            return {
                "file": bool(await settled(manager.file_exists(path))),
                "directory": bool(await settled(manager.dir_exists(path))),
                "hidden": bool(await settled(manager.is_hidden(path))),
            }

        return await self._contents().ask(look)
