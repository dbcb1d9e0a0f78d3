"""Klein with JSON both ways: a route is a method that takes a :class:`Call` and returns a value."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, TypeVar

import msgspec
from klein import Klein
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET
from werkzeug.exceptions import HTTPException
from werkzeug.routing import PathConverter

from jupyterd.errors import Invalid
from jupyterd.web import errors
from jupyterd.web.request import Request
from jupyterd.web.served import Served

PARSE_IN_THREAD = 64 * 1024
"""A JSON body with more bytes is parsed in a thread: above this the parse costs more than the hop."""

log = Logger()
Method = TypeVar("Method", bound=Callable[..., Coroutine[Any, Any, Any]])


@dataclass(frozen=True)
class Reply:
    """A response that is not JSON, or is already encoded."""

    body: bytes = b""
    content_type: str = "application/json"
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Call:
    """One request, as a route's method sees it.

    :ivar status: the status of the answer; the route's default until the method sets it.
    """

    __slots__ = ("_gone", "request", "status")

    def __init__(self, request: Request, status: int) -> None:
        self.request = request
        self.status = status
        self._gone: Deferred[None] | None = None

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

    async def json_object(self, required: bool = False) -> dict[str, Any]:
        """The body as a JSON object; an empty one where there is no body and none is ``required``.

        :raises Invalid: not JSON, not an object, or missing.
        """
        value = await self.json(None if required else {})
        if not isinstance(value, dict):
            raise Invalid("The request body must be a JSON object")
        return value

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
        return json.dumps(value).encode()


class Routes(Klein):
    """A Klein whose routes write their answers themselves.

    Klein would take each request through several Deferreds to render a body, which these routes do not return: a good
    part of what a small answer costs.
    """

    def resource(self) -> IResource:  # type: ignore[override]
        """What is mounted."""
        return _Routed(self)


class _Routed(Resource):
    """Asks the route that fits."""

    isLeaf = True

    def __init__(self, app: Routes) -> None:
        super().__init__()
        self._app = app
        self._match = app.url_map.bind("localhost").match

    def render(self, request: Any) -> Any:
        try:
            endpoint, values = self._match("/" + "/".join(request.segments), request.method.decode("latin-1"))
        except HTTPException as error:
            _fail(Failure(error), Call(request, 200))
        else:
            self._app.execute_endpoint(endpoint, request, **values)
        return NOT_DONE_YET


class _AnyPath(PathConverter):
    """The rest of a path; names of files may hold newlines."""

    regex = r"[^/][\s\S]*?"


class JSONApi:
    """The decorator of a resource's routes; made by :func:`json_api`."""

    def __init__(self, app: Routes) -> None:
        self._app = app
        app.url_map.strict_slashes = False
        app.url_map.merge_slashes = False
        app.url_map.converters["path"] = _AnyPath

    def __call__(self, methods: str | tuple[str, ...], path: str, status: int = 200) -> Callable[[Method], Method]:
        """Route ``methods`` of ``path`` to the decorated method.

        The method's return value becomes the answer: JSON; nothing for None with 204; a :class:`Reply`; or a
        :class:`Served`. What it raises becomes an error of :mod:`jupyterd.web.errors`. A client that goes away
        does not stop it.
        """

        def decorate(method: Method) -> Method:
            @wraps(method)
            def endpoint(resource: Any, request: Request, **values: Any) -> Any:
                call = Call(request, status)
                return run(call, method(resource, call, **values))

            names = [methods] if isinstance(methods, str) else list(methods)
            endpoint.__name__ = f"{method.__name__} {path} {names[0]}"
            self._app.route(path, methods=names)(endpoint)
            return method

        return decorate

    def websocket(self, path: str) -> Callable[[Method], Method]:
        """Route the websockets of ``path`` to the decorated method, which returns the protocol to speak."""

        def decorate(method: Method) -> Method:
            @wraps(method)
            def endpoint(resource: Any, request: Request, **values: Any) -> Any:
                from jupyterd.web.websocket import upgrade

                call = Call(request, 101)
                return run(call, upgrade(call, lambda: method(resource, call, **values)))

            endpoint.__name__ = f"{method.__name__} {path} websocket"
            self._app.route(path, methods=["GET"])(endpoint)
            return method

        return decorate


def json_api(app: Routes) -> JSONApi:
    """Make ``app`` answer with JSON, errors too, and return the decorator of its routes."""
    return JSONApi(app)


def run(call: Call, method: Coroutine[Any, Any, Any]) -> None:
    """Run a route's method to its end, whatever the client does, and write what it returns."""
    Deferred.fromCoroutine(method).addCallback(_answer, call).addErrback(_fail, call)


def _answer(value: Any, call: Call) -> None:
    request = call.request
    if request._disconnected:
        return
    if isinstance(value, Reply):
        for name, text in value.headers.items():
            call.set_header(name, text)
        _write(request, value.status or call.status, value.body, value.content_type)
    elif isinstance(value, Served):
        request.setResponseCode(call.status)
        value.serve(request)
    elif value is None and call.status in (101, 204):
        if call.status == 204:
            _write(request, 204, b"", None)
    else:
        _write(request, call.status, encode(value), "application/json")


def _write(request: Request, status: int, body: bytes, content_type: str | None) -> None:
    request.setResponseCode(status)
    if content_type is not None and status != 204 and not request.responseHeaders.hasHeader(b"content-type"):
        request.setHeader(b"content-type", content_type.encode("ascii"))
    if status not in (204, 304):
        request.setHeader(b"content-length", b"%d" % len(body))
    request.write(body)
    request.finish()


def _fail(failure: Failure, call: Call) -> None:
    request = call.request
    known = errors.describe(failure.value) if failure.value is not None else None
    if known is None:
        log.failure("{method} {path} failed", failure, method=call.method, path=call.path)
    if request._disconnected or request.finished:
        return
    if request.startedWriting:
        request.channel.forceAbortClient()
        return
    request.fail(*(known or (500, "Unhandled error", None)))
