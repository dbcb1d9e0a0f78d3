"""A kernel's channels, against a kernel in memory."""

from __future__ import annotations

import os
import tempfile

import orjson
import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from jupyterd.errors import Gone, TimedOut
from jupyterd.kernels.channels import session_cursors as places
from jupyterd.kernels.channels.closing import LEAVE
from jupyterd.kernels.channels.kernel_channels import KernelChannels
from jupyterd.kernels.channels.policy import MessagePolicy
from jupyterd.kernels.channels.settings import ZMQChannelsWebsocketConnection
from jupyterd.testing.deferreds import at_once, result_of
from jupyterd.testing.kernel_sockets import MemoryKernel


class Watch:
    """What a kernel's record is told."""

    def __init__(self) -> None:
        self.active = 0
        self.states: list[tuple[str, str]] = []

    def activity(self) -> None:
        self.active += 1

    def status(self, state, parent_type) -> None:
        self.states.append((state, parent_type))


class Parts:
    name = "parts"

    def encode(self, channel, messages):
        return [(channel, [bytes(part) for part in parts]) for parts in messages]


class Tab:
    """A websocket's place: collects channel and parts of what it is given."""

    codec = Parts()

    def __init__(self) -> None:
        self.got = []
        self.blocked = self.reading_paused = self.finished = False

    connection = None

    def begin(self, frames):
        return None

    def write(self, frames):
        self.got += frames
        return len(self.got)

    def unacknowledged(self):
        return 0

    unanswered = unsent = unacknowledged

    def pause_client(self) -> None:
        self.reading_paused = True

    def resume_client(self) -> None:
        self.reading_paused = False

    def finish(self) -> None:
        self.finished = True

    def types(self):
        got, self.got = self.got, []
        return [(channel.decode(), orjson.loads(parts[0])["msg_type"]) for channel, parts in got]


class Kit:
    def __init__(self, directory, ready=True, policy=None, kernel=None, **traits) -> None:
        self.clock = Clock()
        self.kernel = kernel or MemoryKernel()
        self.watch = Watch()
        self.channels = KernelChannels(
            "k", reactor=self.clock, settings=ZMQChannelsWebsocketConnection(**traits), in_thread=at_once,
            spill_dir=os.path.join(directory, "spill"), observer=self.watch, policy=policy, network=self.kernel,
        )  # fmt: skip
        self.channels.connect(self.kernel.info)
        if ready:
            self.kernel.answer_kernel_info()
            self.watch.active = 0
            self.watch.states.clear()

    def tab(self, session=None):
        tab = Tab()
        is_new = session is None or self.channels._session_cursors.of(session) is None
        tab.cursor = self.channels.attach(tab, session)
        tab.greeting = [tab.got.pop()] if is_new and tab.got else []
        return tab

    def ask(self, tab, msg_type, channel="shell", msg_id="m1", session="", content=b"{}", buffers=()):
        header = orjson.dumps({"msg_id": msg_id, "msg_type": msg_type, "session": session})
        self.channels.send(tab.cursor, channel, [header, b"{}", b"{}", content, *buffers])
        return header


@pytest.fixture
def directory():
    with tempfile.TemporaryDirectory() as name:
        yield name


def test_each_tab_sees_iopub_and_the_one_that_asked_gets_the_reply(directory) -> None:
    kit = Kit(directory)
    one, other = kit.tab("one"), kit.tab("other")
    header = kit.ask(one, "execute_request")
    kit.kernel.say("status", {"execution_state": "busy"}, header)
    kit.kernel.say("stream", {"name": "stdout", "text": "x"}, header)
    kit.kernel.reply("shell", "execute_reply", {"status": "ok"}, header)
    assert one.types() == [("iopub", "status"), ("iopub", "stream"), ("shell", "execute_reply")]
    assert other.types() == [("iopub", "status"), ("iopub", "stream")]


