"""Process launcher: kernels as jupyter_client's provisioners run them, local processes or what a kernelspec says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from jupyterd.kernels.process.client_process import ClientProcess
from jupyterd.kernels.process.death import Death
from jupyterd.kernels.process.launch_rules import LaunchRules
from jupyterd.kernels.process.launcher_interface import KernelProcess, Order


class ProcessLauncher(LaunchRules):
    """Runs kernels through jupyter_client."""

    async def process(self, order: Order, ended: Callable[[Death], None]) -> KernelProcess:
        """Prepare a kernel.

        :raises NoSuchKernelSpec: there is no kernelspec of that name.
        """
        # jupyter_client calls the native kernel so, whatever its version.
        order = replace(order, name="python3") if order.name == "python" else order
        spec = await self.specs.spec(order.name)
        return ClientProcess(self, order, spec, ended)

    async def recall(self, order: Order, record: Mapping[str, Any], ended: Callable[[Death], None]) -> ClientProcess:
        """A kernel that a former daemon started.

        :param record: its :attr:`ClientProcess.record`.
        :raises NoSuchKernelSpec: there is no kernelspec of that name any more.
        """
        spec = await self.specs.spec(order.name)
        return ClientProcess(self, order, spec, ended, record)
