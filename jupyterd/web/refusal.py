"""Refusal: what the guard answers itself, before any resource is asked."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Refusal:
    """An answer given in place of the resource: a refusal, a redirect to the login page, a CORS preflight.

    :param status: the HTTP status code.
    :param message: the ``message`` of the JSON body (or the sentence on the error page).
    :param reason: the ``reason`` of the JSON body.
    :param location: where a redirect leads.
    :param headers: more response headers.
    :param empty: send no body at all.
    :param check: which of the guard's checks it is, for metrics; empty where it is no refusal of somebody.
    """

    status: int
    message: str = ""
    reason: str | None = None
    location: str | None = None
    headers: tuple[tuple[str, str], ...] = field(default=())
    empty: bool = False
    check: str = ""