def test_a_new_session_is_told_what_the_kernel_does_and_one_that_comes_back_is_not(directory) -> None:
    kit = Kit(directory)

    def told(tab):
        ((channel, (header, parent, _, content)),) = tab.greeting
        assert (channel, orjson.loads(header)["msg_type"]) == (b"iopub", "status")
        return orjson.loads(content)["execution_state"], parent

    one = kit.tab("one")
    assert told(one) == ("idle", b"{}")
    header = kit.ask(one, "execute_request")
    kit.kernel.say("status", {"execution_state": "busy"}, header)
    one.types()
    other = kit.tab("other")
    assert told(other) == ("busy", header)
    assert told(kit.tab()) == ("busy", header), "one without a session too"
    assert one.got == [], "it is told to nobody else"
    kit.channels.detach(other.cursor, other, said_goodbye=False)
    assert kit.tab("other").greeting == []
    kit.kernel.say("status", {"execution_state": "idle"}, header)
    assert told(kit.tab("third")) == ("idle", b"{}")


def test_what_a_kernel_does_beside_a_cell_does_not_make_it_idle(directory) -> None:
    kit = Kit(directory)
    one = kit.tab("one")
    header = kit.ask(one, "execute_request")
    kit.kernel.say("status", {"execution_state": "busy"}, header)
    question = kit.ask(one, "debug_request", channel="control")
    kit.kernel.say("status", {"execution_state": "busy"}, question)
    kit.kernel.say("status", {"execution_state": "idle"}, question)
    ((_, (told, parent, _, content)),) = kit.tab("other").greeting
    assert orjson.loads(content) == {"execution_state": "busy"}
    assert parent == header
    said = one.got[-1][1][0]
    assert orjson.loads(told)["session"] == orjson.loads(said)["session"], "JupyterLab drops what another session says"


def test_before_the_kernel_is_heard_nothing_is_told_of_it(directory) -> None:
    assert Kit(directory, ready=False).tab("one").greeting == []


def test_messages_reach_the_kernel_as_they_were_and_signed(directory) -> None:
    kit = Kit(directory)
    tab = kit.tab("s")
    header = kit.ask(tab, "comm_msg", content=b'{"a":   1}', buffers=[b"\0\1", memoryview(b"abc")])
    (frames,) = kit.kernel.sockets["shell"].sent
    assert frames[0] == b"<IDS|MSG>"
    assert frames[1] == kit.kernel.signer.sign(frames[2:])
    assert [bytes(frame) for frame in frames[2:]] == [header, b"{}", b"{}", b'{"a":   1}', b"\0\1", b"abc"]


def test_one_identity_for_all_channels_so_that_input_is_asked_where_the_request_came_from(directory) -> None:
    kit = Kit(directory)
    assert len({kit.kernel.sockets[channel].identity for channel in ("shell", "control", "stdin")}) == 1


def test_input_is_asked_of_the_tab_that_runs_the_cell(directory) -> None:
    kit = Kit(directory)
    one, other = kit.tab("one"), kit.tab("other")
    header = kit.ask(one, "execute_request")
    kit.kernel.reply("stdin", "input_request", {"prompt": "?"}, header)
    assert (one.types(), other.types()) == ([("stdin", "input_request")], [])
    kit.ask(one, "input_reply", "stdin", "m2")
    assert [header["msg_type"] for header, _, _ in kit.kernel.heard("stdin")] == ["input_reply"]
    kit.kernel.reply("shell", "execute_reply", {}, header)
    assert one.types() == [("shell", "execute_reply")]


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


def test_forged_and_repeated_messages_are_refused_and_counted(directory) -> None:
    kit = Kit(directory)
    tab = kit.tab("s")
    message = kit.kernel.message("stream", {"text": "x"})
    kit.kernel.sockets["iopub"].received([list(message)])
    kit.kernel.sockets["iopub"].received([list(message)])
    kit.kernel.sockets["iopub"].received([[b"0" * 64, *message[1:]], [b"", *message[1:]]])
    kit.kernel.sockets["shell"].received([[b"0" * 64, *message[1:]]])
    assert len(tab.got) == 1
    assert kit.channels.refused == {"replay": 1, "signature": 2, "no signature": 1}


