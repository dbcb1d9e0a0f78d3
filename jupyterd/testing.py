"""Fakes that run the real code without sockets, threads or sleeps; shipped, so that extension authors can use them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.testing import MemoryReactorClock, StringTransport

from jupyterd.kernels.death import Death
from jupyterd.kernels.launcher import Order
from jupyterd.web.request import Gate
from jupyterd.web.root import Root
from jupyterd.web.site import Site

P = ParamSpec("P")
T = TypeVar("T")


def at_once(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
    """An :class:`~jupyterd.threads.InThread` without threads."""
    return maybeDeferred(function, *args, **kwargs)


def result_of(deferred: Deferred[T]) -> T:
    """The result of a Deferred that has fired.

    :raises AssertionError: it has not.
    """
    results: list[Any] = []
    failures: list[Any] = []
    deferred.addCallbacks(results.append, failures.append)
    if failures:
        failures[0].raiseException()
    assert results, "the Deferred has not fired"
    return results[0]  # type: ignore[no-any-return]


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


# -- kernels


class MemoryProcess:
    """A kernel without a process; the test says what happens to it.

    :ivar calls: what it was asked to do: ``start``, ``restart``, ``stop``, ``kill``, ``interrupt`` ...
    :ivar hold: set to a Deferred, it keeps the next start, restart or stop waiting.
    :ivar failure: raised by the next start or restart.
    :ivar retries: how often :meth:`retry` has another way to start.
    """

    owned = True
    shutdown_wait_time = 5.0

    def __init__(self, order: Order, ended: Callable[[Death], None]) -> None:
        self.order = order
        self.name = order.name
        self.calls: list[str] = []
        self.metadata: dict[str, Any] = {}
        self.autorestart = True
        self.env: dict[str, str] = dict(order.env or {})
        self.hold: Deferred[None] | None = None
        self.failure: Exception | None = None
        self.retries = 0
        self.running = False
        self._ended = ended

    @property
    def connection_info(self) -> dict[str, Any]:
        """Another one after each start."""
        return {"key": b"secret", "transport": "tcp", "ip": "127.0.0.1", "shell_port": len(self.calls)}

    def resolve_path(self, path: str) -> str | None:
        """Beside its working directory."""
        return f"{self.order.cwd}/{path}"

    def update_env(self, env: Mapping[str, str]) -> None:
        """Note it."""
        self.env.update(env)

    async def _do(self, call: str) -> None:
        self.calls.append(call)
        hold, self.hold = self.hold, None
        if hold is not None:
            await hold
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure

    async def start(self) -> None:
        """Run."""
        await self._do("start")
        self.running = True

    def retry(self, death: Death) -> bool:
        """Whether there is another way to start."""
        self.retries -= 1
        return self.retries >= 0

    async def restart(self, *, now: bool, new_ports: bool = False) -> None:
        """Run again."""
        await self._do("restart new ports" if new_ports else "restart")
        self.running = True

    async def stop(self, *, now: bool = False) -> None:
        """End."""
        self.running = False
        await self._do("kill" if now else "stop")

    async def interrupt(self) -> None:
        """Note it."""
        await self._do("interrupt")

    def die(self, death: Death) -> None:
        """End by itself."""
        self.running = False
        self._ended(death)


class MemoryLauncher:
    """Kernels of any name, in memory.

    :ivar processes: all that were made, oldest first.
    :ivar prepare: called with each new one, to make it fail or wait.
    """

    def __init__(self, names: tuple[str, ...] = ("python3",)) -> None:
        self.names = names
        self.processes: list[MemoryProcess] = []
        self.prepare: Callable[[MemoryProcess], None] = lambda process: None

    async def process(self, order: Order, ended: Callable[[Death], None]) -> MemoryProcess:
        """A new kernel.

        :raises NoSuchKernelSpec: its name is not among ``names``.
        """
        from jupyterd.kernelspecs.manager import NoSuchKernelSpec

        if order.name not in self.names:
            raise NoSuchKernelSpec(order.name)
        process = MemoryProcess(order, ended)
        self.prepare(process)
        self.processes.append(process)
        return process


class MemoryChannels:
    """A kernel's channels without a kernel.

    :ivar announced: ``(msg_type, content, parent_header)`` of each message of the server's own.
    :ivar asked: ``(channel, msg_type, content)`` of each request of the server's own.
    :ivar held: how often clients were made to wait for the next process.
    :ivar answer: fires when the kernel answers for the first time.
    """

    def __init__(self, kernel_id: str, observer: Any) -> None:
        self.kernel_id = kernel_id
        self.observer = observer
        self.connections = 0
        self.executing: list[tuple[str, bytes]] = []
        self.connected: dict[str, Any] | None = None
        self.held = 0
        self.announced: list[tuple[str, dict[str, Any], bytes]] = []
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.closed: str | None = None
        self.answer: Deferred[dict[str, Any]] = Deferred()

    def connect(self, connection_info: dict[str, Any]) -> None:
        """Note it."""
        self.connected = connection_info

    def hold(self) -> None:
        """Note it."""
        self.held += 1

    def disconnect(self) -> None:
        """Note it."""
        self.connected = None

    def close(self, reason: str = "") -> None:
        """Note it."""
        self.connected = None
        self.closed = reason

    async def ready(self, timeout: float) -> dict[str, Any]:
        """Wait for :attr:`answer`."""
        waiting: Deferred[dict[str, Any]] = Deferred()
        self.answer.chainDeferred(waiting)
        return await waiting

    async def request(
        self, msg_type: str, content: dict[str, Any], *, channel: str = "shell", timeout: float
    ) -> dict[str, Any]:
        """Note it; no answer comes."""
        self.asked.append((channel, msg_type, content))
        return await Deferred()

    def announce(self, msg_type: str, content: dict[str, Any], parent_header: bytes = b"{}") -> None:
        """Note it."""
        self.announced.append((msg_type, content, parent_header))
