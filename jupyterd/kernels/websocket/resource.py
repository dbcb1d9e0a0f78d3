"""``/api/kernels/<id>/channels``, ``/log`` and ``/execute``: what a kernel says and is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from jupyterd.errors import Forbidden, Invalid
from jupyterd.kernels.channels.executions import Execution
from jupyterd.kernels.log.rest_entries import entries
from jupyterd.web.api import Routes, json_api
from jupyterd.web.body_schema import Body
from jupyterd.web.call import Call

if TYPE_CHECKING:
    from jupyterd.kernels.channels.kernel_channels import KernelChannels
    from jupyterd.web.websocket.protocol import SocketProtocol

MAX_MESSAGES = 1000
"""Messages in one answer."""


MAX_KEY = 255

EXECUTE = Body(
    {
        "type": "object",
        "required": ["code"],
        "additionalProperties": False,
        "properties": {
            "code": {"type": "string"},
            "silent": {"type": "boolean"},
            "store_history": {"type": "boolean"},
            "user_expressions": {"type": "object"},
            "stop_on_error": {"type": "boolean"},
            "allow_stdin": {"type": "boolean"},
            "metadata": {"type": "object"},
            "idempotency_key": {"type": "string", "nullable": True, "minLength": 1, "maxLength": MAX_KEY},
            "path": {"type": "string", "nullable": True},
            "cell_id": {"type": "string", "nullable": True, "minLength": 1, "maxLength": 64},
        },
    },
    missing="{name} must be a string",
)
INPUT = Body(
    {"type": "object", "required": ["value"], "properties": {"value": {"type": "string"}}},
    missing="{name} must be a string",
)


class ChannelsResource:
    """The websockets of kernels, and what serves clients without one.

    :param channels_of: a kernel's channels by its id. Raises ``NoSuchKernel``.
    :param may_write: whether who asks may change notebooks, and what is run for them may so too.
    """

    app = Routes()
    api = json_api(app)
    log = Logger()

    def __init__(
        self,
        channels_of: Callable[[str], KernelChannels],
        may_write: Callable[[Call], Awaitable[bool]],
    ) -> None:
        self._channels_of, self._may_write = channels_of, may_write

    @api.websocket("/api/kernels/<kernel_id>/channels")
    async def channels(self, call: Call, kernel_id: str) -> SocketProtocol:
        """Speak with a kernel; ``session_id`` in the query names the place to come back to."""
        from jupyterd.kernels.websocket.protocol import ChannelsProtocol

        channels = self._channels_of(kernel_id)
        session_id = call.arg("session_id")
        if not session_id:
            self.log.warn("No session ID specified")
        records = await self._may_write(call)
        if call.request.site.compression is not None:
            from jupyterd.kernels.websocket.compressed import CompressedChannelsProtocol

            return CompressedChannelsProtocol(channels, session_id, records)
        return ChannelsProtocol(channels, session_id, records)

    @api("GET", "/api/kernels/<kernel_id>/log")
    async def said(self, call: Call, kernel_id: str) -> dict[str, Any]:
        """What the kernel said, from sequence number ``since`` on; ``oldest`` is the first that is still there."""
        log = self._channels_of(kernel_id).messages
        since, limit = _number(call, "since", 0), min(_number(call, "limit", 100), MAX_MESSAGES)
        found: list[dict[str, Any]] = []
        async for chunk in log.since(max(since, log.oldest), None):
            found += entries(chunk, since)
            if len(found) >= limit:
                break
        found = found[:limit]
        following = found[-1]["seq"] + 1 if found else max(since, log.oldest)
        return {"kernel_id": kernel_id, "oldest": log.oldest, "next": following, "end": log.next, "messages": found}

    @api("POST", "/api/kernels/<kernel_id>/execute", status=202, body=EXECUTE)
    async def execute(self, call: Call, kernel_id: str) -> dict[str, Any]:
        """Run code; the answer has the id under which its outputs are read."""
        channels = self._channels_of(kernel_id)
        body = await call.json_object()
        request, metadata, key = _request(body, call.header("idempotency-key"))
        records = await self._may_write(call)
        if "notebook_path" in metadata and not records:
            raise Forbidden("User is not authorized to write on resource: contents.")
        execution, new = channels.executions.add(request, metadata, key, records=records)
        await channels.executions.written()
        if not new:
            call.status = 200
        call.set_header("Location", f"{call.base_url}api/kernels/{kernel_id}/execute/{execution.id}")
        return execution.model()

    @api("GET", "/api/kernels/<kernel_id>/execute")
    async def executions(self, call: Call, kernel_id: str) -> list[dict[str, Any]]:
        """All executions that are remembered, oldest first."""
        return [execution.model() for execution in self._channels_of(kernel_id).executions.all()]

    @api("GET", "/api/kernels/<kernel_id>/execute/<execution_id>")
    async def execution(self, call: Call, kernel_id: str, execution_id: str) -> Any:
        """How far it is, and its messages from ``since`` on; with ``stream=1`` one document a line, as they come."""
        execution = self._channels_of(kernel_id).executions[execution_id]
        since, limit = _number(call, "since", 0), min(_number(call, "limit", 100), MAX_MESSAGES)
        if call.arg("stream") in ("1", "true"):
            from jupyterd.kernels.websocket.execution_lines import ExecutionLines

            return ExecutionLines(execution, since)
        return await _state(execution, since, limit)

    @api("POST", "/api/kernels/<kernel_id>/execute/<execution_id>/input", status=204, body=INPUT)
    async def answer(self, call: Call, kernel_id: str, execution_id: str) -> None:
        """Give the input that it waits for."""
        execution = self._channels_of(kernel_id).executions[execution_id]
        execution.answer((await call.json_object())["value"])

    @api("DELETE", "/api/kernels/<kernel_id>/execute/<execution_id>", status=204)
    async def forget(self, call: Call, kernel_id: str, execution_id: str) -> None:
        """Its outputs are not needed any more; what runs goes on."""
        executions = self._channels_of(kernel_id).executions
        executions.forget(executions[execution_id])


async def _state(execution: Execution, since: int, limit: int) -> dict[str, Any]:
    model = execution.model()
    found = await execution.messages(since, limit)
    return {**model, "next": found[-1]["seq"] + 1 if found else since, "messages": found}


def _number(call: Call, name: str, default: int) -> int:
    text = call.arg(name)
    try:
        value = default if text is None else int(text)
    except ValueError:
        value = -1
    if value < 0:
        raise Invalid(f"{name} must be a whole number, 0 or more")
    return value


def _cell(path: str | None, cell_id: str | None) -> dict[str, str]:
    if path is None and cell_id is None:
        return {}
    if path is None or not path.strip("/"):
        raise Invalid("path must be the path of a notebook")
    named = {} if cell_id is None else {"cellId": cell_id}
    return {"notebook_path": path.strip("/"), **named}


def _request(body: dict[str, Any], key: str | None) -> tuple[dict[str, Any], dict[str, Any], str | None]:
    """``code``, options, ``metadata`` and idempotency key of a request's body.

    ``path`` and ``cell_id`` say whose outputs these are; they are in the request's metadata, as front ends send them.

    :raises Invalid: a path that is none, or a key in the request's head that is too long.
    """
    body = dict(body)
    code, metadata = body.pop("code"), body.pop("metadata", {})
    key = body.pop("idempotency_key", key)
    if key is not None and not 0 < len(key) <= MAX_KEY:
        raise Invalid(f"idempotency_key must be a string of 1 to {MAX_KEY} characters")
    metadata = {**metadata, **_cell(body.pop("path", None), body.pop("cell_id", None))}
    return {"code": code, **body}, metadata, key
