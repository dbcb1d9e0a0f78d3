"""The server's own requests to a kernel."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from jupyterd.errors import TimedOut
from jupyterd.testing.deferreds import result_of
from tests.kernels.channels.tabs import Kit


def test_the_server_asks_for_itself_and_no_tab_sees_the_reply(directory) -> None:
    kit = Kit(directory)
    tab = kit.tab("s")
    asked = Deferred.fromCoroutine(
        kit.channels.request("shutdown_request", {"restart": True}, channel="control", timeout=5)
    )
    ((header, data, content),) = kit.kernel.heard("control")
    assert (header["msg_type"], content) == ("shutdown_request", {"restart": True})
    kit.kernel.reply("control", "shutdown_reply", {"restart": True}, data)
    assert result_of(asked)["content"] == {"restart": True}
    assert tab.got == []


def test_a_request_times_out_and_leaves_nothing(directory) -> None:
    kit = Kit(directory)
    asked = Deferred.fromCoroutine(kit.channels.request("interrupt_request", {}, channel="control", timeout=5))
    kit.clock.advance(6)
    with pytest.raises(TimedOut):
        result_of(asked)
    assert kit.channels._server_requests._waiting == {}


def test_the_servers_own_questions_are_no_activity(directory) -> None:
    kit = Kit(directory)
    kit.kernel.say("status", {"execution_state": "busy"}, b'{"msg_type": "kernel_info_request"}')
    kit.kernel.say("status", {"execution_state": "idle"}, b'{"msg_type": "kernel_info_request"}')
    assert kit.watch.active == 0
