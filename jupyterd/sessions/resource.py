"""``/api/sessions``: create, list, change and end sessions."""

from __future__ import annotations

import json
from typing import Any

from twisted.logger import Logger

from jupyterd.errors import Failed, Invalid, JupyterdError
from jupyterd.kernels.manager import NoSuchKernelSpec
from jupyterd.sessions.manager import NotStarted, SessionManager, Wanted
from jupyterd.web.api import Routes, json_api
from jupyterd.web.body_schema import Body
from jupyterd.web.call import Call, Reply
from jupyterd.web.errors import is_short

TEXT = {"type": "string", "nullable": True}
_OLD = {"type": "object", "nullable": True, "properties": {"name": TEXT, "path": TEXT}}
SESSION = Body(
    {
        "type": "object",
        "properties": {
            "path": TEXT,
            "name": TEXT,
            "type": TEXT,
            "kernel": {"type": "object", "properties": {"id": TEXT, "name": TEXT}},
            "notebook": _OLD,
        },
    },
    absent="No JSON data provided",
)


class SessionsResource:
    """The REST routes of sessions."""

    app = Routes()
    api = json_api(app)
    log = Logger()

    def __init__(self, sessions: SessionManager) -> None:
        self._sessions = sessions

    @api("GET", "/api/sessions")
    async def index(self, call: Call) -> list[dict[str, Any]]:
        """All sessions."""
        return await self._sessions.list_models()

    @api("POST", "/api/sessions", status=201, body=SESSION)
    async def create(self, call: Call) -> dict[str, Any] | Reply:
        """The session of a document, new if it has none."""
        body = _with_old_names(await call.json_object(), "name", "path")
        for field in ("path", "type"):
            if field not in body:
                raise Invalid(f"Missing field in JSON data: {field}")
        kernel, path, kind = body.get("kernel", {}), body["path"], body["type"]
        if path is None or kind is None:
            raise Invalid("path and type must be strings")
        wanted = Wanted(path, kind, body.get("name"), kernel.get("name") or None, kernel.get("id") or None)
        try:
            model = await self._sessions.create(wanted)
        except NoSuchKernelSpec as error:
            return self._unavailable(error.name)
        except JupyterdError:
            raise
        except Exception as error:
            if is_short(error):
                raise
            self.log.failure("no session for {path}", path=path)
            raise Failed(str(error)) from error
        call.set_header("Location", f"{call.base_url}api/sessions/{model['id']}")
        return model

    def _unavailable(self, name: str) -> Reply:
        self.log.warn("Kernel not found: {name}", name=name)
        return _not_available(
            f"The '{name}' kernel is not available. "
            "Please pick another suitable kernel instead, or install that kernel.",
            f"{name} not found",
        )

    @api("GET", "/api/sessions/<session_id>")
    async def show(self, call: Call, session_id: str) -> dict[str, Any]:
        """One session."""
        return await self._sessions.get(session_id)

    @api("PATCH", "/api/sessions/<session_id>", body=SESSION)
    async def change(self, call: Call, session_id: str) -> dict[str, Any] | Reply:
        """Rename a session's document, or give it another kernel: one that runs, by id, or a new one, by name."""
        body = _with_old_names(await call.json_object(), "path")
        await self._sessions.get(session_id)
        changes: dict[str, Any] = {field: body[field] for field in ("path", "name", "type") if field in body}
        kernel = body.get("kernel", {})
        kernel_id, kernel_name = kernel.get("id"), kernel.get("name")
        if kernel_id is not None:
            changes["kernel_id"], kernel_name = kernel_id, None
        try:
            return await self._sessions.update(session_id, changes, kernel_name)
        except NotStarted as error:  # told to the client as the reference does
            self.log.failure("Error starting kernel: {name}", name=kernel_name)
            return _not_available(
                f"The '{kernel_name}' kernel could not be started: {error.message!r}",
                f"Error starting kernel {kernel_name}",
            )

    @api("DELETE", "/api/sessions/<session_id>", status=204)
    async def end(self, call: Call, session_id: str) -> None:
        """End a session; its kernel too, if no other session has it."""
        await self._sessions.delete(session_id)


def _with_old_names(body: dict[str, Any], *names: str) -> dict[str, Any]:
    """Clients of the first version of this API have the path in ``notebook``, under one of ``names``."""
    old = body.get("notebook")
    if old is None:
        return body
    for name in names:
        if name in old:
            return {**body, "type": "notebook", "path": old[name]}
    return body if "path" in names[:1] else {**body, "type": "notebook"}


def _not_available(message: str, short: str) -> Reply:
    return Reply(json.dumps({"message": message, "short_message": short}).encode(), status=501)
