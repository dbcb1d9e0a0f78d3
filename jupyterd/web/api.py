"""API routes: Klein with JSON both ways, a route is a method that takes a :class:`Call` and returns a value."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from functools import partial, wraps
from typing import Any, TypeVar

from klein.app import Klein
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, PathConverter, Rule, RuleFactory

from jupyterd.web import errors
from jupyterd.web.body_schema import Body
from jupyterd.web.call import Call, Reply, encode
from jupyterd.web.self_writing_reply import Served
from jupyterd.web.server.answer_head import CONTENT_LENGTH, CONTENT_TYPE
from jupyterd.web.server.request import Request
from jupyterd.web.server.transport import Eager

log = Logger()

JSON, JSON_BYTES = "application/json", b"application/json"

PLAIN = (dict, list)
"""What most routes return."""

REMEMBERED = 500
"""Paths of which it is known, at a time, which route answers them; for each resource."""

Method = TypeVar("Method", bound=Callable[..., Coroutine[Any, Any, Any]])


class Routes(Klein):
    """A Klein whose routes write their answers themselves.

    Klein would take each request through several Deferreds to render a body, which these routes do not return: a good
    part of what a small answer costs.
    """

    def __init__(self) -> None:
        super().__init__()
        self._url_map = _RouteMap()

    def resource(self) -> IResource:  # type: ignore[override]
        """What is mounted."""
        return _Routed(self)


class _RouteMap(Map):
    """Map of routes from which no URL is built before one is asked for.

    Werkzeug compiles a function for it from a syntax tree, twice for each route: a fifth of what a page's first load
    costs.
    """

    def add(self, rulefactory: RuleFactory) -> None:
        """Add routes."""
        for rule in rulefactory.get_rules(self):
            late: Any = rule
            late._compile_builder = partial(_compile_late, rule._compile_builder)
            super().add(rule)


def _compile_late(compile_builder: Callable[[bool], Callable[..., Any]], append_unknown: bool) -> Callable[..., Any]:
    """What stands for a builder, and compiles it when it is called; werkzeug makes a method of it."""

    def build(rule: Rule, /, **values: Any) -> Any:
        return compile_builder(append_unknown)(rule, **values)

    return build


class _Routed(Resource):
    """Resource of the routes: asks the one that fits."""

    isLeaf = True

    def __init__(self, app: Routes) -> None:
        super().__init__()
        self._app = app
        self._match = app.url_map.bind("localhost").match
        self._known: dict[tuple[str, bytes], tuple[str, Any]] = {}

    def render(self, request: Any) -> Any:
        try:
            endpoint, values = self._find("/".join(request.segments), request.method)
        except HTTPException as error:
            _fail(Failure(error), Call(request, 200))
        else:
            self._app.execute_endpoint(endpoint, request, **values)
        return NOT_DONE_YET

    def _find(self, path: str, method: bytes) -> tuple[str, Any]:
        """The route, and what is variable in the path. Clients ask for a few paths again and again.

        :raises HTTPException: there is none.
        """
        asked = path, method
        found = self._known.get(asked)
        if found is None:
            found = self._match("/" + path, method.decode("latin-1"))
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[asked] = found
        return found


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
            """Route to ``method``, and give it back as it was."""

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
            """Route to ``method``, and give it back as it was."""

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
    """Run a route's method to its end, whatever the client does, and write what it returns.

    Most wait for nothing: those are done before there would be a Deferred.
    """
    try:
        waiting = method.send(None)
    except StopIteration as done:
        try:
            _answer(done.value, call)
        except Exception:  # noqa: BLE001 - told to the log and the client
            _fail(Failure(), call)
    except Exception:  # noqa: BLE001 - it is an answer, or told to the log and the client
        _fail(Failure(), call)
    else:
        Deferred.fromCoroutine(_rest(method, waiting)).addCallback(_answer, call).addErrback(_fail, call)


def _rest(method: Coroutine[Any, Any, Any], waiting: Any) -> Generator[Any, Any, Any]:
    """A coroutine from its first wait on."""
    while True:
        try:
            given = yield waiting
        except BaseException as error:  # noqa: BLE001 - it is the coroutine's
            resume: Callable[[], Any] = partial(method.throw, error)
        else:
            resume = partial(method.send, given)
        try:
            waiting = resume()
        except StopIteration as done:
            return done.value


def _answer(value: Any, call: Call) -> None:
    request = call.request
    if request._disconnected:
        return
    if type(value) in PLAIN:
        _write(request, call.status, encode(value), JSON)
    elif isinstance(value, Reply):
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
        _write(request, call.status, encode(value), JSON)


def _write(request: Request, status: int, body: bytes, content_type: str | None) -> None:
    request.setResponseCode(status)
    headers = request.responseHeaders._rawHeaders
    if content_type is not None and status != 204 and CONTENT_TYPE not in headers:
        if content_type == JSON:
            headers[CONTENT_TYPE] = [JSON_BYTES]  # what is no constant is looked at by setHeader
        else:
            request.setHeader(CONTENT_TYPE, content_type.encode("ascii"))
    if status not in (204, 304):
        headers[CONTENT_LENGTH] = [b"%d" % len(body)]
    transport: Any = request.channel.transport
    if isinstance(transport, Eager):
        transport.write_together(partial(_send, request, body))
    else:
        _send(request, body)


def _send(request: Request, body: bytes) -> None:
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
