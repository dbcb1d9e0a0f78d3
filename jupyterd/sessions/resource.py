"""``/api/sessions``: create, list, change and end sessions."""

from __future__ import annotations

import json
from typing import Any

from twisted.logger import Logger

from jupyterd.errors import Failed, Invalid, JupyterdError
from jupyterd.kernels.manager import NoSuchKernelSpec
from jupyterd.sessions.manager import NotStarted, SessionManager, Wanted
from jupyterd.web.api import Routes, json_api
from jupyterd.web.call import Call, Reply


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

    @api("POST", "/api/sessions", status=201)
    async def create(self, call: Call) -> dict[str, Any] | Reply:
        """The session of a document, new if it has none."""
        body = _with_old_names(await _body(call), "name", "path")
        for field in ("path", "type"):
            if field not in body:
                raise Invalid(f"Missing field in JSON data: {field}")
        kernel = _kernel(body)
        path = _text(body, "path")
        kind = _text(body, "type")
        if path is None or kind is None:
            raise Invalid("path and type must be strings")
        kernel_name = _text(kernel, "name") or None
        wanted = Wanted(path, kind, _text(body, "name"), kernel_name, _text(kernel, "id") or None)
        try:
            model = await self._sessions.create(wanted)
        except NoSuchKernelSpec as error:
            return self._unavailable(error.name)
        except JupyterdError:
            raise
        except Exception as error:
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

    @api("PATCH", "/api/sessions/<session_id>")
    async def change(self, call: Call, session_id: str) -> dict[str, Any] | Reply:
        """Rename a session's document, or give it another kernel: one that runs, by id, or a new one, by name."""
        body = _with_old_names(await _body(call), "path")
        await self._sessions.get(session_id)
        changes: dict[str, Any] = {field: _text(body, field) for field in ("path", "name", "type") if field in body}
        kernel = _kernel(body)
        kernel_id, kernel_name = kernel.get("id"), _text(kernel, "name")
        if kernel_id is not None:
            changes["kernel_id"], kernel_name = str(kernel_id), None
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


async def _body(call: Call) -> dict[str, Any]:
    body = await call.json()
    if body is None:
        raise Invalid("No JSON data provided")
    if not isinstance(body, dict):
        raise Invalid("The request body must be a JSON object")
    return body


def _with_old_names(body: dict[str, Any], *names: str) -> dict[str, Any]:
    """Clients of the first version of this API have the path in ``notebook``, under one of ``names``."""
    old = body.get("notebook")
    if old is None:
        return body
    if not isinstance(old, dict):
        raise Invalid("notebook must be a JSON object")
    for name in names:
        if name in old:
            return {**body, "type": "notebook", "path": old[name]}
    return body if "path" in names[:1] else {**body, "type": "notebook"}


def _kernel(body: dict[str, Any]) -> dict[str, Any]:
    kernel = body.get("kernel", {})
    if not isinstance(kernel, dict):
        raise Invalid("kernel must be a JSON object")
    return kernel


def _text(body: dict[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise Invalid(f"{name} must be a string")
    try:
        (value or "").encode()
    except UnicodeEncodeError:
        raise Invalid(f"{name} holds half of a character") from None
    return value


def _not_available(message: str, short: str) -> Reply:
    return Reply(json.dumps({"message": message, "short_message": short}).encode(), status=501)
