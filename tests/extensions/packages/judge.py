"""An authorizer that refuses one resource."""

from __future__ import annotations

from typing import Any

from jupyterd.auth.authorizer import Authorizer


class Judge(Authorizer):
    def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:
        return resource != "forbidden"
