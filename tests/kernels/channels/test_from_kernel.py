"""Messages from a kernel: verified, counted, its state and activity read from them."""

from __future__ import annotations

import orjson

from jupyterd.kernels.channels.policy import MessagePolicy
from jupyterd.testing.kernel_sockets import MemoryKernel
from tests.kernels.channels.tabs import Kit


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
