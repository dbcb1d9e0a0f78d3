"""Terminal manager of extensions: the daemon's."""

from __future__ import annotations

from typing import Any

from jupyterd.extension_host.daemon_api import DaemonAPI


class DaemonTerminals:
    """Asks the daemon, under the names that ``jupyter_server_terminals`` has; a model is the public API's."""

    def __init__(self, api: DaemonAPI) -> None:
        self._api = api

    @property
    def terminals(self) -> dict[str, dict[str, Any]]:
        """All of them, by name."""
        return {str(model["name"]): model for model in self.list()}

    def create(self, **options: Any) -> dict[str, Any]:
        """Start a terminal; with a ``name`` that one has already, it is that one.

        :raises HTTPError: it can not be started.
        """
        wanted = {name: value for name, value in options.items() if name in ("name", "cwd") and value is not None}
        model: dict[str, Any] = self._api.ask("POST", "/api/terminals", wanted)
        return model

    def get(self, name: str) -> dict[str, Any]:
        """One of them.

        :raises HTTPError: 404, there is none of that name.
        """
        model: dict[str, Any] = self._api.ask("GET", f"/api/terminals/{name}")
        return model

    async def terminate(self, name: str, force: bool = False) -> None:
        """End one.

        :raises HTTPError: 404, there is none of that name.
        """
        await self._api.asking("DELETE", f"/api/terminals/{name}")

    async def terminate_all(self) -> None:
        """Terminals are the daemon's: those of others are not an extension's to end."""

    def list(self) -> list[dict[str, Any]]:
        """All of them."""
        models: list[dict[str, Any]] = self._api.ask("GET", "/api/terminals")
        return models
