"""Real ipykernels, started, interrupted, restarted, killed and culled; nothing of them is left.

They are children of a keeper, as they are by default; what is marked :data:`BOTH` is done without one too.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.defer import Deferred

from jupyterd.errors import Failed
from jupyterd.kernels.manager import NoSuchKernel
from tests.kernels.real_kernels import BOTH
from tests.real.daemon import alive
from tests.waiting import until

pytestmark = pytest.mark.real


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
async def test_several_kernels_at_once_all_come_up(houses: Any) -> None:
    house = houses()
    from twisted.internet.defer import gatherResults

    kernels = await gatherResults([Deferred.fromCoroutine(house.kernels.start()) for _ in range(6)])
    for kernel in kernels:
        await house.ready(kernel)
    assert all(not kernel.reason for kernel in kernels)


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
