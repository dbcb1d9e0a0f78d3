"""Kernels that the gateway runs: started, interrupted, restarted and ended by requests to it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from uuid import uuid4

from twisted.logger import Logger

from jupyterd.errors import JupyterdError, TimedOut, Unavailable, Upstream
from jupyterd.gateway.client import Gateway, Unusable
from jupyterd.gateway.interfaces import Place, Redialling
from jupyterd.gateway.repeated_messages import RepeatedMessages
from jupyterd.gateway.settings import LAUNCH_TIMEOUT
from jupyterd.kernels.process.death import Death
from jupyterd.kernels.process.launcher_interface import Order

USER = "KERNEL_USERNAME"
KERNEL_ID = "KERNEL_ID"
WORKING_DIR = "KERNEL_WORKING_DIR"

RESTARTED = "The gateway has started the kernel again: it died."
GIVEN_UP = "The kernel died, and the gateway does not start it again."
GONE = "The gateway does not have the kernel any more."


class Specs(Protocol):
    """Where kernelspecs come from."""

    async def model(self, name: str) -> dict[str, Any]:
        """The REST model of one. Raises ``NoSuchKernelSpec``."""


class GatewayLauncher:
    """Runs kernels on the gateway.

    :ivar running: those that the gateway has, by their ids there.
    :ivar unfinished: ids there of kernels that could not be ended because the gateway was out of reach.
    """

    def __init__(self, gateway: Gateway, specs: Specs) -> None:
        self.gateway = gateway
        self.specs = specs
        self.running: dict[str, RemoteProcess] = {}
        self.unfinished: set[str] = set()

    async def process(self, order: Order, ended: Callable[[Death], None]) -> RemoteProcess:
        """Prepare a kernel.

        :raises NoSuchKernelSpec: the gateway has no kernelspec of that name.
        """
        spec = await self.specs.model(order.name)
        metadata = (spec.get("spec") or {}).get("metadata") or {}
        return RemoteProcess(self, order, metadata, ended)

    def payload(self, order: Order, env: Mapping[str, str]) -> dict[str, Any]:
        """What the gateway is asked to start. Source: the Enterprise Gateway's documentation, "KERNEL_*" variables.

        An Enterprise Gateway takes our id from the environment, a jupyterd from the model; others choose their own.
        """
        settings = self.gateway.settings
        allowed = settings.environment_names
        sent = {name: value for name, value in env.items() if name.startswith("KERNEL_") or name in allowed}
        if settings.http_user:
            sent.setdefault(USER, settings.http_user)
        if order.cwd is not None:
            sent.setdefault(WORKING_DIR, order.cwd)
        sent.setdefault(KERNEL_ID, order.kernel_id)
        sent[LAUNCH_TIMEOUT] = str(settings.patience[1])
        return {"name": order.name, "env": sent, "kernel_id": order.kernel_id}


class RemoteProcess:
    """One kernel of the gateway's; see :class:`~jupyterd.kernels.process.launcher_interface.KernelProcess`.

    Who starts it again when it dies is the gateway: what is left to do here is to say so and to connect anew. A kernel
    that the gateway has lost is started as a new one.
    """

    owned = True
    shutdown_wait_time = 5.0
    log = Logger()

    def __init__(
        self, launcher: GatewayLauncher, order: Order, metadata: Mapping[str, Any], ended: Callable[[Death], None]
    ) -> None:
        self.name = order.name
        self.metadata = metadata
        self._launcher = launcher
        self._gateway = launcher.gateway
        self._order = order
        self._env = dict(os.environ if order.env is None else order.env)
        self._ended = ended
        self._session = uuid4().hex
        self._repeats = RepeatedMessages()
        self._life = 0
        self._id: str | None = None
        self._link: Redialling | None = None
        self._changing = False
        self._restarted_there = False

    # -- what it is

    @property
    def connection_info(self) -> dict[str, Any]:
        """Its place at the gateway; see :class:`~jupyterd.gateway.channel_sockets.LinkNetwork`."""
        return {"place": Place(str(self._id), self._session, self._life, self, self._repeats), "key": b""}

    @property
    def autorestart(self) -> bool:
        """Whether the gateway starts it again just now."""
        return self._restarted_there

    def resolve_path(self, path: str) -> str | None:
        """Its files are elsewhere."""
        return None

    def update_env(self, env: Mapping[str, str], cwd: str | None = None) -> None:
        """Variables for its next start; where it works is the gateway's."""
        self._env.update(env)

    # -- what is done with it

    def prepare(self) -> None:
        """The gateway has what it needs."""

    async def _ask(self, method: str, *segments: str, body: Any = None) -> Any:
        return await self._gateway.ask(method, self._gateway.settings.kernels_endpoint, *segments, body=body)

    async def start(self) -> None:
        """Start a new one there.

        :raises JupyterdError: the gateway refuses, or can not be reached.
        """
        self._forget()
        answer = await self._ask("POST", body=self._launcher.payload(self._order, self._env))
        model = answer.json()
        if not isinstance(model, dict) or not isinstance(model.get("id"), str):
            raise Unusable("The gateway's answer is no kernel: is GatewayClient.url right?")
        self._id = model["id"]
        self._life += 1
        self._launcher.running[self._id] = self
        self.log.info("kernel {kernel_id} is {id} on the gateway", kernel_id=self._order.kernel_id, id=self._id)

    def retry(self, death: Death) -> bool:
        """There is no other way to start."""
        return False

    async def restart(self, *, now: bool, new_ports: bool = False) -> None:
        """Restart it there; nothing is left to do where the gateway did that itself.

        :raises JupyterdError: the gateway refuses, or can not be reached.
        """
        done_there, self._restarted_there = self._restarted_there and now, False
        if done_there:
            self._life += 1
            return
        if self._id is None:
            await self.start()
            return
        if self._link is not None:
            self._link.held = True  # what is said from now on is for the next life
        self._changing = True
        try:
            await self._ask("POST", self._id, "restart", body={})
            self._life += 1
        except Upstream as error:
            if error.status_code != 404:
                raise
            await self.start()
        finally:
            self._changing = False

    async def stop(self, *, now: bool = False) -> None:
        """End it there; where the gateway can not be reached that is done as soon as it can.

        :raises JupyterdError: the gateway refuses, or can not be reached.
        """
        kernel_id = self._id
        self._forget()
        self._changing = True
        if kernel_id is None:
            return
        try:
            await self._ask("DELETE", kernel_id)
        except (Unavailable, TimedOut):
            self._launcher.unfinished.add(kernel_id)
            raise
        except Upstream as error:
            if error.status_code != 404:
                raise

    async def interrupt(self) -> None:
        """Interrupt it there.

        :raises JupyterdError: the gateway refuses, or can not be reached.
        """
        if self._id is None:
            raise Unavailable("The gateway does not run the kernel")
        await self._ask("POST", self._id, "interrupt", body={})

    def _forget(self) -> None:
        if self._id is not None:
            self._launcher.running.pop(self._id, None)
            self._id = None

    # -- what its link and the watch tell

    def linked(self, link: Redialling) -> None:
        """See :class:`~jupyterd.gateway.interfaces.LinkOwner`."""
        self._link = link

    def reachable(self) -> None:
        """The gateway answers, and says that it has the kernel."""
        if self._link is not None:
            self._link.wake()

    async def exists(self) -> bool:
        """See :class:`~jupyterd.gateway.interfaces.LinkOwner`."""
        if self._id is None:
            return False
        try:
            await self._ask("GET", self._id)
        except Upstream as error:
            if error.status_code == 404:
                return False
            raise
        return True

    async def check(self) -> None:
        """The gateway did not list it; nothing is concluded while it can not be asked."""
        try:
            if not await self.exists():
                self.gone()
        except JupyterdError as error:
            self.log.info("kernel {id} can not be asked for: {why}", id=self._id, why=error.message)

    def gone(self) -> None:
        """See :class:`~jupyterd.gateway.interfaces.LinkOwner`."""
        if self._id is not None and not self._changing:
            self._forget()
            self._ended(Death(told=GONE))

    def restarting(self) -> bool:
        """See :class:`~jupyterd.gateway.interfaces.LinkOwner`."""
        if self._changing or self._restarted_there:
            return False
        self._restarted_there = True
        self._ended(Death(told=RESTARTED))
        return True

    def dead(self) -> bool:
        """See :class:`~jupyterd.gateway.interfaces.LinkOwner`."""
        if self._changing:
            return False
        self._ended(Death(told=GIVEN_UP))
        return True
