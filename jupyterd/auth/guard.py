"""The guard: decides on every request before any resource, and before a byte of its body is kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hmac import compare_digest

from jupyterd.web.refusal import Refusal
from jupyterd.web.root import Mount
from jupyterd.web.site import Request


@dataclass
class Guard:
    """Lets requests with the token through.

    :param token: what clients must show; empty for an open server.
    """

    token: str

    def admit(self, request: Request, mount: Mount | None) -> Refusal | None:
        """None to let the request through, else the answer."""
        if (mount is not None and mount.public) or not self.token:
            return None
        shown = _token_of(request)
        if shown is not None and compare_digest(shown.encode(), self.token.encode()):
            request.token_authenticated = True
            return None
        return Refusal(403, "Forbidden")

    def headers(self, request: Request) -> Iterable[tuple[bytes, bytes]]:
        """Headers of every response."""
        yield b"x-content-type-options", b"nosniff"


def _token_of(request: Request) -> str | None:
    scheme, _, value = (request.getHeader("authorization") or "").partition(" ")
    if scheme.lower() in ("token", "bearer"):
        return value.strip()
    values = request.args.get(b"token")
    return values[-1].decode("utf-8", "replace") if values else None
