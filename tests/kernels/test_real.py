"""Real ipykernels, started, interrupted, restarted, killed and culled; nothing of them is left.

They are children of a keeper, as they are by default; what is marked :data:`BOTH` is done without one too.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from jupyter_client.provisioning import KernelProvisionerBase
from jupyter_client.provisioning.factory import KernelProvisionerFactory
from pytest_twisted import ensureDeferred, inlineCallbacks
from traitlets.config import Config
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from jupyterd.errors import Failed, OutOfSpace
from jupyterd.keeper.start_keeper import SOCKET
from jupyterd.kernels.channels.kernel_channels import KernelChannels
from jupyterd.kernels.channels.policy import MessagePolicy
from jupyterd.kernels.channels.settings import ZMQChannelsWebsocketConnection
from jupyterd.kernels.kernel import Kernel
from jupyterd.kernels.manager import MappingKernelManager, NoSuchKernel
from jupyterd.kernels.process.pdeathsig import dying_with_us
from jupyterd.kernels.process.process_launcher import ProcessLauncher
from jupyterd.kernels.service import KernelsService
from jupyterd.kernelspecs.finder import KernelSpecManager
from jupyterd.kernelspecs.manager import KernelSpecs
from jupyterd.state.keeper_link import KeeperLink
from jupyterd.system.daemon_directory import DaemonDirectory
from jupyterd.testing.deferreds import at_once

pytestmark = pytest.mark.real
PATIENCE = 30.0


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


async def until(true: Any) -> None:
    """Wait for something that no event tells."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "it never happened"
        await deferLater(reactor, 0.01)  # type: ignore[arg-type]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


BOTH = pytest.mark.parametrize("houses", [True, False], indirect=True, ids=["keeper", "no keeper"])


