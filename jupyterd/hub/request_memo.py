"""Visit: what is known of one request while it is judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyterd.auth.handler import Handler
    from jupyterd.errors import JupyterdError

SESSION_COOKIE = "jupyterhub-session-id"
"""The Hub's own: the login that all its servers' logins hang on."""


@dataclass
class Visit:
    """One request at a server below a Hub.

    :ivar cookie_token: the token in the login cookie, empty for none; None where nobody has looked.
    :ivar refused: what its user is told, who is known and may not come in.
    :ivar failure: why nothing is known of its user.
    """

    cookie_token: str | None = None
    refused: str = ""
    failure: JupyterdError | None = None


def visit_of(handler: Handler) -> Visit:
    """The visit that a request is."""
    kept = handler.__dict__.get("hub_visit")
    if not isinstance(kept, Visit):
        kept = handler.__dict__["hub_visit"] = Visit()
    return kept
