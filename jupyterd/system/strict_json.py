"""JSON that every parser takes: ``NaN`` and infinities, which Python reads and writes and browsers refuse, are null."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any


def finite(value: Any) -> Any:
    """The value with None in place of each float that JSON has no word for; what holds none is not copied."""
    kind = type(value)
    if kind is float:
        return value if math.isfinite(value) else None
    if kind is dict:
        new = {key: finite(item) for key, item in value.items()}
        return new if any(new[key] is not item for key, item in value.items()) else value
    if kind in (list, tuple):
        items = [finite(item) for item in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict | list | tuple):
        plain = dict(value) if isinstance(value, dict) else list(value)
        new = finite(plain)
        return value if new is plain else new
    return value


def dumps(value: Any, default: Callable[[Any], Any] | None = None, **how: Any) -> str:
    """As :func:`json.dumps`, without the three words that are no JSON."""
    try:
        return json.dumps(value, default=default, allow_nan=False, **how)
    except ValueError:
        told = None if default is None else lambda unknown: finite(default(unknown))
        return json.dumps(finite(value), default=told, allow_nan=False, **how)


def loads(data: bytes | str) -> Any:
    """As :func:`json.loads`, for files of others: a byte order mark is passed over, ``NaN`` is None.

    :raises ValueError: not JSON, not UTF-8, or nested deeper than the interpreter follows.
    """
    text = data.removeprefix("\ufeff") if isinstance(data, str) else data.decode("utf-8-sig")
    try:
        return finite(json.loads(text))
    except RecursionError:
        raise ValueError("nested too deeply") from None
