"""A gateway in memory: its REST API as an agent, its websockets as a dial."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent
from zope.interface import implementer

from jupyterd.gateway.client import Gateway
from jupyterd.gateway.credentials import Credentials
from jupyterd.gateway.interfaces import LinkEnd
from jupyterd.gateway.settings import GatewayClient
from jupyterd.gateway.token_renewal import NoOpTokenRenewer
from jupyterd.testing.deferreds import at_once

SPEC = {
    "name": "python3",
    "spec": {"display_name": "Python 3", "metadata": {"cull_idle_timeout": 7}},
    "resources": {"logo-svg": "/gw/kernelspecs/python3/logo-svg.svg", "other": "https://elsewhere/x.png"},
}


class Response:
    """What an agent gives."""

    def __init__(self, code: int, body: bytes, headers: dict[str, str]) -> None:
        self.code = code
        self.headers = Headers({name: [value] for name, value in headers.items()})
        self.length = len(body)
        self._body = body
        self.transport = StringTransport()

    def deliverBody(self, protocol: Any) -> None:
        protocol.makeConnection(self.transport)
        for start in range(0, len(self._body), 1000):
            protocol.dataReceived(self._body[start : start + 1000])
        protocol.connectionLost(Failure(ResponseDone()))


@dataclass
class Asked:
    """A request as the gateway saw it."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: Any


@implementer(IAgent)
class TheirAPI:
    """Kernels and kernelspecs.

    :ivar kernels: ids of those that run.
    :ivar asked: all requests.
    :ivar script: answers to give before all others: a response, an exception, or a Deferred.
    """

    def __init__(self) -> None:
        self.kernels: list[str] = []
        self.asked: list[Asked] = []
        self.script: list[Any] = []
        self._count = 0

    def request(self, method: bytes, uri: bytes, headers: Any = None, bodyProducer: Any = None) -> Deferred[Any]:
        parts = urlsplit(uri.decode())
        body = json.loads(bodyProducer._inputFile.read()) if bodyProducer is not None else None
        shown = {name.decode(): values[-1].decode() for name, values in headers.getAllRawHeaders()}
        self.asked.append(Asked(method.decode(), unquote(parts.path), parts.query, shown, body))
        if self.script:
            answer = self.script.pop(0)
            if isinstance(answer, Deferred):
                return answer
            return Deferred.fromCoroutine(_raise(answer)) if isinstance(answer, Exception) else succeed(answer)
        return succeed(self._answer(self.asked[-1]))

    def _answer(self, asked: Asked) -> Response:
        match [asked.method, *asked.path.strip("/").split("/")]:
            case ["GET", "api", "kernelspecs"]:
                return said(200, {"default": "python3", "kernelspecs": {"python3": SPEC}})
            case ["GET", "api", "kernelspecs", "python3"]:
                return said(200, SPEC)
            case ["GET", "kernelspecs", "python3", "logo-svg.svg"]:
                return Response(200, b"<svg/>", {})
            case ["GET", "api", "kernels"]:
                return said(200, [{"id": kernel} for kernel in self.kernels])
            case ["POST", "api", "kernels"]:
                self._count += 1
                self.kernels.append(f"there-{self._count}")
                return said(201, {"id": self.kernels[-1]})
            case [method, "api", "kernels", kernel, *what] if kernel in self.kernels:
                if method == "DELETE":
                    self.kernels.remove(kernel)
                    return Response(204, b"", {})
                return said(200, {"id": kernel}) if what != ["interrupt"] else Response(204, b"", {})
        return said(404, {"message": f"nothing at {asked.path}", "reason": "Not Found"})

    def calls(self) -> list[str]:
        """Methods and paths since the last call."""
        asked, self.asked = self.asked, []
        return [f"{each.method} {each.path}" for each in asked]


async def _raise(error: Exception) -> None:
    raise error


def said(status: int, value: Any, **headers: str) -> Response:
    """An answer in JSON."""
    return Response(status, json.dumps(value).encode(), headers)


@dataclass(eq=False)
class TheirSocket:
    """The gateway's side of a websocket; see :class:`jupyterd.gateway.interfaces.Wire`."""

    kernel_id: str
    session: str
    end: LinkEnd
    full: bool = False
    reading: bool = True
    left: bool = False
    sent: list[tuple[str, list[Any]]] = field(default_factory=list)
    _count: int = 0

    def send_message(self, channel: str, parts: Any) -> None:
        self.sent.append((channel, list(parts)))

    def pause_client(self) -> None:
        self.reading = False

    def resume_client(self) -> None:
        self.reading = True

    def leave(self) -> None:
        self.left = True

    def say(self, channel: str, msg_type: str, content: Any, parent: bytes = b"{}", *buffers: bytes) -> None:
        """A message of the kernel."""
        self._count += 1
        header = json.dumps({"msg_type": msg_type, "msg_id": f"{id(self)}-{self._count}"}).encode()
        self.end.received(channel, [header, parent, b"{}", json.dumps(content).encode(), *buffers])
        self.end.turn()

    def types(self) -> list[str]:
        """The types of the messages that came since the last call."""
        sent, self.sent = self.sent, []
        return [json.loads(parts[0])["msg_type"] for _, parts in sent]


class Dial:
    """Opens them.

    :ivar opening: those that are being opened, oldest first; the test lets them succeed or fail.
    """

    def __init__(self) -> None:
        self.opening: list[tuple[Deferred[Any], TheirSocket]] = []
        self.cancelled = 0

    def __call__(self, kernel_id: str, session: str, end: LinkEnd) -> Deferred[Any]:
        def cancel(_: Any) -> None:
            self.cancelled += 1

        opening: Deferred[Any] = Deferred(cancel)
        self.opening.append((opening, TheirSocket(kernel_id, session, end)))
        return opening

    def accept(self) -> TheirSocket:
        """The oldest is open."""
        opening, socket = self.opening.pop(0)
        opening.callback(socket)
        return socket

    def refuse(self, why: str = "refused") -> None:
        """The oldest is not to be had."""
        self.opening.pop(0)[0].errback(Failure(OSError(why)))


class Kit:
    """A gateway and its client.

    :ivar events: what the event bus was told.
    """

    def __init__(self, renewer: Any = None, api: TheirAPI | None = None, repeats: int = 2, **traits: Any) -> None:
        self.clock = Clock()
        self.api = api or TheirAPI()
        self.settings = GatewayClient(**{"url": "http://gw:8888", **traits})
        self.events: list[dict[str, Any]] = []
        self.credentials = Credentials(self.settings, renewer or NoOpTokenRenewer(), at_once)
        self.gateway = Gateway(
            self.clock, self.settings, self.credentials, self.api, lambda _, data: self.events.append(data), repeats
        )

    def ask(self, *arguments: str, **values: Any) -> list[Any]:
        """The outcome of a request, once there is one."""
        return outcome(Deferred.fromCoroutine(self.gateway.ask(*arguments, **values)))


def outcome(deferred: Deferred[Any]) -> list[Any]:
    """The result or the exception, once there is one."""
    found: list[Any] = []
    deferred.addCallbacks(found.append, lambda failure: found.append(failure.value))
    return found