def test_messages_are_counted_by_channel(directory) -> None:
    kit = Kit(directory, policy=MessagePolicy(allowed_message_types=frozenset({"kernel_info_request"})))
    totals = kit.channels.from_kernel.totals
    before = dict(totals.from_kernels)
    tab = kit.tab("s")
    header = kit.ask(tab, "kernel_info_request", session="s")
    kit.ask(tab, "execute_request")
    kit.channels.send(tab.cursor, "nowhere", [header, b"{}", b"{}", b"{}"])
    kit.channels.send(tab.cursor, "shell", [b"[]", b"{}", b"{}", b"{}"])
    kit.kernel.say("stream", {"text": "x"})
    kit.kernel.say("stream", {"text": "y"})
    kit.kernel.reply("shell", "kernel_info_reply", {"status": "ok"}, header)
    now = {channel: count - before[channel] for channel, count in totals.from_kernels.items()}
    assert now == {"iopub": 2, "shell": 1, "control": 0, "stdin": 0}
    assert totals.to_kernels == {"iopub": 0, "shell": 1, "control": 0, "stdin": 0}
    assert totals.ignored == {"channel": 1, "header": 1, "type": 1}


def test_without_a_key_messages_pass_unsigned(directory) -> None:
    kit = Kit(directory, kernel=MemoryKernel(key=b""))
    tab = kit.tab("s")
    kit.kernel.say("stream", {})
    assert len(tab.got) == 1


def test_a_header_that_is_no_header_is_refused(directory) -> None:
    kit = Kit(directory, kernel=MemoryKernel(key=b""))
    tab = kit.tab("s")
    for header in (b"", b"[]", b'{"msg_id": "x"}', b'{"msg_type": 5}', b"\xff"):
        kit.kernel.sockets["iopub"].received([[b"", header, b"{}", b"{}", b"{}"]])
    assert (tab.got, kit.channels.refused) == ([], {"header": 5})


def test_states_and_activity_are_told(directory) -> None:
    kit = Kit(directory)
    tab = kit.tab("s")
    header = kit.ask(tab, "execute_request")
    kit.kernel.say("status", {"execution_state": "busy"}, header)
    kit.kernel.say("status", {"execution_state": "idle"}, header)
    assert kit.watch.states == [("busy", "execute_request"), ("idle", "execute_request")]
    assert kit.watch.active == 2


def test_the_servers_own_questions_are_no_activity(directory) -> None:
    kit = Kit(directory)
    kit.kernel.say("status", {"execution_state": "busy"}, b'{"msg_type": "kernel_info_request"}')
    kit.kernel.say("status", {"execution_state": "idle"}, b'{"msg_type": "kernel_info_request"}')
    assert kit.watch.active == 0


def test_all_that_a_busy_kernel_says_is_activity_once_a_batch(directory) -> None:
    kit = Kit(directory)
    kit.kernel.say("status", {"execution_state": "busy"}, b'{"msg_type": "execute_request"}')
    kit.watch.active = 0
    kit.kernel.sockets["iopub"].received(
        [kit.kernel.message("stream", {}, b'{"msg_type": "comm_info_request"}') for _ in range(9)]
    )
    assert kit.watch.active == 1


def test_what_runs_is_known_until_its_reply(directory) -> None:
    kit = Kit(directory)
    tab = kit.tab("s")
    first = kit.ask(tab, "execute_request", msg_id="a")
    second = kit.ask(tab, "execute_request", msg_id="b")
    kit.ask(tab, "complete_request", msg_id="c")
    assert kit.channels.executing == [("a", first), ("b", second)]
    kit.kernel.reply("shell", "execute_reply", {}, first)
    assert kit.channels.executing == [("b", second)]
    kit.channels.disconnect()
    assert kit.channels.executing == []


