"""What every launcher of kernels keeps: the one in memory, the one of real processes, the one of a gateway."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from traitlets.config import Config
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from jupyterd.gateway.kernelspecs import GatewaySpecs
from jupyterd.gateway.launcher import GatewayLauncher, RemoteProcess
from jupyterd.keeper.start_keeper import SOCKET
from jupyterd.kernels.manager import NoSuchKernelSpec
from jupyterd.kernels.process.death import Death
from jupyterd.kernels.process.launcher_interface import KernelProcess, Launcher, Order
from jupyterd.kernels.process.process_launcher import ProcessLauncher
from jupyterd.kernels.settings import MappingKernelSettings
from jupyterd.kernelspecs.finder import KernelSpecManager
from jupyterd.kernelspecs.manager import KernelSpecs
from jupyterd.state.keeper_link import KeeperLink
from jupyterd.system.daemon_directory import DaemonDirectory
from jupyterd.testing.deferreds import at_once
from jupyterd.testing.kernels import MemoryLauncher
from tests.gateway.theirs import Kit
from tests.kernels.process import cluster
from tests.waiting import until

KILLED = Death(-9)


async def keeps_the_contract(
    launcher: Launcher,
    kill: Callable[[Any], None],
    cwd: Path,
    *,
    restarts_itself: bool = True,
    status: int | None = -9,
    place: frozenset[str] = frozenset({"transport", "ip", "shell_port"}),
) -> None:
    """:param restarts_itself: who runs the kernel leaves it to us to start it again when it dies.
    :param status: what is known of a kernel that was killed.
    :param place: what its connection info has, beside the key.
    """
    deaths: list[Death] = []
    order = Order("a-b-c-d-e", "python3", cwd=str(cwd), env={**os.environ, "JPY_SESSION_NAME": "a"})
    process: KernelProcess = await launcher.process(order, deaths.append)
    assert (process.name, process.owned, process.autorestart) == ("python3", True, restarts_itself)
    assert process.shutdown_wait_time == 5.0
    assert process.metadata.get("nothing") is None

    await process.start()
    info = process.connection_info
    assert isinstance(info["key"], bytes)
    assert place <= info.keys()
    process.update_env({"JPY_SESSION_NAME": "b"})
    process.update_env({"JPY_SESSION_NAME": "b"}, str(cwd))

    await process.restart(now=True)
    await process.restart(now=True, new_ports=True)
    await process.interrupt()
    assert deaths == []

    kill(process)
    await until(lambda: deaths)
    assert [death.status for death in deaths] in ([status], [-signal.SIGINT]), "it may not have got as far as to mind"
    await (process.start() if process.retry(deaths[0]) else process.restart(now=True))
    await process.stop(now=True)
    assert len(deaths) == 1

    with pytest.raises(NoSuchKernelSpec):
        await launcher.process(Order("f-g-h-i-j", "nope"), deaths.append)


@ensureDeferred
async def test_in_memory(tmp_path: Path) -> None:
    await keeps_the_contract(MemoryLauncher(), lambda process: process.die(KILLED), tmp_path)


@ensureDeferred
async def test_on_a_gateway(tmp_path: Path) -> None:
    kit = Kit()
    launcher = GatewayLauncher(kit.gateway, GatewaySpecs(kit.gateway, "/", lambda _: None))

    def kill(process: RemoteProcess) -> None:
        """The gateway ends it without a word."""
        kit.api.kernels.clear()
        Deferred.fromCoroutine(process.check())

    place = frozenset({"place"})
    await keeps_the_contract(launcher, kill, tmp_path, restarts_itself=False, status=None, place=place)
    assert (kit.api.kernels, launcher.running) == ([], {})


@pytest.mark.real
@pytest.mark.parametrize("kept", [True, False], ids=["keeper", "no keeper"])
@ensureDeferred
async def test_as_processes(tmp_path: Path, kept: bool) -> None:
    sockets = DaemonDirectory("jupyterd-ipc-", [os.environ.get("TMPDIR", "/tmp")])
    specs = KernelSpecs(KernelSpecManager, at_once)
    keeper = KeeperLink(reactor, lambda: str(tmp_path / SOCKET)) if kept else None
    launcher = ProcessLauncher(reactor, MappingKernelSettings(), specs, str(tmp_path), sockets, sockets, keeper)
    try:
        await keeps_the_contract(launcher, lambda process: os.kill(process.pid, signal.SIGKILL), tmp_path)
        if keeper is not None:
            assert keeper.children == {}
            await keeper.end()
            await until(lambda: not (tmp_path / SOCKET).exists())
        assert list(tmp_path.iterdir()) == []
    finally:
        sockets.close()


def far_specs(home: Path) -> KernelSpecs:
    """One kernelspec, of kernels that run far away and are interrupted by a message."""
    spec = {
        "argv": ["far-kernel"],
        "display_name": "Far",
        "language": "python",
        "interrupt_mode": "message",
        "metadata": {"kernel_provisioner": {"provisioner_name": cluster.NAME}},
    }
    (home / "specs" / "python3").mkdir(parents=True)
    (home / "specs" / "python3" / "kernel.json").write_text(json.dumps(spec))
    manager = KernelSpecManager(kernel_dirs=[str(home / "specs")], ensure_native_kernel=False)
    return KernelSpecs(lambda: manager, at_once)


def far_launcher(home: Path, sockets: DaemonDirectory) -> ProcessLauncher:
    settings = MappingKernelSettings(config=Config({"KernelRestarter": {"time_to_dead": 0.02}}))
    return ProcessLauncher(reactor, settings, far_specs(home), str(home / "run"), sockets, sockets)


@pytest.fixture
def sockets() -> Iterator[DaemonDirectory]:
    directory = DaemonDirectory("jupyterd-ipc-", [os.environ.get("TMPDIR", "/tmp")])
    yield directory
    directory.close()


@ensureDeferred
async def test_by_a_provisioner_of_another_machine(tmp_path: Path, sockets: DaemonDirectory) -> None:
    launcher = far_launcher(tmp_path, sockets)
    with cluster.installed(launcher.settings) as far:

        def kill(process: Any) -> None:
            far.end(max(far.jobs), -9)

        await keeps_the_contract(launcher, kill, tmp_path)
        assert set(far.jobs.values()) == {-9}
        assert not [each for each in far.said if each.startswith("signal 2")]


@ensureDeferred
async def test_a_line_that_is_lost_ends_no_kernel_and_the_next_daemon_finds_it(
    tmp_path: Path, sockets: DaemonDirectory
) -> None:
    launcher = far_launcher(tmp_path, sockets)
    deaths: list[Death] = []
    order = Order("a-b-c-d-e", "python3", cwd=str(tmp_path))
    with cluster.installed(launcher.settings) as far:
        process: Any = await launcher.process(order, deaths.append)
        await process.start()
        assert far.interrupts() == 0
        await process.interrupt()
        assert far.interrupts() == 1
        far.line = False
        await deferLater(reactor, 0.1)  # type: ignore[arg-type]
        far.line = True
        await deferLater(reactor, 0.1)  # type: ignore[arg-type]
        assert deaths == []

        record = json.loads(json.dumps(process.record))
        assert record["provisioner"]["job"] == 1
        assert record["connection"]["transport"] == "tcp"
        process.let_go()
        again = await launcher.recall(order, record, deaths.append)
        assert await again.take_foreign(record["provisioner"])
        for name in ("key", "shell_port", "transport"):
            assert again.connection_info[name] == process.connection_info[name]
        far.end(1, 3)
        while not deaths:
            await deferLater(reactor, 0.01)  # type: ignore[arg-type]
        assert [death.status for death in deaths] == [3]

        gone = await launcher.recall(order, record, deaths.append)
        assert not await gone.take_foreign(record["provisioner"]), "it has ended while nobody was there"
