"""Missing idle: a cell whose last status is lost ends all the same."""

from __future__ import annotations

import pytest

from tests.kernels.channels.tabs import Kit


def test_a_cell_whose_idle_is_lost_ends_all_the_same(directory) -> None:
    kit = Kit(directory)
    tab = kit.tab("s")
    header = kit.ask(tab, "execute_request", session="s")
    kit.kernel.say("status", {"execution_state": "busy"}, header)
    kit.kernel.reply("shell", "execute_reply", {"status": "ok"}, header)
    kit.clock.advance(8)
    kit.kernel.say("stream", {"name": "stdout", "text": "late"}, header)
    kit.clock.advance(8)
    assert kit.watch.states[-1] == ("busy", "execute_request"), "a kernel that speaks on is waited for"
    kit.clock.advance(12)
    assert tab.types()[-2:] == [("iopub", "stream"), ("iopub", "status")]
    assert kit.watch.states[-1] == ("idle", "execute_request")
    assert kit.channels._from_kernel._missing_idles._timer is None


@pytest.mark.parametrize("first", ["idle", "reply"])
def test_a_cell_that_has_ended_is_not_ended_twice(directory, first) -> None:
    kit = Kit(directory)
    tab = kit.tab("s")
    header = kit.ask(tab, "execute_request", session="s")
    if first == "idle":
        kit.kernel.say("status", {"execution_state": "idle"}, header)
    kit.kernel.reply("shell", "execute_reply", {"status": "ok"}, header)
    if first == "reply":
        kit.kernel.say("status", {"execution_state": "idle"}, header)
    said = len(tab.got)
    kit.clock.advance(100)
    assert len(tab.got) == said == 2


def test_idle_is_not_missing_while_iopub_is_not_read(directory) -> None:
    kit = Kit(directory)
    tab = kit.tab("s")
    header = kit.ask(tab, "execute_request", session="s")
    kit.kernel.reply("shell", "execute_reply", {"status": "ok"}, header)
    kit.channels._sockets_of_kernel.flow(False)
    kit.clock.advance(30)
    kit.channels._sockets_of_kernel.flow(True)
    kit.kernel.say("status", {"execution_state": "idle"}, header)
    kit.clock.advance(30)
    assert tab.types() == [("shell", "execute_reply"), ("iopub", "status")]


def test_an_aborted_cell_whose_kernel_says_no_idle_for_it_ends_without_a_word(directory) -> None:
    kit = Kit(directory)
    tab = kit.tab("s")
    header = kit.ask(tab, "execute_request", session="s")
    kit.kernel.reply("shell", "execute_reply", {"status": "aborted"}, header)
    kit.clock.advance(12)
    assert tab.types() == [("shell", "execute_reply"), ("iopub", "status")]


def test_the_end_of_a_cell_does_not_make_the_next_one_idle(directory) -> None:
    kit = Kit(directory)
    tab = kit.tab("s")
    header = kit.ask(tab, "execute_request", session="s", msg_id="m1")
    after = kit.ask(tab, "execute_request", session="s", msg_id="m2")
    kit.kernel.say("status", {"execution_state": "busy"}, header)
    kit.kernel.reply("shell", "execute_reply", {"status": "ok"}, header)
    kit.kernel.say("status", {"execution_state": "busy"}, after)
    kit.clock.advance(12)
    assert tab.types()[-2:] == [("iopub", "stream"), ("iopub", "status")]
    assert kit.watch.states[-1] == ("busy", "execute_request")


def test_a_cell_may_still_end_by_itself_while_not_all_was_read(directory) -> None:
    kit = Kit(directory)
    tab = kit.tab("s")
    header = kit.ask(tab, "execute_request", session="s")
    kit.kernel.reply("shell", "execute_reply", {"status": "ok"}, header)
    kit.kernel.sockets["iopub"].drain = lambda: False
    kit.clock.advance(100)
    assert tab.types() == [("shell", "execute_reply")]
