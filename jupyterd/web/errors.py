"""Errors as HTTP: the one table from kinds of failure to status codes, and the JSON that clients read."""

from __future__ import annotations

import json
from http import HTTPStatus

from werkzeug.exceptions import HTTPException

from jupyterd import errors

STATUS: tuple[tuple[type[errors.JupyterdError], int], ...] = (
    (errors.Invalid, 400),
    (errors.Unauthenticated, 401),
    (errors.Forbidden, 403),
    (errors.NotFound, 404),
    (errors.MethodNotAllowed, 405),
    (errors.Conflict, 409),
    (errors.Gone, 410),
    (errors.PreconditionFailed, 412),
    (errors.TooLarge, 413),
    (errors.RangeNotSatisfiable, 416),
    (errors.Locked, 423),
    (errors.TooManyRequests, 429),
    (errors.HeadTooLarge, 431),
    (errors.Failed, 500),
    (errors.Unsupported, 501),
    (errors.Unavailable, 503),
    (errors.TimedOut, 504),
    (errors.OutOfSpace, 507),
)


SQLITE_FULL = 13


def phrase(status: int) -> str:
    """The standard reason phrase of a status code (RFC 9110, section 15)."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def describe(error: BaseException) -> tuple[int, str, str | None] | None:
    """Status, message and reason of a known failure; None for a defect of ours.

    Classes that users write against other servers raise exceptions with ``status_code``, ``log_message`` and
    ``reason``: they are understood by those names.
    """
    if isinstance(error, errors.Upstream):
        return error.status_code, error.message, error.reason
    if isinstance(error, errors.JupyterdError):
        status = next((status for kind, status in STATUS if isinstance(error, kind)), 500)
        return status, error.message or phrase(status), error.reason
    if isinstance(error, HTTPException):
        status = error.code or 500
        return status, phrase(status), None
    if is_full(error):
        return 507, "No space left on device", None
    if is_short(error):
        return 503, str(getattr(error, "strerror", None) or error), None
    status_code = getattr(error, "status_code", None)
    if isinstance(status_code, int) and 400 <= status_code < 600:
        return status_code, _text_of(error) or phrase(status_code), getattr(error, "reason", None)
    return None


def is_full(error: BaseException) -> bool:
    """The disk, or a quota on it, took no more; SQLite says so in its own way."""
    if isinstance(error, OSError):
        return error.errno in errors.FULL
    return getattr(error, "sqlite_errorcode", None) == SQLITE_FULL


def is_short(error: BaseException) -> bool:
    """The system has too little of something: space, processes, memory, descriptors."""
    return is_full(error) or (isinstance(error, OSError) and error.errno in errors.SCARCE)


def _text_of(error: BaseException) -> str:
    text = getattr(error, "log_message", None) or ""
    if text and error.args:
        try:
            return str(text % error.args)
        except (TypeError, ValueError):
            return str(text)
    return str(text)


def body(message: str, reason: str | None = None) -> bytes:
    """The JSON of an error, as clients of the reference read it."""
    return json.dumps({"message": message, "reason": reason}).encode()


def unhandled() -> bytes:
    """The JSON of a defect: nothing of the traceback leaves the server."""
    return json.dumps({"message": "Unhandled error", "reason": None, "traceback": ""}).encode()
