"""Kernels and kernelspecs of a gateway in memory: asked for, watched, ended."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError as Refused

from jupyterd.errors import NotFound, Unavailable, Upstream
from jupyterd.gateway.kernelspecs import GatewaySpecs
from jupyterd.gateway.launcher import GatewayLauncher, RemoteProcess
from jupyterd.gateway.polling import GatewayPolling
from jupyterd.kernels.process.death import Death
from jupyterd.kernels.process.launcher_interface import Order
from jupyterd.kernelspecs.manager import NoSuchKernelSpec
from jupyterd.testing.deferreds import result_of
from tests.gateway.theirs import Kit, outcome, said


class House(Kit):
    """The gateway's client with all that stands behind it.

    :ivar deaths: what the owners of kernels were told.
    """

    def __init__(self, **traits: Any) -> None:
        super().__init__(repeats=0, **traits)
        self.defaults: list[str] = []
        self.deaths: list[Death] = []
        self.specs = GatewaySpecs(self.gateway, "/here/", self.defaults.append)
        self.launcher = GatewayLauncher(self.gateway, self.specs)
        self.closed: list[bool] = []
        self.watch = GatewayPolling(self.clock, self.gateway, self.launcher, lambda: self.closed.append(True))

    def do(self, coroutine: Any) -> Any:
        return result_of(Deferred.fromCoroutine(coroutine))

    def process(self, env: dict[str, str] | None = None, cwd: str | None = None) -> RemoteProcess:
        order = Order("here", "python3", cwd=cwd, env=env or {})
        process: RemoteProcess = self.do(self.launcher.process(order, self.deaths.append))
        return process

    def started(self) -> RemoteProcess:
        process = self.process()
        self.do(process.start())
        self.api.calls()
        return process


class Woken:
    """A link that is out of reach."""

    held = False
    woken = 0

    def wake(self) -> None:
        self.woken += 1


# -- kernelspecs


def test_kernelspecs_are_the_gateways_and_their_files_are_asked_for_here() -> None:
    house = House()
    models = house.do(house.specs.models())
    assert models["python3"]["spec"]["display_name"] == "Python 3"
    assert models["python3"]["resources"] == {
        "logo-svg": "/here/kernelspecs/python3/logo-svg.svg",
        "other": "https://elsewhere/x.png",
    }
    assert house.defaults == ["python3"]
    assert house.do(house.specs.model("python3"))["resources"]["logo-svg"] == "/here/kernelspecs/python3/logo-svg.svg"
    assert house.do(house.specs.resource("python3", "logo-svg.svg")) == b"<svg/>"


def test_kernelspecs_that_are_not_there() -> None:
    house = House()
    with pytest.raises(NoSuchKernelSpec):
        house.do(house.specs.model("nope"))
    with pytest.raises(NotFound):
        house.do(house.specs.resource("python3", "nope.png"))


def test_kernelspecs_may_be_a_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERNEL_USERNAME", "ann")
    house = House()
    house.do(house.specs.models())
    assert house.api.asked[0].query == "user=ann"


@pytest.mark.parametrize("answer", [[], {"kernelspecs": []}, "x", None])
def test_what_are_no_kernelspecs_is_an_error_of_the_gateways(answer: Any) -> None:
    house = House()
    house.api.script = [said(200, answer)]
    with pytest.raises(Upstream):
        house.do(house.specs.models())


# -- starting


def test_a_start_tells_what_the_reference_tells() -> None:
    house = House(allowed_envs="LANG, PATH")
    process = house.process(env={"KERNEL_X": "1", "LANG": "C", "SECRET": "no"}, cwd="/work/a")
    house.do(process.start())
    assert house.api.asked[-1].body == {
        "name": "python3",
        "env": {
            "KERNEL_X": "1",
            "LANG": "C",
            "KERNEL_WORKING_DIR": "/work/a",
            "KERNEL_ID": "here",
            "KERNEL_LAUNCH_TIMEOUT": "40",
        },
        "kernel_id": "here",
    }


def test_who_starts_it_is_told_too_unless_the_environment_says_otherwise() -> None:
    house = House(http_user="ann")
    assert house.launcher.payload(Order("k", "n"), {})["env"]["KERNEL_USERNAME"] == "ann"
    assert house.launcher.payload(Order("k", "n"), {"KERNEL_USERNAME": "bob"})["env"]["KERNEL_USERNAME"] == "bob"


def test_a_kernelspecs_metadata_counts_here() -> None:
    assert House().process().metadata["cull_idle_timeout"] == 7


@pytest.mark.parametrize("answer", [{}, {"id": 7}, []])
def test_what_is_no_kernel_is_an_error_of_the_gateways(answer: Any) -> None:
    house = House()
    process = house.process()
    house.api.script = [said(201, answer)]
    with pytest.raises(Upstream):
        house.do(process.start())


# -- restarting and ending


def test_requests_go_to_the_id_that_the_gateway_gave() -> None:
    house = House()
    process = house.started()
    before = process.connection_info
    house.do(process.interrupt())
    house.do(process.restart(now=False))
    assert process.connection_info != before
    house.do(process.stop())
    assert house.api.calls() == [
        "POST /api/kernels/there-1/interrupt",
        "POST /api/kernels/there-1/restart",
        "DELETE /api/kernels/there-1",
    ]
    assert house.launcher.running == {}


def test_a_kernel_that_the_gateway_lost_is_restarted_as_a_new_one() -> None:
    house = House()
    process = house.started()
    house.api.kernels.clear()
    house.do(process.restart(now=False))
    assert house.api.calls() == ["POST /api/kernels/there-1/restart", "POST /api/kernels"]
    assert process.connection_info["place"].kernel_id == "there-2"
    assert list(house.launcher.running) == ["there-2"]


def test_a_kernel_that_is_gone_is_told_once_and_can_be_started_again() -> None:
    house = House()
    process = house.started()
    process.gone()
    process.gone()
    assert [death.reason for death in house.deaths] == ["The gateway does not have the kernel any more."]
    assert not process.autorestart
    house.do(process.restart(now=False))
    assert house.api.calls() == ["POST /api/kernels"]


def test_what_the_gateway_restarts_is_not_restarted_by_us() -> None:
    house = House()
    process = house.started()
    assert process.restarting()
    assert process.autorestart
    assert not process.restarting()
    before = process.connection_info
    house.do(process.restart(now=True))
    assert house.api.calls() == []
    assert process.connection_info != before
    assert not process.autorestart
    assert process.dead()
    assert len(house.deaths) == 2


def test_a_user_restarts_what_was_restarted_too_often() -> None:
    house = House()
    process = house.started()
    process.restarting()
    house.do(process.restart(now=False))
    assert house.api.calls() == ["POST /api/kernels/there-1/restart"]


def test_what_a_restart_of_ours_lets_the_gateway_say_is_no_death() -> None:
    house = House()
    process = house.started()
    waiting: Deferred[Any] = Deferred()
    house.api.script = [waiting]
    done = outcome(Deferred.fromCoroutine(process.restart(now=False)))
    assert not process.restarting()
    assert not process.dead()
    process.gone()
    waiting.callback(said(200, {}))
    assert done == [None]
    assert house.deaths == []


def test_ending_what_is_gone_is_no_error() -> None:
    house = House()
    process = house.started()
    house.api.kernels.clear()
    house.do(process.stop())
    assert not house.launcher.unfinished


def test_a_kernel_that_could_not_be_ended_is_ended_when_the_gateway_is_back() -> None:
    house = House()
    process = house.started()
    house.api.script = [Refused()]
    with pytest.raises(Unavailable):
        house.do(process.stop())
    assert house.launcher.running == {}
    house.api.script = [Refused()]
    house.do(house.watch.look())
    house.do(house.watch.look())
    assert house.api.kernels == []
    house.api.calls()
    house.do(house.watch.look())
    assert house.api.calls() == []


# -- watching


def test_nothing_is_asked_while_nothing_of_ours_is_there() -> None:
    house = House()
    house.watch.startService()
    house.clock.pump([10.0] * 5)
    assert house.api.calls() == []
    house.started()
    house.clock.advance(10.0)
    assert house.api.calls() == ["GET /api/kernels"]
    house.watch.stopService()
    house.clock.advance(100.0)
    assert house.api.calls() == []
    assert house.closed == [True]


def test_a_kernel_that_is_not_listed_is_asked_for_and_then_gone() -> None:
    house = House()
    house.started()
    house.api.script = [said(200, [])]  # a list may be incomplete
    house.do(house.watch.look())
    assert house.deaths == []
    house.api.kernels.clear()
    house.api.calls()
    house.do(house.watch.look())
    assert house.api.calls() == ["GET /api/kernels", "GET /api/kernels/there-1"]
    assert len(house.deaths) == 1


def test_a_gateway_that_answers_again_is_connected_to() -> None:
    house = House()
    process = house.started()
    link = Woken()
    process.linked(link)  # type: ignore[arg-type]
    house.api.script = [Refused()]
    house.do(house.watch.look())
    assert (link.woken, house.deaths) == (0, [])
    house.do(house.watch.look())
    assert link.woken == 1


def test_what_is_no_list_of_kernels_ends_nobody() -> None:
    house = House()
    house.started()
    for answer in ({}, "x", [{"id": 7}, 3]):
        house.api.script = [said(200, answer)]
        house.do(house.watch.look())
    assert house.deaths == []
