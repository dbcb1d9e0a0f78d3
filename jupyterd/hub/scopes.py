"""Scopes: what somebody may at a Hub, and whether that is what a server asks for (pure).

``access:servers`` is all servers, ``access:servers!user=name`` those of a user, ``access:servers!server=name/server``
one of them. Source: JupyterHub's documentation, "Scopes in JupyterHub".
"""

from __future__ import annotations

from collections.abc import Iterable


def allowed_by(required: Iterable[str], scopes: Iterable[str]) -> set[str]:
    """Those of ``required`` that ``scopes`` hold in full; one is enough to be let in, none lets nobody in."""
    held = set(scopes)
    return {scope for scope in required if any(wider in held for wider in _wider(scope))}


def _wider(scope: str) -> list[str]:
    """The scopes that hold this one: itself, its user's for a server's, the one of everybody."""
    base, mark, condition = scope.partition("!")
    if not mark:
        return [scope]
    entity, _, name = condition.partition("=")
    wider = [scope, base]
    if entity == "server":
        wider.append(f"{base}!user={name.rpartition('/')[0]}")
    return wider
