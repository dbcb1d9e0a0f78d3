"""Record of a provisioner for a later daemon, as JSON has it: keys are bytes in some, text in others."""

from __future__ import annotations

from typing import Any

_BYTES = "bytes as latin-1"


def to_json(value: Any) -> Any:
    """The same without bytes: each is a dictionary of its text."""
    if isinstance(value, bytes):
        return {_BYTES: value.decode("latin-1")}
    if isinstance(value, dict):
        return {name: to_json(each) for name, each in value.items()}
    return [to_json(each) for each in value] if isinstance(value, list | tuple) else value


def from_json(value: Any) -> Any:
    """What :func:`to_json` was given."""
    if isinstance(value, dict):
        if value.keys() == {_BYTES}:
            return str(value[_BYTES]).encode("latin-1")
        return {name: from_json(each) for name, each in value.items()}
    return [from_json(each) for each in value] if isinstance(value, list) else value
