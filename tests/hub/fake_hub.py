"""A Hub in memory: its API as far as a user's server asks it. The real one is tried in tests/real/hub."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from treq.client import HTTPClient
from treq.testing import RequestTraversalAgent, _SynchronousProducer
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectError
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

VERSION = "5.5.4"
SECRET = "api-token-of-the-server"


@dataclass(eq=False)
class FakeHub(Resource):
    """The resource; ``http()`` is a client of it.

    :ivar tokens: the users' models by token.
    :ivar codes: tokens, by the code that a login gives.
    :ivar asked: method and path of each request.
    :ivar away: nobody answers.
    :ivar held: answers wait here, where it is a list.
    """

    tokens: dict[str, dict[str, Any]] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    posted: list[Any] = field(default_factory=list)
    forms: list[dict[str, list[str]]] = field(default_factory=list)
    away: bool = False
    held: list[Deferred[None]] | None = None
    instead: tuple[int, bytes] | None = None
    isLeaf = True

    def __post_init__(self) -> None:
        super().__init__()

    def http(self) -> HTTPClient:
        self._agent = RequestTraversalAgent(self)
        return HTTPClient(_Line(self, self._agent), data_to_body_producer=_SynchronousProducer)

    def release(self) -> None:
        """Let the answers that are held go."""
        held, self.held = self.held or [], None
        for each in held:
            each.callback(None)
        self._agent.flush()

    def render(self, request: Any) -> Any:
        method, path = request.method.decode(), request.path.decode()
        self.asked.append((method, path))
        request.setHeader("X-JupyterHub-Version", VERSION)
        status, answer = self.instead or self._answer(request, method, path)
        request.setResponseCode(status)
        if self.held is None:
            return answer

        def write(_: None) -> None:
            request.write(answer)
            request.finish()

        wait: Deferred[None] = Deferred()
        wait.addCallback(write)
        self.held.append(wait)
        return NOT_DONE_YET

    def _answer(self, request: Any, method: str, path: str) -> tuple[int, bytes]:
        token = (request.getHeader("authorization") or "").removeprefix("token ")
        if path == "/hub/api/":
            return 200, json.dumps({"version": VERSION}).encode()
        if path == "/hub/api/user":
            model = self.tokens.get(token)
            return (200, json.dumps(model).encode()) if model else (403, b'{"status": 403, "message": "Forbidden"}')
        if path == "/hub/api/oauth2/token":
            return self._code(parse_qs(request.content.read().decode()))
        if path == "/hub/api/users/ada/activity" and token == SECRET:
            self.posted.append(json.loads(request.content.read()))
            return 200, b""
        return 404, b'{"status": 404, "message": "Not Found"}'

    def _code(self, form: dict[str, list[str]]) -> tuple[int, bytes]:
        self.forms.append(form)
        token = self.codes.pop(form["code"][0], None)
        if token is None or form["client_secret"] != [SECRET]:
            return 400, b'{"error": "invalid_grant"}'
        return 200, json.dumps({"access_token": token, "token_type": "Bearer"}).encode()


class _Line:
    """The way to the Hub, which may be down."""

    def __init__(self, hub: FakeHub, agent: RequestTraversalAgent) -> None:
        self._hub = hub
        self._agent = agent

    def request(self, *args: Any, **kwargs: Any) -> Any:
        if self._hub.away:
            return fail(ConnectError())
        answer = self._agent.request(*args, **kwargs)
        self._agent.flush()
        return answer


def model(name: str, *scopes: str, **more: Any) -> dict[str, Any]:
    """A user as the Hub describes it."""
    return {"name": name, "kind": "user", "admin": False, "groups": [], "scopes": list(scopes), **more}
