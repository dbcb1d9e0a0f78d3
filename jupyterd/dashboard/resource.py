"""``/jupyterd``: the dashboard, and ``/api/jupyterd``: what it shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jupyterd.dashboard.log_lines import LogLines
from jupyterd.dashboard.status_report import Account
from jupyterd.errors import Invalid
from jupyterd.web.api import Routes, json_api
from jupyterd.web.call import Call, Reply

HTML = "text/html; charset=UTF-8"


class DashboardResource:
    """The page and its data.

    :param render: renders a template.
    :param front_end: what the address of a notebook's page begins with; empty where no front end is installed.
    """

    app = Routes()
    api = json_api(app)

    def __init__(
        self, account: Account, lines: LogLines, render: Callable[..., bytes], front_end: Callable[[], str]
    ) -> None:
        self._account, self._lines, self._render, self._front_end = account, lines, render, front_end

    @api(("GET", "HEAD"), "/jupyterd")
    async def page(self, call: Call) -> Reply:
        """The page; its script asks for the rest."""
        body = self._render("dashboard.html", front_end=self._front_end())
        return Reply(body, HTML, headers={"Cache-Control": "no-store"})

    @api("GET", "/api/jupyterd/status")
    async def status(self, call: Call) -> dict[str, Any]:
        """The account of this daemon."""
        return await self._account.get()

    @api("GET", "/api/jupyterd/log")
    async def log(self, call: Call) -> dict[str, Any]:
        """Recent lines of the log behind the number ``after``, of one kernel if ``kernel_id`` is given."""
        after = call.arg("after") or "0"
        if not after.isdecimal():
            raise Invalid("after must be a number")
        return {"lines": self._lines.after(int(after), call.arg("kernel_id") or "")}
