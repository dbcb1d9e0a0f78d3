"""Local kernels under the keeper: a jupyter_client provisioner whose processes outlive the daemon."""

from __future__ import annotations

import asyncio
import os
import pathlib
from importlib.metadata import EntryPoint
from typing import Any

from jupyter_client.provisioning.factory import KernelProvisionerFactory
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from twisted.internet.defer import Deferred

from jupyterd.errors import Failed
from jupyterd.kernels.process.launcher_interface import KEEPER
from jupyterd.state.keeper_link import KeeperLink
from jupyterd.state.kept_child import KeptChild

NO_POLLER = "1"
"""``JPY_PARENT_PID`` of a kernel that shall not end itself when its parent goes. Source: ipykernel, ``init_poller``."""


def child_name(kernel_id: str) -> str:
    """What the keeper calls a kernel."""
    return f"kernel:{kernel_id}"


def register(factory: KernelProvisionerFactory) -> None:
    """Make it known where the entry points of the installation do not tell of it."""
    entry = EntryPoint(KEEPER, f"{__name__}:KeeperProvisioner", KernelProvisionerFactory.GROUP_NAME)
    factory.provisioners.setdefault(KEEPER, entry)


class KeptKernel:
    """A kernel's process, with what jupyter_client uses of :class:`subprocess.Popen`."""

    stdin = stdout = stderr = None

    def __init__(self, child: KeptChild) -> None:
        self.child = child

    @property
    def pid(self) -> int:
        """Its number."""
        return self.child.pid

    @property
    def returncode(self) -> int | None:
        """How it ended; None while it runs."""
        return self.poll()

    def poll(self) -> int | None:
        """How it ended: 0 where nobody knows; None while it runs."""
        return None if self.child.running else self.child.status or 0

    def wait(self) -> int:
        """The same; it is asked for when it has ended."""
        return self.poll() or 0

    def send_signal(self, number: int) -> None:
        """Send a signal to its process group; nobody hears it where it has ended."""
        if self.child.running:
            self.child.signal(number, group=True)

    def kill(self) -> None:
        """End it."""
        self.send_signal(9)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(15)


class KeeperProvisioner(LocalProvisioner):
    """Runs one kernel as a child of the keeper.

    Its ``parent``, the kernel manager, has the keeper as its attribute ``keeper``, and in ``kept`` a function: what the
    keeper is to remember of the kernel.
    """

    process: Any = None

    @property
    def _keeper(self) -> KeeperLink:
        keeper: KeeperLink | None = getattr(self.parent, "keeper", None)
        if keeper is None:
            raise Failed("This kernel's provisioner works in jupyterd with its keeper alone")
        return keeper

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        """Have the keeper run it."""
        env = dict(kwargs.get("env") or os.environ)
        env["JPY_PARENT_PID"] = NO_POLLER
        cwd = str(kwargs.get("cwd") or pathlib.Path.cwd())
        kept = getattr(self.parent, "kept", None)
        spawning = self._keeper.spawn(
            child_name(self.kernel_id),
            [os.path.expanduser(word) for word in cmd],
            env,
            kind="kernel",
            cwd=cwd,
            info={} if kept is None else kept(),
        )
        child = await Deferred.fromCoroutine(spawning).asFuture(asyncio.get_running_loop())
        self._take(child)
        self.cwd = cwd
        return self.connection_info

    def _take(self, child: KeptChild) -> None:
        self.process = KeptKernel(child)
        self.pid = child.pid
        self.pgid = None  # signals go by way of the child, which knows whether the number is still its own

    def recall(self, child: KeptChild, cwd: str | None) -> None:
        """Take over a kernel that runs."""
        self._take(child)
        self.cwd = cwd

    async def wait(self) -> int | None:
        """Wait for its end; the keeper need not remember it any more."""
        process = self.process
        status: int | None = await super().wait()
        if process is not None:
            self._keeper.forget(process.child)
        return status

    async def cleanup(self, restart: bool = False) -> None:
        """The keeper need not remember it any more."""
        await super().cleanup(restart=restart)
        process = self.process
        if process is not None and not process.child.running:
            self._keeper.forget(process.child)

    async def get_provisioner_info(self) -> dict[str, Any]:
        """What the next daemon needs to find the process again."""
        info: dict[str, Any] = await super().get_provisioner_info()
        if self.process is not None:
            info["started"] = self.process.child.started
        return info
