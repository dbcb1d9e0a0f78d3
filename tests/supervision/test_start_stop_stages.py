"""The order in which services start and stop: by their stage, whenever they are added."""

from __future__ import annotations

import pytest
from twisted.application.service import Service
from twisted.internet.defer import Deferred

from jupyterd.supervision.start_stop_stages import Stage, Stages


class Noted(Service):
    """Notes what is asked of it."""

    def __init__(self, name: str, events: list[str], stopping: Deferred[None] | None = None) -> None:
        self.setName(name)
        self._events = events
        self._stopping = stopping

    def startService(self) -> None:
        super().startService()
        self._events.append(f"start {self.name}")

    def stopService(self) -> Deferred[None] | None:
        super().stopService()
        self._events.append(f"stop {self.name}")
        return self._stopping


class Broken(Noted):
    """Fails to stop."""

    def stopService(self) -> Deferred[None] | None:
        super().stopService()
        raise RuntimeError("no")


@pytest.fixture
def events() -> list[str]:
    return []


def test_the_order_is_that_of_the_stages_and_not_of_the_additions(events: list[str]) -> None:
    stages = Stages()
    stages.add(Stage.PORTS, Noted("ports", events))
    stages.add(Stage.DOMAINS, Noted("kernels", events))
    stages.startService()
    stages.add(Stage.THREADS, Noted("threads", events))
    stages.add(Stage.DOMAINS, Noted("contents", events))
    assert events == ["start kernels", "start ports", "start threads", "start contents"]
    events.clear()
    stages.stopService()
    assert events == ["stop ports", "stop contents", "stop kernels", "stop threads"]


def test_a_stage_waits_for_the_one_before_it_and_its_services_not_for_each_other(events: list[str]) -> None:
    stages, saving = Stages(), Deferred[None]()
    for stage, service in (
        (Stage.THREADS, Noted("threads", events)),
        (Stage.BACKENDS, Noted("gateway", events)),
        (Stage.DOMAINS, Noted("kernels", events)),
        (Stage.DOMAINS, Noted("contents", events, saving)),
        (Stage.PORTS, Noted("ports", events)),
    ):
        stages.add(stage, service)
    stages.startService()
    events.clear()
    done: list[object] = []
    stages.stopService().addCallback(done.append)
    assert events == ["stop ports", "stop contents", "stop kernels"]
    assert done == []
    saving.callback(None)
    assert events[3:] == ["stop gateway", "stop threads"]
    assert done == [None]


def test_one_that_can_not_stop_is_no_hindrance(events: list[str]) -> None:
    stages = Stages()
    stages.add(Stage.THREADS, Noted("threads", events))
    stages.add(Stage.DOMAINS, Noted("kernels", events))
    stages.add(Stage.DOMAINS, Broken("contents", events))
    stages.startService()
    done: list[object] = []
    stages.stopService().addCallback(done.append)
    assert events[2:] == ["start contents", "stop contents", "stop kernels", "stop threads"]
    assert done == [None]
