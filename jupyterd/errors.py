"""Kinds of failure, named for what went wrong; :mod:`jupyterd.web.errors` alone knows their status codes."""

from __future__ import annotations

import errno

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""What the system says when a disk, or a quota on it, is full."""
SCARCE = frozenset({errno.EAGAIN, errno.ENOMEM, errno.ENFILE, errno.EMFILE})
"""What it says when it gives no process, memory or descriptor now."""


class JupyterdError(Exception):
    """A failure that its caller may be told about.

    :param message: one sentence for the person or program that asked; it reaches the client.
    :param reason: a short phrase of the kind HTTP puts behind a status code, or None for the usual one.
    """

    def __init__(self, message: str = "", reason: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason


class Invalid(JupyterdError):
    """The request can not be understood."""


class Unauthenticated(JupyterdError):
    """Who asks is not known."""


class Forbidden(JupyterdError):
    """Who asks may not have this."""


class NotFound(JupyterdError):
    """There is no such thing."""


class MethodNotAllowed(JupyterdError):
    """The thing exists and does not do that."""


class Conflict(JupyterdError):
    """The thing is in a state that does not allow it."""


class Gone(JupyterdError):
    """There was such a thing; it will not come back."""


class PreconditionFailed(JupyterdError):
    """The thing changed since the client last looked."""


class TooLarge(JupyterdError):
    """More bytes than this server takes."""


class RangeNotSatisfiable(JupyterdError):
    """The range lies outside of the file."""


class Locked(JupyterdError):
    """Somebody else holds it."""


class TooManyRequests(JupyterdError):
    """Asked too often; later it may work."""


class HeadTooLarge(JupyterdError):
    """The request line and headers are larger than this server takes."""


class Failed(JupyterdError):
    """The server tried and could not."""


class Unsupported(JupyterdError):
    """Not something that this server does."""


class Unavailable(JupyterdError):
    """Not now; later it may work."""


class TimedOut(JupyterdError):
    """It took longer than allowed."""


class OutOfSpace(JupyterdError):
    """The disk, or the quota on it, is full."""


class Upstream(JupyterdError):
    """A server that this one asked refused; its answer is passed on.

    :param status_code: what it answered, in its own protocol's terms.
    """

    def __init__(self, status_code: int, message: str, reason: str | None = None) -> None:
        super().__init__(message, reason)
        self.status_code = status_code


def shortage(number: int | None) -> type[JupyterdError] | None:
    """The kind of failure that an ``errno`` stands for, where the system has too little of something; else None."""
    if number in FULL:
        return OutOfSpace
    return Unavailable if number in SCARCE else None
