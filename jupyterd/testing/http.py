"""HTTP in memory: the real site and parser on a transport and a clock that the test moves."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.testing import MemoryReactorClock, StringTransport

from jupyterd.testing.deferreds import at_once
from jupyterd.web.root import Root
from jupyterd.web.server.request import Gate
from jupyterd.web.server.site import Site


class OpenGate:
    """A gate that lets everybody in."""

    def admit(self, request: Any, mount: Any) -> None:
        """Nobody is refused."""

    def check_form(self, request: Any) -> None:
        """Nobody is refused."""

    def headers(self, request: Any) -> tuple[tuple[bytes, bytes], ...]:
        """No headers."""
        return ()


@dataclass
class Answer:
    """A response, parsed from what the server wrote."""

    status: int
    headers: dict[str, list[str]]
    body: bytes

    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        """The last value of a header."""
        values = self.headers.get(name.lower())
        return values[-1] if values else None


def parse_answer(data: bytes, head_only: bool = False) -> Answer:
    """Parse one response; its body is what follows the head, chunked or not."""
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers: dict[str, list[str]] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers.setdefault(name.lower(), []).append(value.strip())
    if headers.get("transfer-encoding") == ["chunked"]:
        body = _unchunk(body)
    return Answer(int(first.split(" ")[1]), headers, b"" if head_only else body)


def _unchunk(body: bytes) -> bytes:
    out = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        count = int(size, 16)
        if not count:
            break
        out, body = out + body[:count], body[count + 2 :]
    return out


@dataclass
class Connection:
    """One client's connection to a :class:`MemorySite`."""

    protocol: Any
    transport: MemoryTransport

    def send(self, data: bytes) -> None:
        """Bytes from the client."""
        (self.transport.protocol or self.protocol).dataReceived(data)

    def received(self) -> bytes:
        """Bytes for the client since the last call."""
        data: bytes = self.transport.value()
        self.transport.clear()
        return data


class MemoryTransport(StringTransport):
    """A transport that keeps what is written and can be handed from one protocol to another."""

    protocol: Any = None
    disconnected = False

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Accepted."""

    def abortConnection(self) -> None:
        """Note it."""
        super().abortConnection()
        self.disconnected = True


@dataclass
class MemorySite:
    """The real site with the real parser, on a reactor whose clock the test moves.

    :param root: what is served; mount on it.
    """

    root: Root = field(default_factory=Root)
    gate: Gate = field(default_factory=OpenGate)
    reactor: MemoryReactorClock = field(default_factory=MemoryReactorClock)
    max_body: int = 512 * 1024 * 1024

    def __post_init__(self) -> None:
        self.site = Site(self.root, self.gate, reactor=self.reactor, in_thread=at_once, max_body=self.max_body)

    def connect(self) -> Connection:
        """A new client."""
        protocol = self.site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 50000))
        transport = MemoryTransport(
            hostAddress=IPv4Address("TCP", "127.0.0.1", 8888), peerAddress=IPv4Address("TCP", "127.0.0.1", 50000)
        )
        protocol.makeConnection(transport)
        return Connection(protocol, transport)

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        json_body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Ask on a connection of its own and give the answer, which must be there at once."""
        if json_body is not None:
            body = json.dumps(json_body).encode()
        head = {"Host": "127.0.0.1:8888", **(headers or {})}
        if body is not None:
            head["Content-Length"] = str(len(body))
        text = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in head.items()) + "\r\n"
        connection = self.connect()
        connection.send(text.encode("latin-1") + (body or b""))
        data = connection.received()
        assert data, "no answer yet"
        return parse_answer(data, head_only=method == "HEAD")
