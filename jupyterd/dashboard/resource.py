"""``/jupyterd``: the dashboard, and ``/api/jupyterd``: what it shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from jupyterd.dashboard.log_lines import LogLines
from jupyterd.dashboard.status_report import Account
from jupyterd.errors import Invalid
from jupyterd.log import level_number
from jupyterd.web.api import Routes, json_api
from jupyterd.web.body_schema import Body
from jupyterd.web.call import Call, Reply

LEVEL = Body(
    {
        "type": "object",
        "required": ["level"],
        "properties": {
            "namespace": {"type": "string", "maxLength": 200},
            "level": {"type": "string", "nullable": True, "maxLength": 20},
        },
    }
)


class LogLevels(Protocol):
    """Levels that can change; see :class:`jupyterd.log.Levels`."""

    def change(self, namespace: str, level: int | None) -> None:
        """Another level from now on."""

    def describe(self) -> dict[str, Any]:
        """The levels by name."""


MAX_NAMESPACES = 100
"""With levels of their own."""

HTML = "text/html; charset=UTF-8"


class DashboardResource:
    """The page and its data.

    :param render: renders a template.
    :param levels: what of the log is written.
    :param front_end: what the address of a notebook's page begins with; empty where no front end is installed.
    """

    app = Routes()
    api = json_api(app)

    def __init__(
        self,
        account: Account,
        lines: LogLines,
        render: Callable[..., bytes],
        front_end: Callable[[], str],
        levels: LogLevels,
    ) -> None:
        self._account, self._lines, self._render, self._front_end = account, lines, render, front_end
        self._levels = levels

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

    @api("GET", "/api/jupyterd/log-level")
    async def levels(self, call: Call) -> dict[str, Any]:
        """What of the log is written."""
        return self._levels.describe()

    @api("PUT", "/api/jupyterd/log-level", body=LEVEL)
    async def set_level(self, call: Call) -> dict[str, Any]:
        """Another level for a namespace, or for all; until the settings are read again."""
        asked = await call.json_object()
        level, namespace = asked["level"], str(asked.get("namespace") or "")
        try:
            number = None if level is None else level_number(level)
        except ValueError as error:
            raise Invalid(str(error)) from None
        if not namespace and number is None:
            raise Invalid("the level of all can be changed, not taken away")
        if len(self._levels.describe()["namespaces"]) >= MAX_NAMESPACES and number is not None:
            raise Invalid(f"{MAX_NAMESPACES} namespaces have levels of their own, those are the most")
        self._levels.change(namespace, number)
        return self._levels.describe()
