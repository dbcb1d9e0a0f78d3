"""A machine far away that runs kernels, and its provisioner, of the shape that gateway_provisioners' have.

There is no process here: a job has a number there, an address for its five sockets, and an end that one has to ask for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from types import SimpleNamespace
from typing import Any

import zmq
from jupyter_client.provisioning import KernelProvisionerBase
from jupyter_client.provisioning.factory import KernelProvisionerFactory

NAME = "far-provisioner"


@dataclass
class Cluster:
    """What runs there.

    :ivar jobs: by number: None while it runs, else its status.
    :ivar line: it can be reached.
    :ivar said: what was asked of it, in order.
    """

    jobs: dict[int, int | None] = field(default_factory=dict)
    line: bool = True
    said: list[str] = field(default_factory=list)
    control: Any = None

    def __post_init__(self) -> None:
        self._numbers = count(1)
        self._context = zmq.Context()
        self.control = self._context.socket(zmq.ROUTER)
        self.control_port = self.control.bind_to_random_port("tcp://127.0.0.1")

    def close(self) -> None:
        self.control.close(0)
        self._context.term()

    def run(self, argv: list[str]) -> int:
        self.reach()
        number = next(self._numbers)
        self.jobs[number] = None
        self.said.append(f"run {argv[0]}")
        return number

    def end(self, number: int, status: int) -> None:
        if self.jobs[number] is None:
            self.jobs[number] = status

    def reach(self) -> None:
        if not self.line:
            raise ConnectionError("the line is down")

    def interrupts(self) -> int:
        """How many ``interrupt_request`` messages have come."""
        found = 0
        while self.control.poll(200):
            found += b"interrupt_request" in b"".join(self.control.recv_multipart())
        return found


class FarProvisioner(KernelProvisionerBase):
    """Runs one kernel there."""

    cluster: Cluster
    job: int | None = None
    hangs: float = 0.0

    @property
    def has_process(self) -> bool:
        return self.job is not None

    async def poll(self) -> int | None:
        self.cluster.reach()
        return 0 if self.job is None else self.cluster.jobs[self.job]

    async def wait(self) -> int | None:
        while (status := await self.poll()) is None:
            await asyncio.sleep(0.01)
        self.job = None
        return status

    async def send_signal(self, signum: int) -> None:
        self.cluster.said.append(f"signal {signum}")

    async def kill(self, restart: bool = False) -> None:
        if self.job is not None:
            self.cluster.end(self.job, -9)

    async def terminate(self, restart: bool = False) -> None:
        if self.job is not None:
            self.cluster.end(self.job, -15)

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        return await super().pre_launch(cmd=list(self.kernel_spec.argv), **kwargs)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        self.job = self.cluster.run(cmd)
        ports = {f"{name}_port": 40001 + n for n, name in enumerate(("shell", "iopub", "stdin", "hb"))}
        key = self.parent.session.key
        info = {"ip": "127.0.0.1", "transport": "tcp", "signature_scheme": "hmac-sha256", "key": key, **ports}
        self.connection_info = {**info, "control_port": self.cluster.control_port}
        return self.connection_info

    async def cleanup(self, restart: bool = False) -> None:
        self.cluster.said.append("clean up")

    async def get_provisioner_info(self) -> dict[str, Any]:
        return {**await super().get_provisioner_info(), "job": self.job}

    async def load_provisioner_info(self, provisioner_info: dict[str, Any]) -> None:
        await super().load_provisioner_info(provisioner_info)
        self.job = provisioner_info["job"]


@contextmanager
def installed(parent: Any) -> Iterator[Cluster]:
    """A cluster, and its provisioner as if its package were installed."""
    cluster = Cluster()
    kind = type("FarProvisioner", (FarProvisioner,), {"cluster": cluster})
    factory: Any = KernelProvisionerFactory.instance(parent=parent)
    factory.provisioners[NAME] = SimpleNamespace(name=NAME, value=NAME, load=lambda: kind)
    try:
        yield cluster
    finally:
        del factory.provisioners[NAME]
        cluster.close()
