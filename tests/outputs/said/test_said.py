"""What pages are told beside what files hold: which outputs can be updated, and that a clear is due."""

from __future__ import annotations

from typing import Any

import orjson

from jupyterd.outputs.said.messages_to_outputs import Replay


def say(replay: Replay, kind: str, content: Any, parent: str = "m") -> None:
    header = orjson.dumps({"msg_id": kind, "msg_type": kind, "session": "k"})
    replay.feed(
        [[header, orjson.dumps({"msg_id": parent, "msg_type": "execute_request"}), b"{}", orjson.dumps(content)]]
    )


def test_pages_get_display_ids_and_files_do_not() -> None:
    replay = Replay(1 << 20)
    replay.begin("m")
    say(replay, "display_data", {"data": {"text/plain": "a"}, "metadata": {}, "transient": {"display_id": "d"}})
    say(replay, "stream", {"name": "stdout", "text": "x"})
    say(replay, "update_display_data", {"data": {"text/plain": "b"}, "transient": {"display_id": "d"}}, "other")
    display, text = replay.said(["m", "unknown"], for_pages=True)["m"].outputs
    assert display["transient"] == {"display_id": "d"}
    assert display["data"] == {"text/plain": "b"}
    assert "transient" not in text
    assert all("transient" not in output for output in replay.said(["m"], for_pages=False)["m"].outputs)


def test_a_clear_that_is_due_is_told_until_it_is_done() -> None:
    replay = Replay(1 << 20)
    replay.begin("m")
    say(replay, "stream", {"name": "stdout", "text": "x"})
    say(replay, "clear_output", {"wait": True})
    assert replay.said(["m"], for_pages=True)["m"].clears_next
    say(replay, "stream", {"name": "stdout", "text": "y"})
    said = replay.said(["m"], for_pages=True)["m"]
    assert not said.clears_next
    assert said.outputs == [{"output_type": "stream", "name": "stdout", "text": "y"}]


def test_the_end_is_told_with_what_was_said_before_it() -> None:
    replay = Replay(1 << 20)
    replay.begin("m")
    say(replay, "status", {"execution_state": "busy"})
    assert not replay.said(["m"], for_pages=True)["m"].idle
    say(replay, "status", {"execution_state": "idle"})
    assert replay.said(["m"], for_pages=True)["m"].idle
