"""Contents models: what clients are told of a file, a notebook or a directory.

A model is a dict with ``name``, ``path``, ``last_modified`` and ``created`` (aware datetimes, UTC), ``content``,
``format``, ``mimetype``, ``size``, ``writable``, ``hash``, ``hash_algorithm`` and ``type``. Source: the reference's
``FileContentsManager._base_model``.
"""

from __future__ import annotations

import math
import os
from datetime import datetime, timezone
from typing import Any

import orjson

from jupyterd.errors import Failed
from jupyterd.system import strict_json
from jupyterd.system.timestamps import with_z

UTC = timezone.utc
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Model = dict[str, Any]

REQUIRED = ("name", "path", "type", "writable", "created", "last_modified", "mimetype", "content", "format")


def moment(timestamp: float) -> datetime:
    """A time stamp of a file as a datetime; the epoch for one that no calendar knows."""
    try:
        return datetime.fromtimestamp(timestamp, UTC)
    except (ValueError, OverflowError, OSError):
        return EPOCH


def created_at(status: os.stat_result) -> float:
    """When the file was made, where the system tells; else when its inode changed."""
    birth = getattr(status, "st_birthtime", None)
    if isinstance(birth, int | float) and birth >= 0 and math.isfinite(birth):
        return float(birth)
    return status.st_ctime


def base_model(path: str, status: os.stat_result, writable: bool) -> Model:
    """A model without type and content.

    :param path: the API path, clean.
    """
    return {
        "name": path.rsplit("/", 1)[-1],
        "path": path,
        "last_modified": moment(status.st_mtime),
        "created": moment(created_at(status)),
        "content": None,
        "format": None,
        "mimetype": None,
        "size": status.st_size,
        "writable": writable,
        "hash": None,
        "hash_algorithm": None,
    }


def etag_of(status: os.stat_result) -> str:
    """A strong validator of a file's content, the same for ``/files`` and ``/api/contents``."""
    return f'"{status.st_mtime_ns:x}-{status.st_size:x}"'


def check(model: Model, content: bool = False, require_hash: bool = False) -> Model:
    """A model that a contents manager returned is complete.

    :raises Failed: a key is missing, or content is there or missing against what was asked.
    """
    required = {*REQUIRED, "hash", "hash_algorithm"} if require_hash else set(REQUIRED)
    missing = required - set(model)
    if missing:
        raise Failed(f"Missing Model Keys: {missing}")
    _check_keys(model, ["content", "format"], content)
    if require_hash:
        _check_keys(model, ["hash", "hash_algorithm"], True)
    return model


def _check_keys(model: Model, keys: list[str], expected: bool) -> None:
    if expected:
        absent = [key for key in keys if model[key] is None]
        if absent:
            raise Failed(f"Keys unexpectedly None: {absent}")
    else:
        present = {key: model[key] for key in keys if model[key] is not None}
        if present:
            raise Failed(f"Keys unexpectedly not None: {present}")


def encode(model: Any) -> bytes:
    """JSON of a model whose content holds nothing but text: listings, files, models without content."""
    try:
        return orjson.dumps(model, option=orjson.OPT_UTC_Z)
    except TypeError:  # a name that is not UTF-8, an integer beyond 64 bits
        return encode_any(model)


def encode_any(model: Any) -> bytes:
    """JSON of whatever a contents manager returned, as the reference encodes it; ``NaN`` is null."""
    return strict_json.dumps(model, default=_default).encode()


def _default(value: Any) -> Any:
    if isinstance(value, datetime):
        aware = value if value.tzinfo is not None else value.astimezone()
        return with_z(aware)
    if isinstance(value, bytes):
        from base64 import encodebytes

        return encodebytes(value).decode("ascii")
    if hasattr(value, "__iter__"):
        return list(value)
    raise TypeError(f"{value!r} is not JSON serializable")
