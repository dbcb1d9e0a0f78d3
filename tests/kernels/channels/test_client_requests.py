"""Messages to a kernel: held back while it takes nothing, answered with an error where it never will."""

from __future__ import annotations

import orjson
from twisted.internet.defer import Deferred

from jupyterd.errors import TimedOut
from jupyterd.kernels.channels.policy import MessagePolicy
from tests.kernels.channels.tabs import Kit


def test_a_kernel_that_takes_nothing_pauses_who_asks_too_much_and_nobody_else(directory) -> None:
    kit = Kit(directory, client_buffer_bytes=1000)
    loud, quiet = kit.tab("loud"), kit.tab("quiet")
    kit.kernel.sockets["shell"].full = True
    for number in range(20):
        kit.ask(loud, "comm_msg", msg_id=f"{number}", content=b'{"x": "%s"}' % (b"y" * 100))
    kit.ask(quiet, "comm_msg", msg_id="last")
    assert (loud.reading_paused, quiet.reading_paused) == (True, False)
    kit.ask(quiet, "interrupt_request", "control")
    assert len(kit.kernel.heard("control")) == 1, "another channel is free"
    kit.kernel.sockets["shell"].room()
    assert loud.reading_paused is False
    assert [header["msg_id"] for header, _, _ in kit.kernel.heard("shell")] == [*map(str, range(20)), "last"]


def test_what_may_not_be_sent_is_ignored(directory) -> None:
    kit = Kit(directory, policy=MessagePolicy(allowed_message_types=frozenset(["kernel_info_request"])))
    tab = kit.tab("s")
    kit.ask(tab, "execute_request")
    kit.ask(tab, "kernel_info_request", "nope")
    kit.ask(tab, "kernel_info_request", "iopub")
    kit.channels.send(tab.cursor, "shell", [b"no json", b"{}", b"{}", b"{}"])
    assert kit.kernel.heard("shell") == []
    kit.ask(tab, "kernel_info_request")
    assert len(kit.kernel.heard("shell")) == 1


def test_what_is_said_while_the_old_process_ends_is_for_the_next_one(directory) -> None:
    kit = Kit(directory)
    tab = kit.tab("s")
    kit.ask(tab, "execute_request", msg_id="old")
    kit.channels.hold()
    kit.ask(tab, "execute_request", msg_id="new")
    assert [header["msg_id"] for header, _, _ in kit.kernel.heard("shell")] == ["old"]
    ensure = kit.channels.request("shutdown_request", {}, channel="control", timeout=1.0)
    asking = Deferred.fromCoroutine(ensure)
    assert [header["msg_type"] for header, _, _ in kit.kernel.heard("control")] == ["shutdown_request"]
    kit.channels.disconnect()
    kit.channels.connect(kit.kernel.info)
    kit.kernel.answer_kernel_info()
    assert [header["msg_id"] for header, _, _ in kit.kernel.heard("shell")] == ["new"]
    kit.clock.advance(1.0)
    asking.addErrback(lambda failure: failure.trap(TimedOut))


def replies_of(tab):
    """What a tab got: channel, type, the id of what it answers, and state, reason or text."""
    got, tab.got = tab.got, []
    told = []
    for channel, (header, parent, _, content) in got:
        inner = orjson.loads(content)
        what = inner.get("execution_state") or inner.get("evalue") or inner.get("text")
        told.append((channel.decode(), orjson.loads(header)["msg_type"], orjson.loads(parent).get("msg_id"), what))
    return told


def test_what_a_kernel_that_died_had_been_asked_gets_an_error_before_its_status(directory) -> None:
    kit = Kit(directory)
    one, other = kit.tab("one"), kit.tab("other")
    kit.ask(one, "execute_request", msg_id="run")
    kit.ask(one, "inspect_request", msg_id="look")
    kit.ask(other, "debug_request", "control", msg_id="debug")
    kit.ask(one, "comm_msg", msg_id="comm")
    kit.channels.lose("killed")
    kit.channels.announce("status", {"execution_state": "restarting"})
    run = ("iopub", "status", "run", "idle")
    restarting = ("iopub", "status", None, "restarting")
    assert replies_of(one) == [
        run,
        ("shell", "execute_reply", "run", "killed"),
        ("iopub", "status", "look", "idle"),
        ("shell", "inspect_reply", "look", "killed"),
        restarting,
    ]
    assert replies_of(other) == [
        run,
        ("iopub", "status", "debug", "idle"),
        ("control", "debug_reply", "debug", "killed"),
        restarting,
    ]
    kit.channels.disconnect()
    assert replies_of(one) == [], "once"


def test_a_reply_that_has_arrived_is_no_lost_one(directory) -> None:
    kit = Kit(directory)
    tab = kit.tab("s")
    header = kit.ask(tab, "execute_request", msg_id="exit")
    message = kit.kernel.message("execute_reply", {"status": "ok", "text": "bye"}, header)
    kit.kernel.sockets["shell"].arrived.append(message)
    kit.channels.lose("ended")
    assert replies_of(tab) == [("shell", "execute_reply", "exit", "bye")]


def test_what_waits_for_the_next_process_is_not_lost_until_there_is_none(directory) -> None:
    kit = Kit(directory)
    tab = kit.tab("s")
    kit.channels.hold()
    kit.ask(tab, "execute_request", msg_id="later")
    kit.channels.lose("killed")
    kit.channels.disconnect()
    assert tab.got == []
    kit.channels.connect({**kit.kernel.info, "shell_port": 2})
    kit.kernel.answer_kernel_info()
    (asked,) = [header for header, _, _ in kit.kernel.heard("shell") if header["msg_id"] == "later"]
    assert asked["msg_type"] == "execute_request"
    kit.channels.hold()
    kit.ask(tab, "execute_request", msg_id="never")
    tab.got.clear()
    kit.channels.close("Kernel shut down")
    assert [told for told in replies_of(tab) if told[0] == "shell"] == [
        ("shell", "execute_reply", "later", "Kernel shut down"),
        ("shell", "execute_reply", "never", "Kernel shut down"),
    ]


def test_who_asked_and_left_is_told_when_it_is_back(directory) -> None:
    kit = Kit(directory)
    tab, stranger = kit.tab("s"), kit.tab()
    kit.ask(tab, "execute_request", msg_id="m")
    kit.ask(stranger, "execute_request", msg_id="n")
    kit.channels.detach(tab.cursor, tab, said_goodbye=False)
    kit.channels.detach(stranger.cursor, stranger, said_goodbye=False)
    kit.channels.lose("killed")
    assert replies_of(kit.tab("s")) == [
        ("iopub", "status", "m", "idle"),
        ("shell", "execute_reply", "m", "killed"),
    ]


def test_requests_that_are_never_replied_to_do_not_add_up(directory, monkeypatch) -> None:
    monkeypatch.setattr("jupyterd.kernels.channels.client_requests.ASKERS", 3)
    kit = Kit(directory)
    tab = kit.tab("s")
    for number in range(10):
        kit.ask(tab, "execute_request", msg_id=f"m{number}")
    assert [msg_id for msg_id, _ in kit.channels.executing] == ["m7", "m8", "m9"]
