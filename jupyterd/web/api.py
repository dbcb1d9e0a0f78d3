"""API routes: Klein with JSON both ways, a route is a method that takes a :class:`Call` and returns a value."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, TypeVar

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET
from werkzeug.exceptions import HTTPException
from werkzeug.routing import PathConverter

from jupyterd.web import errors
from jupyterd.web.body_schema import Body
from jupyterd.web.call import Call, Reply, encode
from jupyterd.web.served import Served
from jupyterd.web.server.request import Request

log = Logger()
Method = TypeVar("Method", bound=Callable[..., Coroutine[Any, Any, Any]])


class Routes(Klein):
    """A Klein whose routes write their answers themselves.

    Klein would take each request through several Deferreds to render a body, which these routes do not return: a good
    part of what a small answer costs.
    """

    def resource(self) -> IResource:  # type: ignore[override]
        """What is mounted."""
        return _Routed(self)


class _Routed(Resource):
    """Resource of the routes: asks the one that fits."""

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
        self.bodies: dict[tuple[str, str], Body] = {}
        """What routes take, by method and path."""
        app.url_map.strict_slashes = False
        app.url_map.merge_slashes = False
        app.url_map.converters["path"] = _AnyPath

    def __call__(
        self, methods: str | tuple[str, ...], path: str, status: int = 200, body: Body | None = None
    ) -> Callable[[Method], Method]:
        """Route ``methods`` of ``path`` to the decorated method.

        :param body: what :meth:`Call.json_object` has to be.

        The method's return value becomes the answer: JSON; nothing for None with 204; a :class:`Reply`; or a
        :class:`Served`. What it raises becomes an error of :mod:`jupyterd.web.errors`. A client that goes away
        does not stop it.
        """

        def decorate(method: Method) -> Method:
            @wraps(method)
            def endpoint(resource: Any, request: Request, **values: Any) -> Any:
                call = Call(request, status, body)
                return run(call, method(resource, call, **values))

            names = [methods] if isinstance(methods, str) else list(methods)
            endpoint.__name__ = f"{method.__name__} {path} {names[0]}"
            self._app.route(path, methods=names)(endpoint)
            if body is not None:
                self.bodies.update({(name, path): body for name in names})
            return method

        return decorate

    def websocket(self, path: str) -> Callable[[Method], Method]:
        """Route the websockets of ``path`` to the decorated method, which returns the protocol to speak."""

        def decorate(method: Method) -> Method:
            @wraps(method)
            def endpoint(resource: Any, request: Request, **values: Any) -> Any:
                from jupyterd.web.websocket.protocol import upgrade

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
        name = request.request_id.decode("ascii")
        log.failure(
            "{method} {path} failed (request {request_id})",
            failure,
            method=call.method,
            path=call.path,
            request_id=name,
        )
    if request._disconnected or request.finished:
        return
    if request.startedWriting:
        request.channel.forceAbortClient()
        return
    request.fail(*(known or (500, "Unhandled error", None)))
