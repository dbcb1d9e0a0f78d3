"""Access log: one event for each answered request, at the level that its status deserves."""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from jupyterd.web.server.request import Request

log = Logger()

MAX_PATH = 2048
"""Characters of a path that are logged; a stranger can send 64 KiB of them with each request."""


class AccessLog:
    """Tells the log of each answer.

    Successes are debug events (a busy server answers thousands a second), redirects are info, refusals and errors are
    warnings. No query is logged: it may hold a token.

    :param verbose: log successes too; without it not even the event is made. May be changed.
    :param count: called with method, status and seconds, for metrics.
    """

    def __init__(self, verbose: bool = False, count: Callable[[Request, float], None] | None = None) -> None:
        self.verbose = verbose
        self._count = count

    def __call__(self, request: Request, seconds: float) -> None:
        """Log one answer."""
        if self._count is not None:
            self._count(request, seconds)
        status = request.code
        if status < 300 or status == 304:
            if self.verbose:
                log.debug("{status} {method} {path} {ms:.2f}ms", **_fields(request, seconds))
        elif status < 400:
            log.info("{status} {method} {path} ({client}) {ms:.2f}ms", **_fields(request, seconds))
        else:
            log.warn("{status} {method} {path} ({client}) {ms:.2f}ms", **_fields(request, seconds))


def _fields(request: Request, seconds: float) -> dict[str, object]:
    return {
        "status": request.code,
        "method": request.method.decode("latin-1"),
        "path": _shown(request.path.decode("latin-1") if request.path else ""),
        "client": getattr(request.client, "host", "unix"),
        "ms": seconds * 1000,
        "request_id": request.request_id.decode("ascii"),
    }


def _shown(path: str) -> str:
    return path if len(path) <= MAX_PATH else f"{path[:MAX_PATH]}..."
