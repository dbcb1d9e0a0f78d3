"""Real kernels in directories of their own, run by a manager without HTTP."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from traitlets.config import Config
from twisted.internet import reactor

from jupyterd.keeper.start_keeper import SOCKET
from jupyterd.kernels.channels.kernel_channels import KernelChannels
from jupyterd.kernels.channels.policy import MessagePolicy
from jupyterd.kernels.channels.settings import ZMQChannelsWebsocketConnection
from jupyterd.kernels.kernel import Kernel
from jupyterd.kernels.manager import MappingKernelManager
from jupyterd.kernels.process.process_launcher import ProcessLauncher
from jupyterd.kernels.service import KernelsService
from jupyterd.kernelspecs.finder import KernelSpecManager
from jupyterd.kernelspecs.manager import KernelSpecs
from jupyterd.state.keeper_link import KeeperLink
from jupyterd.system.daemon_directory import DaemonDirectory
from jupyterd.testing.deferreds import at_once
from tests.waiting import PATIENCE, until


class House:
    """A manager of real kernels in directories of its own."""

    def __init__(
        self, home: Path, kept: bool = False, external_dir: str | None = None, **settings: dict[str, Any]
    ) -> None:
        self.run, self.sockets, self.logs = home / "run", home / "s", home / "logs"
        for directory in (self.run, self.sockets, self.logs, home / "kernels"):
            directory.mkdir()
        self.specs_dir = home / "kernels"
        self.keeper = KeeperLink(reactor, lambda: str(home / SOCKET)) if kept else None
        self.events: list[dict[str, Any]] = []
        config = Config(settings)
        self.kernels = MappingKernelManager(config=config, root_dir=str(home))
        specs = KernelSpecs(self._spec_manager, at_once)
        sockets = DaemonDirectory("jupyterd-ipc-", [os.environ.get("TMPDIR", "/tmp")])
        logs = DaemonDirectory("jupyterd-log-", [str(self.logs)])
        self.kernels.serve(
            launcher=ProcessLauncher(reactor, self.kernels, specs, str(self.run), sockets, logs, self.keeper),
            channels=lambda kernel_id, observer: KernelChannels(
                kernel_id,
                reactor=reactor,  # type: ignore[arg-type]
                settings=ZMQChannelsWebsocketConnection(),
                in_thread=at_once,
                spill_dir=logs.join(kernel_id),
                observer=observer,
                policy=MessagePolicy.of(self.kernels),
            ),
            clock=reactor,  # type: ignore[arg-type]
            in_thread=at_once,
            emit=lambda _, data: self.events.append(data),
            external_dir=external_dir,
        )
        self.service = KernelsService(self.kernels, sockets, logs)
        self.service.startService()

    async def end(self) -> None:
        """End all kernels, and the keeper."""
        await self.service.stopService()
        if self.keeper is not None:
            await self.keeper.end()

    def _spec_manager(self) -> KernelSpecManager:
        manager = KernelSpecManager()
        manager.kernel_dirs = [str(self.specs_dir), *manager.kernel_dirs]
        return manager

    def spec(self, name: str, argv: list[str], **more: Any) -> None:
        """Install a kernelspec."""
        (self.specs_dir / name).mkdir()
        model = {"argv": argv, "display_name": name, "language": "python", **more}
        (self.specs_dir / name / "kernel.json").write_text(json.dumps(model))

    def pid(self, kernel: Kernel) -> int:
        """The kernel's process."""
        pid: int = kernel.process.pid  # type: ignore[attr-defined]
        return pid

    async def ready(self, kernel: Kernel) -> None:
        """Wait until it answers."""
        await kernel.channels.ready(PATIENCE)
        await until(lambda: kernel.execution_state == "idle")

    async def run_code(self, kernel: Kernel, code: str) -> dict[str, Any]:
        """The content of the reply to a cell."""
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": False,
        }
        reply = await kernel.channels.request("execute_request", content, timeout=PATIENCE)
        return dict(reply["content"])

    async def value(self, kernel: Kernel, expression: str) -> str:
        """What an expression is in the kernel."""
        content = {"code": "", "user_expressions": {"x": expression}, "allow_stdin": False, "stop_on_error": False}
        reply = await kernel.channels.request("execute_request", content, timeout=PATIENCE)
        return str(reply["content"]["user_expressions"]["x"]["data"]["text/plain"])


BOTH = pytest.mark.parametrize("houses", [True, False], indirect=True, ids=["keeper", "no keeper"])
