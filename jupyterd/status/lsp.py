"""``/lsp``: what JupyterLab is told where no language server can be had."""

from __future__ import annotations

from jupyterd.web.api import Routes, json_api
from jupyterd.web.call import Call


class NoLanguageServers:
    """Answers as the extension ``jupyter-lsp`` does when it has found no language server."""

    app = Routes()
    api = json_api(app)

    @api("GET", "/lsp/status")
    async def status(self, call: Call) -> object:
        """No sessions, no servers."""
        return {"version": 2, "sessions": {}, "specs": {}}