def test_announcements_come_behind_what_the_kernel_said(directory) -> None:
    kit = Kit(directory)
    tab = kit.tab("s")
    kit.kernel.sockets["iopub"].arrived.append(kit.kernel.message("stream", {}))
    kit.channels.announce("status", {"execution_state": "restarting"})
    assert tab.types() == [("iopub", "stream"), ("iopub", "status")]


def test_after_a_restart_with_another_key_all_goes_on(directory) -> None:
    kit = Kit(directory)
    tab = kit.tab("s")
    old = dict(kit.kernel.sockets)
    kit.channels.disconnect()
    kit.ask(tab, "execute_request")
    assert all(socket.closed for socket in old.values())
    kit.kernel = MemoryKernel(key=b"another")
    kit.channels._sockets_of_kernel.network = kit.kernel
    kit.channels.connect(kit.kernel.info)
    kit.kernel.answer_kernel_info()
    ((header, _, _),) = kit.kernel.heard("shell")
    assert header["msg_type"] == "execute_request"
    assert kit.channels.refused == {}


def test_connecting_twice_to_the_same_does_nothing(directory) -> None:
    kit = Kit(directory)
    before = dict(kit.kernel.sockets)
    kit.channels.connect(kit.kernel.info)
    assert kit.kernel.sockets == before


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


def test_tracebacks_are_hidden_where_the_operator_says_so(directory) -> None:
    kit = Kit(directory, policy=MessagePolicy(allow_tracebacks=False, traceback_replacement_message="hidden"))
    tab = kit.tab("s")
    header = kit.ask(tab, "execute_request")
    secret = {"ename": "E", "evalue": "secret", "traceback": ["secret"]}
    kit.kernel.say("error", secret, header)
    kit.kernel.reply("shell", "execute_reply", {**secret, "status": "error", "execution_count": 3}, header)
    shown = [orjson.loads(parts[3]) for _, parts in tab.got]
    assert shown[0] == {"ename": "ExecutionError", "evalue": "Execution error", "traceback": ["hidden"]}
    assert shown[1] == {**shown[0], "status": "error", "execution_count": 3}


def test_rate_limits_hold_back_and_tell_as_the_reference_does(directory) -> None:
    kit = Kit(directory, limit_rate=True, iopub_msg_rate_limit=10.0, rate_limit_window=1.0)
    tab = kit.tab("s")
    for _ in range(20):
        kit.kernel.say("display_data", {})
    types = tab.types()
    assert types == [("iopub", "display_data")] * 10 + [("iopub", "stream")]
    kit.kernel.say("status", {"execution_state": "idle"})
    kit.kernel.say("display_data", {})
    assert tab.types() == [("iopub", "status"), ("iopub", "display_data")]


def test_when_the_kernel_is_gone_tabs_are_closed_and_nothing_is_left(directory) -> None:
    kit = Kit(directory)
    tab, lagging = kit.tab("s"), kit.tab("l")
    lagging.blocked = True
    kit.kernel.say("stream", {})
    waiting = Deferred.fromCoroutine(kit.channels.request("x_request", {}, timeout=50))
    kit.channels.close("shut down")
    with pytest.raises(Gone):
        result_of(waiting)
    assert (tab.finished, lagging.finished) == (False, False)
    kit.clock.advance(LEAVE)
    assert (tab.finished, lagging.finished) == (True, False)
    kit.channels.detach(tab.cursor, tab, said_goodbye=False)
    lagging.blocked = False
    kit.channels.messages.pull(lagging.cursor)
    assert (len(lagging.got), lagging.finished) == (1, True)
    kit.channels.detach(lagging.cursor, lagging, said_goodbye=False)
    assert kit.clock.getDelayedCalls() == []
    assert not os.path.exists(os.path.join(directory, "spill"))
    kit.channels.close()


