"""Session manager of extensions: the daemon's."""

from __future__ import annotations

from typing import Any

from jupyter_server.services.sessions.sessionmanager import SessionManager
from tornado.web import HTTPError

from jupyterd.extension_host.daemon_api import DaemonAPI


class DaemonSessions(SessionManager):
    """Asks the daemon."""

    api: DaemonAPI

    def serve(self, api: DaemonAPI) -> None:
        """Begin."""
        self.api = api

    async def list_sessions(self) -> list[dict[str, Any]]:
        """All sessions."""
        found: list[dict[str, Any]] = await self.api.asking("GET", "/api/sessions")
        return found

    async def get_session(self, **kwargs: Any) -> dict[str, Any]:
        """The session that has these values: ``session_id``, ``path``, ``name``, ``type`` or ``kernel_id``.

        :raises HTTPError: 404, there is none.
        """
        if not kwargs:
            raise TypeError("must specify a column to query")
        if set(kwargs) == {"session_id"}:
            model: dict[str, Any] = await self.api.asking("GET", f"/api/sessions/{kwargs['session_id']}")
            return model
        for model in await self.list_sessions():
            values = {"session_id": model["id"], "kernel_id": model["kernel"]["id"], **model}
            if all(values.get(name) == value for name, value in kwargs.items()):
                return model
        shown = ", ".join(f"{name}={value!r}" for name, value in kwargs.items())
        raise HTTPError(404, f"Session not found: {shown}".replace("%", "%%"))

    async def session_exists(self, path: str) -> bool:
        """A document has one."""
        return any(model["path"] == path for model in await self.list_sessions())

    async def create_session(
        self,
        path: str | None = None,
        name: str | None = None,
        type: str | None = None,  # noqa: A002 - its name in the Jupyter Server
        kernel_name: str | None = None,
        kernel_id: str | None = None,
    ) -> dict[str, Any]:
        """A document's session, and a kernel for it."""
        kernel = {"name": kernel_name, "id": kernel_id}
        body = {"path": path, "name": name or "", "type": type, "kernel": kernel}
        model: dict[str, Any] = await self.api.asking("POST", "/api/sessions", body)
        return model

    async def update_session(self, session_id: str, **kwargs: Any) -> None:
        """Change a session's ``path``, ``name``, ``type`` or ``kernel_id``."""
        if not kwargs:
            return
        body = {name: value for name, value in kwargs.items() if name != "kernel_id"}
        if "kernel_id" in kwargs:
            body["kernel"] = {"id": kwargs["kernel_id"]}
        await self.api.asking("PATCH", f"/api/sessions/{session_id}", body)

    async def delete_session(self, session_id: str) -> None:
        """End a session, and its kernel."""
        await self.api.asking("DELETE", f"/api/sessions/{session_id}")
