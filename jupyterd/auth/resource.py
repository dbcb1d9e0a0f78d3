"""``/api/me`` and the reports that browsers send."""

from __future__ import annotations

import json
from typing import Any

from twisted.logger import Logger

from jupyterd.auth.guard import Guard
from jupyterd.errors import Invalid, Unsupported
from jupyterd.web.api import Routes, json_api
from jupyterd.web.call import Call, Reply

MAX_LOGGED = 2048  # characters of a report
MAX_PERMISSIONS = 1000


class IdentityResource:
    """``/api/me``: who asks, what they may, and their own changes to it."""

    app = Routes()
    api = json_api(app)

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    @api("GET", "/api/me")
    async def get(self, call: Call) -> dict[str, Any]:
        """``{"identity": {...}, "permissions": {...}}``; ``?permissions={"resource": ["action"]}`` asks for those."""
        asked = _permissions(call.arg("permissions") or "")
        permissions: dict[str, list[str]] = {}
        for resource, actions in asked.items():
            permissions[resource] = [
                action for action in actions if await self._guard.allowed(call.request.handler, action, resource)
            ]
        provider = self._guard.provider
        permissions["updatable_fields"] = list(provider.updatable_fields)
        return {"identity": provider.identity_model(call.user), "permissions": permissions}

    @api("PATCH", "/api/me")
    async def patch(self, call: Call) -> dict[str, Any]:
        """Change one's own name, initials, colour; kept in the login cookie.

        :raises Invalid: no JSON object, or a field that is not updatable.
        :raises Unsupported: the identity provider keeps no changes.
        """
        data = await call.json()
        if not data or not isinstance(data, dict):
            raise Invalid("Invalid or missing JSON body")
        provider = self._guard.provider
        try:
            user = provider.update_user(call.request.handler, data)
        except ValueError as error:
            raise Invalid(str(error)) from None
        except NotImplementedError as error:
            raise Unsupported(str(error)) from None
        return {"status": "success", "identity": provider.identity_model(user)}


def _permissions(text: str) -> dict[str, list[str]]:
    if not text:
        return {}
    complaint = f'permissions should be a JSON dict of {{"resource": ["action",]}}, got {text[:256]!r}'
    try:
        asked = json.loads(text)
    except (ValueError, RecursionError):
        raise Invalid(complaint) from None
    if not isinstance(asked, dict):
        raise Invalid(complaint)
    if sum(len(actions) if isinstance(actions, list) else 1 for actions in asked.values()) > MAX_PERMISSIONS:
        raise Invalid(complaint)
    for actions in asked.values():
        if not isinstance(actions, list) or not all(isinstance(action, str) for action in actions):
            raise Invalid(complaint)
    return asked


class ReportResource:
    """``/api/security/csp-report``: a browser tells that a page tried what its policy forbids."""

    app = Routes()
    api = json_api(app)
    log = Logger()

    @api("POST", "/api/security/csp-report")
    async def post(self, call: Call) -> Reply:
        """Log the report."""
        report = call.body().decode("utf-8", "replace")[:MAX_LOGGED]
        self.log.warn("Content security violation: {report!r}", report=report)
        return Reply()