@pytest.fixture
def houses(home: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    made: list[House] = []

    def make(**settings: Any) -> House:
        made.append(House(home, getattr(request, "param", True), **settings))
        return made[-1]

    yield make

    @inlineCallbacks
    def stop() -> Iterator[Any]:
        for house in made:
            yield Deferred.fromCoroutine(house.end())

    import pytest_twisted

    pytest_twisted.blockon(stop())


@BOTH
@ensureDeferred
async def test_a_kernel_from_start_to_end_leaves_nothing(houses: Any) -> None:
    house = houses()
    first = await house.kernels.start()
    await house.ready(first)
    await house.kernels.shutdown(first.id)
    fds = len(os.listdir("/proc/self/fd"))
    kernel = await house.kernels.start()
    await house.ready(kernel)
    pid = house.pid(kernel)
    assert kernel.process.transport == "ipc"  # type: ignore[attr-defined]
    address = kernel.process.connection_info["ip"]
    assert oct(os.stat(os.path.dirname(address)).st_mode & 0o777) == "0o700"
    assert await house.value(kernel, "6*7") == "42"
    await until(lambda: kernel.execution_state == "idle")
    await house.kernels.shutdown(kernel.id)
    assert not alive(pid)
    assert os.listdir(house.run) == []
    assert os.listdir(os.path.dirname(address)) == []
    await until(lambda: len(os.listdir("/proc/self/fd")) <= fds)  # ZeroMQ closes them in a thread of its own


@BOTH
@ensureDeferred
async def test_interrupt_stops_a_cell_and_keeps_variables(houses: Any, home: Path) -> None:
    house = houses()
    house.spec(
        "by-message", [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"], interrupt_mode="message"
    )
    for name in ("python3", "by-message"):
        kernel = await house.kernels.start(name)
        await house.ready(kernel)
        await house.run_code(kernel, "x = 5")
        began = home / name
        endless = f"import pathlib, time\npathlib.Path({str(began)!r}).touch()\nwhile True: time.sleep(0.01)"
        running = Deferred.fromCoroutine(house.run_code(kernel, endless))
        await until(began.exists)
        await house.kernels.interrupt(kernel.id)
        assert (await running)["ename"] == "KeyboardInterrupt"
        assert await house.value(kernel, "x") == "5"


@BOTH
@ensureDeferred
async def test_restart_forgets_variables_and_keeps_the_id(houses: Any) -> None:
    house = houses()
    kernel = await house.kernels.start()
    await house.ready(kernel)
    await house.run_code(kernel, "x = 5")
    before = house.pid(kernel)
    assert (await house.kernels.restart(kernel.id)) is kernel
    await house.ready(kernel)
    assert house.pid(kernel) != before
    assert not alive(before)
    assert (await house.run_code(kernel, "x"))["ename"] == "NameError"
    assert kernel.failures == 0


@ensureDeferred
async def test_directories_that_were_cleaned_away_are_made_again(houses: Any) -> None:
    """As at the end of a login session: a kernel that runs can be restarted, and others start."""
    house = houses()
    kernel = await house.kernels.start()
    await house.ready(kernel)
    before = house.pid(kernel)
    shutil.rmtree(os.path.dirname(kernel.process.connection_info["ip"]))
    shutil.rmtree(house.run)
    shutil.rmtree(house.logs)
    await house.kernels.restart(kernel.id)
    await house.ready(kernel)
    assert house.pid(kernel) != before
    other = await house.kernels.start()
    await house.ready(other)
    assert await house.value(other, "6*7") == "42"
    assert os.stat(house.run).st_mode & 0o777 == 0o700


@ensureDeferred
async def test_what_a_restart_needs_is_looked_for_before_the_kernel_ends(houses: Any) -> None:
    house = houses()
    kernel = await house.kernels.start()
    await house.ready(kernel)
    before = house.pid(kernel)
    shutil.rmtree(house.run)
    house.run.write_text("in the way")
    with pytest.raises(Failed, match="can not be started"):
        await house.kernels.restart(kernel.id)
    assert house.pid(kernel) == before
    assert await house.value(kernel, "6*7") == "42"
    house.run.unlink()


@ensureDeferred
async def test_a_full_disk_leaves_no_connection_file(houses: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    house = houses()

    def full(path: str, **kwargs: Any) -> None:
        Path(path).touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    with monkeypatch.context() as patched:
        patched.setattr("jupyter_client.connect.write_connection_file", full)
        with pytest.raises(OutOfSpace):
            await house.kernels.start()
    assert os.listdir(house.run) == []
    assert len(house.kernels) == 0


@ensureDeferred
async def test_restarts_in_a_row_do_not_end_the_last_kernel(houses: Any) -> None:
    house = houses()
    kernel = await house.kernels.start()
    for _ in range(3):
        await house.kernels.restart(kernel.id)
    await house.ready(kernel)
    assert await house.value(kernel, "1") == "1"
    assert not kernel.reason


@BOTH
@ensureDeferred
async def test_a_killed_kernel_is_noticed_at_once_and_runs_again(houses: Any) -> None:
    house = houses()
    kernel = await house.kernels.start()
    await house.ready(kernel)
    killed = house.pid(kernel)
    told: list[float] = []
    tell_death = kernel.tell_death
    kernel.tell_death = lambda death, state: (told.append(time.monotonic()), tell_death(death, state))  # type: ignore
    killed_at = time.monotonic()
    os.kill(killed, signal.SIGKILL)
    await until(lambda: told)
    assert told[0] - killed_at < 0.25
    await house.ready(kernel)
    assert house.pid(kernel) != killed
    assert "SIGKILL" in kernel.model()["reason"]
    assert await house.value(kernel, "1+1") == "2"


@ensureDeferred
async def test_a_segmentation_fault_leaves_its_traceback(houses: Any) -> None:
    house = houses(KernelManager={"autorestart": False})
    kernel = await house.kernels.start()
    await house.ready(kernel)
    Deferred.fromCoroutine(house.run_code(kernel, "import os, signal; os.kill(os.getpid(), 11)")).addErrback(
        lambda _: 0
    )
    await until(lambda: kernel.execution_state == "dead")
    assert "SIGSEGV" in kernel.reason
    assert house.events[-1]["signal"] == "SIGSEGV"


@BOTH
@ensureDeferred
async def test_what_it_started_ends_with_it(houses: Any) -> None:
    house = houses(KernelManager={"autorestart": False})
    kernel = await house.kernels.start()
    await house.ready(kernel)
    child = int(
        await house.value(
            kernel, "__import__('subprocess').Popen(['sleep', '1000'], stdin=-3, stdout=-3, stderr=-3).pid"
        )
    )
    assert alive(child)
    os.kill(house.pid(kernel), signal.SIGKILL)
    await until(lambda: kernel.execution_state == "dead")
    await until(lambda: not alive(child))


@ensureDeferred
async def test_a_kernel_that_can_not_start_says_why(houses: Any) -> None:
    house = houses()
    house.spec("dies", [sys.executable, "-c", "import sys; sys.exit('it can not start')", "{connection_file}"])
    house.spec("no-command", ["/no/such/command", "{connection_file}"])
    with pytest.raises(Failed, match="(?s)exit code 1.*it can not start"):
        await house.kernels.start("dies")
    with pytest.raises(Failed, match="/no/such/command"):
        await house.kernels.start("no-command")
    assert len(house.kernels) == 0
    assert os.listdir(house.run) == []


@ensureDeferred
async def test_a_kernel_without_ipc_gets_tcp_when_it_dies_of_it(houses: Any) -> None:
    house = houses()
    program = (
        "import json, sys, os; info = json.load(open(sys.argv[-1])); "
        "sys.exit('no ipc here') if info['transport'] == 'ipc' else "
        f"os.execv({sys.executable!r}, [{sys.executable!r}, '-m', 'ipykernel_launcher', '-f', sys.argv[-1]])"
    )
    house.spec("tcp-only", [sys.executable, "-c", program, "-m", "ipykernel", "{connection_file}"])
    kernel = await house.kernels.start("tcp-only")
    await house.ready(kernel)
    assert kernel.process.transport == "tcp"  # type: ignore[attr-defined]


@ensureDeferred
async def test_the_transport_is_a_setting_and_the_session_s_key_too(houses: Any) -> None:
    house = houses(KernelManager={"transport": "tcp"}, Session={"key": b"secret", "signature_scheme": "hmac-sha512"})
    kernel = await house.kernels.start()
    await house.ready(kernel)
    info = json.loads((house.run / f"kernel-{kernel.id}.json").read_text())
    assert (info["transport"], info["key"], info["signature_scheme"]) == ("tcp", "secret", "hmac-sha512")
    assert await house.value(kernel, "2*3") == "6"


@ensureDeferred
async def test_environment_and_directory(houses: Any, home: Path) -> None:
    house = houses()
    (home / "sub").mkdir()
    env = {**os.environ, "KERNEL_SOMETHING": "7"}
    kernel = await house.kernels.start(path="sub/not/there.ipynb", env=env)
    await house.ready(kernel)
    assert await house.value(kernel, "__import__('os').getcwd()") == repr(str(home / "sub"))
    assert await house.value(kernel, "__import__('os').environ['KERNEL_SOMETHING']") == "'7'"
    (home / "moved" / "deep").mkdir(parents=True)
    kernel.process.update_env({}, str(home / "moved" / "deep"))
    shutil.rmtree(home / "sub")
    await house.kernels.restart(kernel.id)
    await house.ready(kernel)
    assert await house.value(kernel, "__import__('os').getcwd()") == repr(str(home / "moved" / "deep"))
    assert await house.value(kernel, "__import__('os').environ['KERNEL_SOMETHING']") == "'7'"
    shutil.rmtree(home / "moved" / "deep")
    await house.kernels.restart(kernel.id)
    await house.ready(kernel)
    assert await house.value(kernel, "__import__('os').getcwd()") == repr(str(home / "moved"))


@ensureDeferred
async def test_several_kernels_at_once_all_come_up(houses: Any) -> None:
    house = houses()
    from twisted.internet.defer import gatherResults

    kernels = await gatherResults([Deferred.fromCoroutine(house.kernels.start()) for _ in range(6)])
    for kernel in kernels:
        await house.ready(kernel)
    assert all(not kernel.reason for kernel in kernels)


@ensureDeferred
async def test_a_kernel_whose_ports_were_taken_gets_others(houses: Any, home: Path) -> None:
    house = houses()
    program = (
        "import os, pathlib, sys; tried = pathlib.Path(sys.argv[1]); first = not tried.exists(); tried.touch(); "
        "sys.exit('zmq.error.ZMQError: Address already in use') if first else "
        f"os.execv({sys.executable!r}, [{sys.executable!r}, '-m', 'ipykernel_launcher', '-f', sys.argv[2]])"
    )
    house.spec("unlucky", [sys.executable, "-c", program, str(home / "tried"), "{connection_file}"])
    kernel = await house.kernels.start("unlucky")
    await house.ready(kernel)
    assert kernel.process.transport == "tcp"  # type: ignore[attr-defined]
    assert await house.value(kernel, "1") == "1"


@ensureDeferred
async def test_a_kernel_of_somebody_else_s(houses: Any, home: Path) -> None:
    (home / "theirs").mkdir()
    house = houses(external_dir=str(home / "theirs"))
    ours = await house.kernels.start()
    await house.ready(ours)
    await house.run_code(ours, "x = 5")
    info = json.loads((house.run / f"kernel-{ours.id}.json").read_text())
    (home / "theirs" / "k.json").write_text(json.dumps({**info, "kernel_name": "theirs"}))
    (model,) = [model for model in await house.kernels.list_models() if model["name"] == "theirs"]
    theirs = house.kernels[model["id"]]
    await house.ready(theirs)
    assert await house.value(theirs, "x") == "5"
    await house.kernels.shutdown(theirs.id)
    assert await house.value(ours, "x") == "5"


@ensureDeferred
async def test_cycles_of_start_restart_kill_and_end_leave_nothing(houses: Any) -> None:
    house = houses()

    async def cycle() -> None:
        kernel = await house.kernels.start()
        await house.ready(kernel)
        await house.kernels.restart(kernel.id)
        await house.ready(kernel)
        os.kill(house.pid(kernel), signal.SIGKILL)
        await until(lambda: kernel.reason)
        await house.ready(kernel)
        await house.kernels.shutdown(kernel.id)
        with pytest.raises(NoSuchKernel):
            await house.kernels.restart(kernel.id)

    await cycle()
    fds, threads = len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))
    for _ in range(3):
        await cycle()
    await until(lambda: len(os.listdir("/proc/self/fd")) <= fds)
    assert len(os.listdir("/proc/self/task")) <= threads
    assert os.listdir(house.run) == []


@ensureDeferred
async def test_an_idle_kernel_is_culled(houses: Any) -> None:
    house = houses(MappingKernelManager={"cull_idle_timeout": 1, "cull_interval": 1})
    kernel = await house.kernels.start()
    pid = house.pid(kernel)
    await until(lambda: len(house.kernels) == 0)
    assert not alive(pid)


DAEMON = """
import subprocess, sys
from jupyterd.kernels.process.pdeathsig import dying_with_us
print(subprocess.Popen(dying_with_us(["sleep", "1000"]), stdout=subprocess.DEVNULL).pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(dying_with_us(["true"]) == ["true"], reason="the system does not tell children")
@ensureDeferred
async def test_a_kernel_dies_with_a_killed_daemon() -> None:
    with subprocess.Popen([sys.executable, "-c", DAEMON], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as daemon:
        assert daemon.stdout is not None
        child = int(daemon.stdout.readline())
        await until(lambda: Path(f"/proc/{child}/comm").read_text() == "sleep\n")
        daemon.kill()
    await until(lambda: not alive(child))


@ensureDeferred
async def test_encrypted_channels(houses: Any) -> None:
    house = houses(MappingKernelManager={"transport_encryption": "auto"})
    kernel = await house.kernels.start()
    await house.ready(kernel)
    assert kernel.process.connection_info["curve_publickey"]
    assert await house.value(kernel, "2*3") == "6"


cleaned: list[bool] = []
"""Whether for a restart, each time that :class:`Remote` cleaned up."""


class Remote(KernelProvisionerBase):  # type: ignore[misc]
    """A provisioner of kernels that are nobody's children here: it has no process to show."""

    child: Any = None

    @property
    def has_process(self) -> bool:
        return self.child is not None

    async def poll(self) -> int | None:
        return None if self.child is None else self.child.returncode

    async def wait(self) -> int | None:
        status = await self.child.wait()
        self.child = None
        return int(status)

    async def send_signal(self, signum: int) -> None:
        self.child.send_signal(signum)

    async def kill(self, restart: bool = False) -> None:
        with suppress(ProcessLookupError):
            self.child.kill()

    async def terminate(self, restart: bool = False) -> None:
        with suppress(ProcessLookupError):
            self.child.terminate()

    async def cleanup(self, restart: bool = False) -> None:
        cleaned.append(restart)

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        manager = self.parent
        manager.write_connection_file()
        self.connection_info = manager.get_connection_info()
        return await super().pre_launch(cmd=manager.format_kernel_cmd(), **kwargs)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        self.child = await asyncio.create_subprocess_exec(*cmd, env=kwargs["env"])
        return self.connection_info


@ensureDeferred
async def test_a_provisioner_without_a_process_is_asked(houses: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = mock.Mock(load=lambda: Remote)
    monkeypatch.setitem(KernelProvisionerFactory.provisioners, "remote", entry)
    house = houses(KernelRestarter={"time_to_dead": 0.2})
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    house.spec("remote", argv, metadata={"kernel_provisioner": {"provisioner_name": "remote"}})
    kernel = await house.kernels.start("remote")
    await house.ready(kernel)
    assert kernel.process.transport == "tcp"  # type: ignore[attr-defined]
    kernel.process._manager.provisioner.child.kill()  # type: ignore[attr-defined]
    await until(lambda: kernel.reason)
    await house.ready(kernel)
    assert "SIGKILL" in kernel.reason
    assert await house.value(kernel, "2*3") == "6"
    cleaned.clear()
    await house.kernels.shutdown(kernel.id)
    assert cleaned == [False]
