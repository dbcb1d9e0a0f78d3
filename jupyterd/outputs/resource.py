"""``/api/kernels/<id>/executions``: which cells run, and what they have said so far."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jupyterd.outputs.recorder import Recorder
from jupyterd.web.api import Routes, json_api
from jupyterd.web.call import Call


class ExecutionsResource:
    """The executions of a kernel.

    :param state_of: what a kernel does, by its id. Raises ``NoSuchKernel``.
    """

    app = Routes()
    api = json_api(app)

    def __init__(self, recorder: Recorder, state_of: Callable[[str], str]) -> None:
        self._recorder, self._state_of = recorder, state_of

    @api("GET", "/api/kernels/<kernel_id>/executions")
    async def executions(self, call: Call, kernel_id: str) -> dict[str, Any]:
        """Those that run, wait, or have ended and are in no file yet; of the notebook ``path`` alone if it is given."""
        state = self._state_of(kernel_id)
        found = await self._recorder.executions(kernel_id, call.arg("path"), call.arg("client"))
        return {**found, "execution_state": state}