def test_tabs_that_leave_by_themselves_are_not_cut_off(directory) -> None:
    kit = Kit(directory)
    tab = kit.tab("s")
    kit.channels.close()
    kit.channels.detach(tab.cursor, tab, said_goodbye=True)
    kit.clock.advance(LEAVE)
    assert not tab.finished
    assert kit.clock.getDelayedCalls() == []


def test_who_does_not_read_the_last_words_is_closed_all_the_same(directory) -> None:
    kit = Kit(directory)
    tab = kit.tab("s")
    tab.blocked = True
    kit.kernel.say("stream", {})
    kit.channels.close()
    kit.clock.advance(31)
    assert tab.finished
    assert kit.clock.getDelayedCalls() == []


def test_a_kernel_of_protocol_4_is_spoken_with_in_its_version(directory) -> None:
    kit = Kit(directory, ready=False)
    tab = kit.tab("s")
    for header, data, _ in kit.kernel.heard("shell"):
        if header["msg_type"] == "kernel_info_request":
            kit.kernel.say("status", {"execution_state": "busy"}, data)
            kit.kernel.reply("shell", "kernel_info_reply", {"protocol_version": [4, 1]}, data)
    tab.types()
    request = {"msg_id": "m", "msg_type": "inspect_request", "session": "s", "version": "5.3"}
    content = {"code": "x", "cursor_pos": 1, "detail_level": 0}
    kit.channels.send(tab.cursor, "shell", [orjson.dumps(request), b"{}", b"{}", orjson.dumps(content)])
    asked = [each for each in kit.kernel.heard("shell") if each[0]["msg_id"] == "m"]
    ((header, data, content),) = asked
    assert (header["msg_type"], content["oname"]) == ("object_info_request", "x")
    old = [orjson.dumps({"msg_id": "o", "msg_type": "pyout"}), data, b"{}", b'{"data": {}}']
    kit.kernel.sockets["iopub"].received([[kit.kernel.signer.sign(old), *old]])
    assert tab.types() == [("iopub", "execute_result")]


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


def test_of_too_many_absent_sessions_the_one_that_left_first_gives_way(directory, monkeypatch) -> None:
    monkeypatch.setattr(places, "ABSENT", 1)
    kit = Kit(directory)
    first, second = kit.tab("first"), kit.tab("second")
    for tab in (second, first):
        kit.channels.detach(tab.cursor, tab, said_goodbye=False)
    kit.kernel.say("stream", {"text": "missed"})
    assert kit.tab("second").types() == []
    assert kit.tab("first").types() == [("iopub", "stream")]


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


def test_what_a_kernel_dropped_is_told_where_it_is_missing(directory) -> None:
    kit = Kit(directory)
    tab = kit.tab("s")
    header = kit.ask(tab, "execute_request", session="s")
    batch = []
    for number in [*range(500), *range(700, 702)]:
        said = orjson.dumps({"msg_id": f"k_1_{number}", "msg_type": "stream", "session": "k"})
        parts = [said, header, b"{}", b"{}"]
        batch.append([kit.kernel.signer.sign(parts), *parts])
    for begin in range(0, len(batch), 100):
        kit.kernel.sockets["iopub"].received(batch[begin : begin + 100])
    assert len(tab.got) == len(batch) + 1
    _, (_, parent, _, content) = tab.got[500]
    assert parent == header
    assert orjson.loads(content)["text"].startswith("[jupyterd] About 200 messages are missing here")


def test_requests_that_are_never_replied_to_do_not_add_up(directory, monkeypatch) -> None:
    monkeypatch.setattr("jupyterd.kernels.channels.client_requests.ASKERS", 3)
    kit = Kit(directory)
    tab = kit.tab("s")
    for number in range(10):
        kit.ask(tab, "execute_request", msg_id=f"m{number}")
    assert [msg_id for msg_id, _ in kit.channels.executing] == ["m7", "m8", "m9"]
