"""A kernel's channels, against a kernel in memory: what each tab sends and sees."""

from __future__ import annotations

import orjson

from jupyterd.testing.kernel_sockets import MemoryKernel
from tests.kernels.channels.tabs import Kit


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
