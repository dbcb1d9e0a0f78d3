"""Processes of real kernels: how they are launched, what they end with, and what is left of them."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from jupyter_client.provisioning import KernelProvisionerBase
from jupyter_client.provisioning.factory import KernelProvisionerFactory
from pytest_twisted import ensureDeferred
from twisted.internet.defer import Deferred

from jupyterd.errors import Failed, OutOfSpace
from jupyterd.kernels.process.pdeathsig import dying_with_us
from tests.kernels.real_kernels import BOTH
from tests.real.daemon import alive
from tests.waiting import until

pytestmark = pytest.mark.real


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
