"""Provenance: whether a class, or a method of it, is one of ours or somebody's who has subclassed it."""

from __future__ import annotations

from typing import Any


def is_ours(thing: Any) -> bool:
    """A class or a function is defined in this package."""
    return str(getattr(thing, "__module__", "")).startswith("jupyterd.")


def leaves_alone(kind: type[Any], *names: str) -> bool:
    """A class has these methods as this package defines them."""
    return all(is_ours(getattr(kind, name)) for name in names)
