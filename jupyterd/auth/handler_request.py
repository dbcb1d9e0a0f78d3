"""``handler.request``: a request as identity providers and authorizers see it, under Tornado's names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from jupyterd.auth.http import cookies

if TYPE_CHECKING:
    from jupyterd.auth.guard_interface import ServerFacts
    from jupyterd.web.server.request import Request

_PORT = re.compile(r"(?<=.):\d+$")


class Headers(Mapping[str, str]):
    """Request headers under case-insensitive names, decoded as Latin-1; repeated ones joined by a comma."""

    __slots__ = ("_raw",)

    def __init__(self, request: Request) -> None:
        self._raw = request.requestHeaders

    def __getitem__(self, name: str) -> str:
        values = self._raw.getRawHeaders(name.encode("latin-1"))
        if not values:
            raise KeyError(name)
        return b",".join(values).decode("latin-1")

    def __iter__(self) -> Iterator[str]:
        return (name.decode("latin-1") for name, _ in self._raw.getAllRawHeaders())

    def __len__(self) -> int:
        return sum(1 for _ in self._raw.getAllRawHeaders())

    def get_list(self, name: str) -> list[str]:
        """All values of a header, in order."""
        return [value.decode("latin-1") for value in self._raw.getRawHeaders(name.encode("latin-1")) or ()]

    def get_all(self) -> Iterator[tuple[str, str]]:
        """Name and value of each header line."""
        for name, values in self._raw.getAllRawHeaders():
            for value in values:
                yield name.decode("latin-1"), value.decode("latin-1")


class HandlerRequest:
    """``handler.request``: method, URI, headers, and where the request came from."""

    __slots__ = ("_guard", "_web", "headers")

    def __init__(self, guard: ServerFacts, request: Request) -> None:
        self._guard = guard
        self._web = request
        self.headers = Headers(request)

    @property
    def method(self) -> str:
        """``GET``, ``POST`` ..."""
        return self._web.method.decode("latin-1")

    @property
    def uri(self) -> str:
        """Path and query as they were sent."""
        return self._web.uri.decode("latin-1")

    @property
    def path(self) -> str:
        """The path as it was sent."""
        return self._web.path.decode("latin-1")

    @property
    def query(self) -> str:
        """The query as it was sent, without its question mark."""
        return self.uri.partition("?")[2]

    @property
    def host(self) -> str:
        """The Host header; ``127.0.0.1`` where there is none."""
        return self._web.getHeader("host") or "127.0.0.1"

    @property
    def host_name(self) -> str:
        """The host without its port, in lower case."""
        return _PORT.sub("", self.host.lower())

    @property
    def remote_ip(self) -> str:
        """Where the request came from; behind a trusted proxy, what that says."""
        return self._guard.remote_ip(self._web)

    @property
    def protocol(self) -> str:
        """``http`` or ``https``; behind a trusted proxy, what that says."""
        return self._guard.protocol(self._web)

    @property
    def cookies(self) -> dict[str, str]:
        """The request's cookies."""
        return parse_cookies(self._web)

    @property
    def arguments(self) -> dict[str, list[bytes]]:
        """The query's arguments; nobody has read a body yet."""
        return {name.decode("utf-8", "replace"): list(values) for name, values in self._web.args.items()}

    query_arguments = arguments

    @property
    def body(self) -> bytes:
        """The body, where it was read already, as on the login form."""
        content = self._web.content
        return content.getvalue() if hasattr(content, "getvalue") else b""

    def full_url(self) -> str:
        """The URL that the client asked for."""
        return f"{self.protocol}://{self.host}{self.uri}"


def parse_cookies(request: Request) -> dict[str, str]:
    """The cookies in all Cookie headers of a request."""
    lines = request.requestHeaders.getRawHeaders(b"cookie")
    return cookies.parse(b"; ".join(lines).decode("latin-1")) if lines else {}
