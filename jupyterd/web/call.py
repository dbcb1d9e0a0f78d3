"""Call and Reply: one request as a route's method sees it, and an answer that is not JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from twisted.internet.defer import Deferred

from jupyterd.errors import Invalid
from jupyterd.system import strict_json
from jupyterd.web.body_schema import Body
from jupyterd.web.server.request import Request

PARSE_IN_THREAD = 64 * 1024
"""A JSON body with more bytes is parsed in a thread: above this the parse costs more than the hop."""


@dataclass(frozen=True)
class Reply:
    """A response that is not JSON, or is already encoded."""

    body: bytes = b""
    content_type: str = "application/json"
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


ANY_OBJECT = Body({"type": "object"})


class Call:
    """One request, as a route's method sees it.

    :ivar status: the status of the answer; the route's default until the method sets it.
    """

    __slots__ = ("_expected", "request", "status")

    def __init__(self, request: Request, status: int, body: Body | None = None) -> None:
        self.request = request
        self.status = status
        self._expected = body

    @property
    def user(self) -> Any:
        """Who asks."""
        return self.request.user

    @property
    def method(self) -> str:
        """The request's method."""
        return self.request.method.decode("ascii")

    @property
    def path(self) -> str:
        """The decoded path below ``base_url``, with its leading slash."""
        return "/" + "/".join(self.request.segments)

    @property
    def base_url(self) -> str:
        """What all paths of this server begin with, slash at both ends."""
        return self.request.site.root.base_url

    def arg(self, name: str, default: str | None = None) -> str | None:
        """The last value of ``name`` in the query."""
        values = self.request.args.get(name.encode())
        return default if not values else _text(values[-1])

    def args(self, name: str) -> list[str]:
        """All values of ``name`` in the query, in order."""
        return [_text(value) for value in self.request.args.get(name.encode(), ())]

    def header(self, name: str) -> str | None:
        """A request header's last value."""
        value: str | None = self.request.getHeader(name)
        return value

    def set_header(self, name: str, value: str) -> None:
        """Set a response header; what is not Latin-1 becomes a question mark."""
        self.request.setHeader(name.encode("ascii"), value.encode("latin-1", "replace"))

    def body(self) -> bytes:
        """The request's body."""
        content = self.request.content
        return b"" if content is None else content.getvalue()

    async def json(self, default: Any = None) -> Any:
        """The request's body, decoded; ``default`` where there is none.

        :raises Invalid: not JSON. Source: the reference's ``get_json_body``.
        """
        body = self.body()
        if not body or not (body := body.strip()):
            return default
        if len(body) > PARSE_IN_THREAD:
            return await self.request.site.in_thread(parse, body)
        return parse(body)

    async def json_object(self) -> dict[str, Any]:
        """The body as the JSON object that its route declares; any object where it declares nothing.

        :raises Invalid: not JSON, or not what the route takes.
        """
        return (self._expected or ANY_OBJECT).checked(await self.json())

    @property
    def gone(self) -> Deferred[None]:
        """Fires when the client has gone away before the answer was complete; never, where it stayed."""
        gone: Deferred[None] = Deferred()
        self.request.notifyFinish().addErrback(lambda _: gone.callback(None))
        return gone


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise Invalid("A query argument is not UTF-8") from None


def parse(body: bytes) -> Any:
    """Decode JSON as the reference does: ``NaN``, big integers and lone surrogates pass.

    :raises Invalid: not JSON, or nested deeper than the interpreter follows.
    """
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # the second, where a key is not UTF-8
        pass
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Invalid("Invalid JSON in body of request") from None


def encode(value: Any) -> bytes:
    """Encode a model; keys are strings. What msgspec refuses, the standard library encodes."""
    try:
        return msgspec.json.encode(value)
    except (TypeError, ValueError):
        return strict_json.dumps(value).encode()
