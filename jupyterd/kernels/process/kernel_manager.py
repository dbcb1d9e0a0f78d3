"""Kernel manager of jupyter_client, with events in place of its polls and our channels in place of its sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from jupyterd.kernels.process.pdeathsig import dying_with_us
from jupyterd.state.keeper_link import KeeperLink


class ServerKernelManager(AsyncKernelManager):
    """Runs one kernel by its provisioner.

    :ivar ask: sends a request on the kernel's control channel; None makes a socket for it, as jupyter_client does.
    :ivar stopped: called when the process has ended as it was asked to, before it is run again.
    :ivar keeper: whose child the process is; None where it is the daemon's own.
    :ivar exited: done when the kernel's process has ended; None where only polling tells.
    """

    ask: Callable[[str, dict[str, Any]], None] | None = None
    stopped: Callable[[], None] | None = None
    exited: asyncio.Future[None] | None = None
    keeper: KeeperLink | None = None

    async def _async_wait(self, pollinterval: float = 0.1) -> None:
        if self.exited is None:
            await super()._async_wait(pollinterval)
        else:
            await asyncio.shield(self.exited)

    async def _async_launch_kernel(self, kernel_cmd: list[str], **kw: Any) -> None:
        is_ours = isinstance(self.provisioner, LocalProvisioner) and self.keeper is None
        if is_ours and not kw.get("independent"):
            kernel_cmd = dying_with_us(kernel_cmd, kw.get("env", {}).get("PATH"))
        await super()._async_launch_kernel(kernel_cmd, **kw)

    async def _async_cleanup_resources(self, restart: bool = False) -> None:
        if self.stopped is not None:
            self.stopped()
        await super()._async_cleanup_resources(restart)

    def _connect_control_socket(self) -> None:
        if self.ask is None:
            super()._connect_control_socket()

    async def _async_request_shutdown(self, restart: bool = False) -> None:
        if self.ask is None:
            await super()._async_request_shutdown(restart)
            return
        if self.has_kernel and not (self.exited is not None and self.exited.done()):
            self.ask("shutdown_request", {"restart": restart})  # else the next process would hear it
        assert self.provisioner is not None
        await self.provisioner.shutdown_requested(restart=restart)

    async def _async_interrupt_kernel(self) -> None:
        try:
            await self._interrupt()
        except ProcessLookupError:  # it has ended already, which is all that a shutdown wants
            if not self.shutting_down:
                raise

    async def _interrupt(self) -> None:
        by_message = self.kernel_spec is not None and self.kernel_spec.interrupt_mode == "message"
        if self.ask is None or not self.has_kernel or not by_message:
            await super()._async_interrupt_kernel()
        else:
            self.ask("interrupt_request", {})

    cleanup_resources = _async_cleanup_resources
    _launch_kernel = _async_launch_kernel
    request_shutdown = _async_request_shutdown
    interrupt_kernel = _async_interrupt_kernel
