"""Fakes that run the real code without sockets, threads or sleeps; shipped, so that extension authors can use them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred

from jupyterd.kernels.process.death import Death
from jupyterd.kernels.process.launcher_interface import Order

# -- kernels


class MemoryProcess:
    """A kernel without a process; the test says what happens to it.

    :ivar calls: what it was asked to do: ``start``, ``restart``, ``stop``, ``kill``, ``interrupt`` ...
    :ivar hold: set to a Deferred, it keeps the next start, restart or stop waiting.
    :ivar failure: raised by the next start or restart.
    :ivar unprepared: raised before each restart, while it runs.
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
        self.cwd = order.cwd
        self.hold: Deferred[None] | None = None
        self.failure: Exception | None = None
        self.unprepared: Exception | None = None
        self.retries = 0
        self.running = False
        self._ended = ended

    @property
    def connection_info(self) -> dict[str, Any]:
        """Another one after each start."""
        return {"key": b"secret", "transport": "tcp", "ip": "127.0.0.1", "shell_port": len(self.calls)}

    def resolve_path(self, path: str) -> str | None:
        """Beside its working directory."""
        return f"{self.cwd}/{path}"

    def update_env(self, env: Mapping[str, str], cwd: str | None = None) -> None:
        """Note it."""
        self.env.update(env)
        self.cwd = cwd or self.cwd

    async def _do(self, call: str) -> None:
        self.calls.append(call)
        hold, self.hold = self.hold, None
        if hold is not None:
            await hold
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure

    def prepare(self) -> None:
        """Raise :attr:`unprepared`."""
        if self.unprepared is not None:
            raise self.unprepared

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
    :ivar lost: why requests without a reply were given up, once each time.
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
        self.lost: list[str] = []
        self.closed: str | None = None
        self.answer: Deferred[dict[str, Any]] = Deferred()

    def connect(self, connection_info: dict[str, Any]) -> None:
        """Note it."""
        self.connected = connection_info

    def lose(self, why: str) -> None:
        """Note it."""
        self.lost.append(why)

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
