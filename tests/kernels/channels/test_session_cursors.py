"""Cursors of sessions: who is away, comes back, or is forgotten."""

from __future__ import annotations

from jupyterd.kernels.channels import session_cursors
from jupyterd.kernels.channels.policy import MessagePolicy
from tests.kernels.channels.tabs import Kit


def test_a_tab_that_is_away_finds_replies_and_outputs_in_order(directory) -> None:
    kit = Kit(directory)
    tab = kit.tab("s")
    header = kit.ask(tab, "execute_request")
    kit.channels.detach(tab.cursor, tab, said_goodbye=False)
    kit.kernel.say("stream", {"text": "a"}, header)
    kit.kernel.reply("shell", "execute_reply", {}, header)
    kit.kernel.say("status", {"execution_state": "idle"}, header)
    assert kit.tab("s").types() == [("iopub", "stream"), ("shell", "execute_reply"), ("iopub", "status")]
    assert tab.got == []


def test_the_session_in_a_header_is_enough_to_find_its_tab(directory) -> None:
    kit = Kit(directory)
    tab = kit.tab("s")
    kit.kernel.reply("stdin", "input_request", {}, b'{"msg_id": "forgotten", "session": "s"}')
    assert tab.types() == [("stdin", "input_request")]


def test_a_new_session_gets_what_is_new_only(directory) -> None:
    kit = Kit(directory)
    kit.kernel.say("stream", {"text": "old"})
    tab = kit.tab("new")
    kit.kernel.say("stream", {"text": "new"})
    assert len(tab.got) == 1


def test_a_second_websocket_of_a_session_replaces_the_first(directory) -> None:
    kit = Kit(directory)
    first = kit.tab("s")
    second = kit.tab("s")
    kit.kernel.say("stream", {})
    assert (first.finished, first.got, len(second.got)) == (True, [], 1)
    assert kit.channels.connections == 1
    kit.channels.detach(first.cursor, first, said_goodbye=True)
    assert kit.channels.connections == 1, "the stale one's end is not the session's"


def test_absent_sessions_are_forgotten_after_their_grace(directory) -> None:
    kit = Kit(directory, offline_session_timeout=100.0, closed_session_timeout=10.0)
    lost, left, kept = kit.tab("lost"), kit.tab("left"), kit.tab("kept")
    kit.channels.detach(lost.cursor, lost, said_goodbye=False)
    kit.channels.detach(left.cursor, left, said_goodbye=True)
    kit.channels.detach(kept.cursor, kept, said_goodbye=True)
    kit.kernel.say("stream", {})
    kept = kit.tab("kept")
    kit.clock.advance(11)
    assert len(kept.got) == 1
    assert kit.tab("left").got == []
    kit.clock.advance(100)
    assert kit.tab("lost").got == []


def test_without_buffering_nothing_waits(directory) -> None:
    kit = Kit(directory, policy=MessagePolicy(buffer_offline_messages=False))
    tab = kit.tab("s")
    kit.channels.detach(tab.cursor, tab, said_goodbye=False)
    kit.kernel.say("stream", {})
    assert kit.tab("s").got == []


def test_a_tab_without_a_session_leaves_nothing_behind(directory) -> None:
    kit = Kit(directory)
    tab = kit.tab(None)
    kit.channels.detach(tab.cursor, tab, said_goodbye=False)
    assert kit.channels.messages.cursors == {}


def test_no_more_absent_sessions_are_kept_than_allowed(directory) -> None:
    kit = Kit(directory)
    for number in range(300):
        tab = kit.tab(f"s{number}")
        kit.channels.detach(tab.cursor, tab, said_goodbye=False)
    assert len(kit.channels.messages.cursors) == 256
    assert len(kit.clock.getDelayedCalls()) <= 257


def test_of_too_many_absent_sessions_the_one_that_left_first_gives_way(directory, monkeypatch) -> None:
    monkeypatch.setattr(session_cursors, "ABSENT", 1)
    kit = Kit(directory)
    first, second = kit.tab("first"), kit.tab("second")
    for tab in (second, first):
        kit.channels.detach(tab.cursor, tab, said_goodbye=False)
    kit.kernel.say("stream", {"text": "missed"})
    assert kit.tab("second").types() == []
    assert kit.tab("first").types() == [("iopub", "stream")]
