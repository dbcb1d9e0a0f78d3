"""Which kernels are shut down for idleness, and when."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from jupyterd.kernels.culling import Culler
from jupyterd.kernels.process.death import Death
from tests.kernels.keeping import Keeping


def culling(**settings: Any) -> tuple[Keeping, Culler]:
    keeping = Keeping({"MappingKernelManager": {"cull_idle_timeout": 100, "cull_interval": 10, **settings}})
    kernels = keeping.kernels
    culler = Culler(
        kernels, keeping.clock, lambda: kernels, lambda kernel_id: Deferred.fromCoroutine(kernels.shutdown(kernel_id))
    )
    culler.startService()
    return keeping, culler


def pass_time(keeping: Keeping, seconds: int) -> None:
    keeping.clock.pump([1] * seconds)


def test_an_idle_kernel_is_shut_down_at_the_first_look_after_its_time() -> None:
    keeping, _ = culling()
    keeping.start()
    pass_time(keeping, 100)
    assert len(keeping.kernels) == 1
    pass_time(keeping, 10)
    assert len(keeping.kernels) == 0


def test_activity_begins_the_time_anew() -> None:
    keeping, _ = culling()
    kernel = keeping.start()
    pass_time(keeping, 95)
    kernel.activity()
    pass_time(keeping, 100)
    assert len(keeping.kernels) == 1


def test_a_long_cell_s_end_is_activity() -> None:
    keeping, _ = culling()
    kernel = keeping.start()
    kernel.status("busy", "execute_request")
    pass_time(keeping, 500)
    kernel.status("idle", "execute_request")
    pass_time(keeping, 95)
    assert len(keeping.kernels) == 1


def test_nothing_is_culled_without_a_timeout() -> None:
    keeping, _ = culling(cull_idle_timeout=0)
    keeping.start()
    pass_time(keeping, 1000)
    assert len(keeping.kernels) == 1
    assert not keeping.clock.getDelayedCalls()


@pytest.mark.parametrize("cull", [False, True])
def test_busy_kernels_only_where_wanted(cull: bool) -> None:
    keeping, _ = culling(cull_busy=cull)
    keeping.start().status("busy", "execute_request")
    pass_time(keeping, 120)
    assert len(keeping.kernels) == (0 if cull else 1)


@pytest.mark.parametrize("cull", [False, True])
def test_connected_kernels_only_where_wanted(cull: bool) -> None:
    keeping, _ = culling(cull_connected=cull)
    keeping.channels(keeping.start()).connections = 1
    pass_time(keeping, 120)
    assert len(keeping.kernels) == (0 if cull else 1)


def test_a_kernelspec_may_have_a_timeout_of_its_own() -> None:
    keeping, _ = culling()
    keeping.start()
    keeping.process.metadata["cull_idle_timeout"] = 1000
    pass_time(keeping, 900)
    assert len(keeping.kernels) == 1
    pass_time(keeping, 120)
    assert len(keeping.kernels) == 0


def test_dead_kernels_go_at_the_next_look() -> None:
    keeping, _ = culling()
    keeping.channels(keeping.start()).connections = 1
    keeping.process.autorestart = False
    keeping.process.die(Death(-9))
    pass_time(keeping, 10)
    assert len(keeping.kernels) == 0


def test_a_senseless_interval_becomes_the_default() -> None:
    keeping, _ = culling(cull_interval=0)
    keeping.start()
    pass_time(keeping, 299)
    assert len(keeping.kernels) == 1
    pass_time(keeping, 2)
    assert len(keeping.kernels) == 0


def test_nothing_is_culled_after_the_end() -> None:
    keeping, culler = culling()
    keeping.start()
    culler.stopService()
    pass_time(keeping, 1000)
    assert len(keeping.kernels) == 1


def test_a_kernel_that_can_not_be_culled_does_not_keep_others() -> None:
    keeping, _ = culling()
    keeping.start()
    keeping.process.failure = RuntimeError("no")
    keeping.start()
    pass_time(keeping, 120)
    assert [process.calls[-1] for process in keeping.launcher.processes] == ["stop", "stop"]
