"""``/api/kernels``: start, list, interrupt, restart and shut down kernels."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from jupyterd.errors import Failed, JupyterdError, Unavailable
from jupyterd.kernels.manager import MappingKernelManager, NoSuchKernel
from jupyterd.kernelspecs.manager import NoSuchKernelSpec
from jupyterd.web.api import Routes, json_api
from jupyterd.web.body_schema import Body
from jupyterd.web.call import Call

TEXT = {"type": "string", "nullable": True}
START = Body({"type": "object", "properties": {"name": TEXT, "path": TEXT, "kernel_id": TEXT}}, required=False)


class KernelsResource:
    """The REST routes of kernels."""

    app = Routes()
    api = json_api(app)

    def __init__(self, kernels: MappingKernelManager, wanted: Callable[[], Awaitable[set[str]]]) -> None:
        """:param wanted: the ids of kernels that sessions have; only they are listed when they are dead."""
        self._kernels = kernels
        self._wanted = wanted

    @api("GET", "/api/kernels")
    async def index(self, call: Call) -> list[dict[str, Any]]:
        """All kernels; with ``dead=1`` those too that are dead and no session has."""
        models = await self._kernels.list_models()
        if call.arg("dead") in ("1", "true") or all(model["execution_state"] != "dead" for model in models):
            return models
        wanted = await self._wanted()
        return [model for model in models if model["execution_state"] != "dead" or model["id"] in wanted]

    @api("POST", "/api/kernels", status=201, body=START)
    async def start(self, call: Call) -> dict[str, Any]:
        """Start one: ``name``, ``path`` and ``kernel_id`` may be given."""
        body = await call.json_object()
        try:
            kernel = await self._kernels.start(body.get("name"), path=body.get("path"), kernel_id=body.get("kernel_id"))
        except NoSuchKernelSpec as error:
            raise Failed(error.message) from error
        call.set_header("Location", f"{call.base_url}api/kernels/{quote(kernel.id, safe='')}")
        return kernel.model()

    @api("GET", "/api/kernels/<kernel_id>")
    async def show(self, call: Call, kernel_id: str) -> dict[str, Any]:
        """One kernel."""
        return self._kernels.model(kernel_id)

    @api("DELETE", "/api/kernels/<kernel_id>", status=204)
    async def shut_down(self, call: Call, kernel_id: str) -> None:
        """Shut it down."""
        await self._kernels.shutdown(kernel_id)

    @api("POST", "/api/kernels/<kernel_id>/interrupt", status=204)
    async def interrupt(self, call: Call, kernel_id: str) -> None:
        """Interrupt it."""
        await self._kernels.interrupt(kernel_id)

    @api("POST", "/api/kernels/<kernel_id>/restart")
    async def restart(self, call: Call, kernel_id: str) -> dict[str, Any]:
        """Restart it; an unknown kernel is an error 500 here, as clients of the reference know it."""
        try:
            return (await self._kernels.restart(kernel_id)).model()
        except NoSuchKernel as error:
            if kernel_id.count("-") != 4:
                raise  # no kernel's id at all
            raise Failed("Exception restarting kernel") from error
        except JupyterdError as error:
            kind = Unavailable if isinstance(error, Unavailable) else Failed
            raise kind(f"Exception restarting kernel: {error.message}") from error
