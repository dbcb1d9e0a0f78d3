"""Readiness: a kernel is asked until it is heard, and what is said before waits."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from jupyterd.errors import TimedOut
from jupyterd.testing.deferreds import result_of
from tests.kernels.channels.tabs import Kit


def test_before_the_kernel_is_heard_nothing_is_told_of_it(directory) -> None:
    assert Kit(directory, ready=False).tab("one").greeting == []


def test_what_is_said_before_the_kernel_is_heard_waits(directory) -> None:
    kit = Kit(directory, ready=False)
    tab = kit.tab("s")
    kit.ask(tab, "execute_request")
    assert all(header["msg_type"] == "kernel_info_request" for header, _, _ in kit.kernel.heard("shell"))
    kit.channels.connect(kit.kernel.info)
    kit.clock.advance(61)
    assert [header["msg_type"] for header, _, _ in kit.kernel.heard("shell")] == ["execute_request"]


def test_the_kernel_is_asked_again_until_its_iopub_is_heard(directory) -> None:
    kit = Kit(directory, ready=False)
    ready = Deferred.fromCoroutine(kit.channels.ready(60.0))
    ((_, asked, _),) = kit.kernel.heard("shell")
    kit.kernel.reply("shell", "kernel_info_reply", {"banner": "hello"}, asked)
    assert not ready.called
    kit.clock.advance(0.5)
    ((_, asked, _),) = kit.kernel.heard("shell")
    kit.kernel.reply("shell", "kernel_info_reply", {"banner": "hello"}, asked)
    kit.kernel.say("status", {"execution_state": "idle"}, asked)
    assert result_of(ready) == {"banner": "hello"}
    kit.clock.advance(5)
    assert kit.kernel.heard("shell") == []


def test_an_iopub_welcome_is_enough(directory) -> None:
    kit = Kit(directory, ready=False)
    kit.kernel.say("iopub_welcome", {"subscription": ""})
    ready = Deferred.fromCoroutine(kit.channels.ready(60.0))
    ((_, asked, _),) = kit.kernel.heard("control")
    kit.kernel.reply("control", "kernel_info_reply", {}, asked)
    assert result_of(ready) == {}


def test_a_kernel_that_never_answers_is_timed_out(directory) -> None:
    kit = Kit(directory, ready=False)
    ready = Deferred.fromCoroutine(kit.channels.ready(5.0))
    kit.clock.advance(5.1)
    with pytest.raises(TimedOut):
        result_of(ready)
