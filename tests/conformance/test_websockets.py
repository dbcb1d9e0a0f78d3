"""The websockets beside the reference: what a tab is told, in which order, and how it ends."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import websocket

from tests.conformance.servers import Pair, Server
from tests.real.daemon import TOKEN
from tests.real.tab import V1, Message, Tab, parent_id

PROTOCOLS = pytest.mark.parametrize("protocol", ["", V1], ids=["json", "v1"])
UNKNOWN = "00000000-0000-0000-0000-000000000000"
VOLATILE = ("traceback", "comm_id", "payload", "engine_info", "execution_count")
"""What of a content is another one each time."""


@pytest.fixture(scope="module")
def kernels(both: Pair) -> Iterator[dict[int, str]]:
    """A kernel on each server."""
    started = {id(server): server.daemon.start_kernel() for server in both}
    for server in both:
        Tab(server.daemon, started[id(server)]).ready().close()
    yield started
    for server in both:
        server.daemon.ask("DELETE", f"/api/kernels/{started[id(server)]}")


def on_both(both: Pair, do: Callable[[Server], Any]) -> Any:
    """The same on both servers, with the same outcome, which is returned.

    The reference is asked again where it differs: now and then it never finishes opening a websocket, or loses what a
    kernel says just after.
    """
    ours = do(both.ours)
    theirs = None
    for _ in range(3):
        with suppress(websocket.WebSocketTimeoutException):
            theirs = do(both.theirs)
        if theirs == ours:
            break
    assert ours == theirs
    return ours


def plain(message: Message) -> tuple[Any, ...]:
    """What of a message compares."""
    content = {k: v for k, v in message["content"].items() if k not in VOLATILE}
    if message["header"]["msg_type"] == "kernel_info_reply":
        content = {"status": content["status"]}
    kept = {k: v for k, v in message["metadata"].items() if k not in ("started", "engine")}
    shape = sorted(key for key in message if key not in ("msg_id", "msg_type"))
    return message["channel"], message["header"]["msg_type"], content, kept, shape, [len(b) for b in message["buffers"]]


def joined(messages: list[Message]) -> list[Message]:
    """Text that a kernel printed in one go counts as one message: where it cuts is a matter of its clock."""
    whole: list[Message] = []
    for message in messages:
        before = whole[-1] if whole else None
        if before is not None and is_continued(before, message):
            text = before["content"]["text"] + message["content"]["text"]
            whole[-1] = {**before, "content": {**before["content"], "text": text}}
        else:
            whole.append(message)
    return whole


def is_continued(before: Message, message: Message) -> bool:
    """Whether ``message`` goes on with the stream of the message before it."""
    return (
        before["header"]["msg_type"] == message["header"]["msg_type"] == "stream"
        and before["content"]["name"] == message["content"]["name"]
        and parent_id(before) == parent_id(message)
    )


def by_channel(messages: list[Message]) -> dict[str, list[tuple[Any, ...]]]:
    """Order is promised within a channel alone."""
    found: dict[str, list[Message]] = {}
    for message in messages:
        found.setdefault(message["channel"], []).append(message)
    return {channel: [plain(m) for m in joined(told)] for channel, told in found.items()}


CODE = {
    "prints": "print('one'); import sys; print('two', file=sys.stderr)",
    "a value": "6 * 7",
    "an error": "1 / 0",
    "a syntax error": "def",
    "nothing": "",
    "a display that is updated": "h = display('a', display_id='x'); h.update('b')",
    "output that is cleared": "from IPython.display import clear_output; print(1); clear_output(wait=True); print(2)",
    "unicode": "print('caf\u00e9 \u4e2d \U0001f600 \\ud83d'.encode('utf-8', 'replace').decode())",
    "a comm with buffers": "from comm import create_comm; c = create_comm('t', data={'a': 1}, buffers=[b'123', b''])",
}


@PROTOCOLS
@pytest.mark.parametrize("code", CODE.values(), ids=CODE)
def test_a_cell(both: Pair, kernels: dict[int, str], protocol: str, code: str) -> None:
    def do(server: Server) -> Any:
        tab = Tab(server.daemon, kernels[id(server)], protocol)
        tab.until_done(tab.execute("%reset -f"))
        count = "get_ipython().execution_count = 5"
        tab.until_done(tab.execute(count, store_history=False))
        told = by_channel(tab.until_done(tab.execute(code, store_history=False)))
        tab.close()
        return told

    on_both(both, do)


@PROTOCOLS
def test_stdin(both: Pair, kernels: dict[int, str], protocol: str) -> None:
    def do(server: Server) -> Any:
        tab = Tab(server.daemon, kernels[id(server)], protocol)
        asked = tab.execute("input('who? ')", allow_stdin=True, store_history=False)
        before = tab.until(lambda m: m["header"]["msg_type"] == "input_request")
        tab.send("input_reply", {"status": "ok", "value": "me"}, "stdin", parent=before[-1]["header"])
        after = tab.until_done(asked)
        tab.close()
        return by_channel([m for m in before if parent_id(m) == asked] + after)

    on_both(both, do)


REQUESTS: dict[str, tuple[str, dict[str, Any], str]] = {
    "kernel info": ("kernel_info_request", {}, "shell"),
    "kernel info on control": ("kernel_info_request", {}, "control"),
    "completion": ("complete_request", {"code": "imp", "cursor_pos": 3}, "shell"),
    "completeness": ("is_complete_request", {"code": "for x in y:"}, "shell"),
    "comms": ("comm_info_request", {"target_name": "nothing"}, "shell"),
    "debugger": ("debug_request", {"seq": 1, "type": "request", "command": "nonsense"}, "control"),
}


@PROTOCOLS
@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_a_request(
    both: Pair, kernels: dict[int, str], protocol: str, request_: tuple[str, dict[str, Any], str]
) -> None:
    def do(server: Server) -> Any:
        tab = Tab(server.daemon, kernels[id(server)], protocol)
        msg_type, content, channel = request_
        answer = tab.until_done(tab.send(msg_type, content, channel))
        tab.close()
        return by_channel(answer)

    on_both(both, do)


@PROTOCOLS
def test_the_other_tab_hears_iopub_alone(both: Pair, kernels: dict[int, str], protocol: str) -> None:
    def do(server: Server) -> Any:
        one, two = (Tab(server.daemon, kernels[id(server)], protocol) for _ in range(2))
        asked = one.execute("print('to all')", store_history=False)
        one.until_done(asked)
        heard = two.until(lambda m: parent_id(m) == asked and m["content"].get("execution_state") == "idle")
        one.close()
        two.close()
        return [plain(m) for m in joined([m for m in heard if parent_id(m) == asked])]

    assert {channel for channel, *_ in on_both(both, do)} == {"iopub"}


@PROTOCOLS
@pytest.mark.parametrize("same", [True, False], ids=["the same session", "another session"])
def test_a_tab_that_comes_back(both: Pair, kernels: dict[int, str], protocol: str, same: bool) -> None:
    """With its session it is told what it missed; with another it is not."""

    def do(server: Server) -> Any:
        tab = Tab(server.daemon, kernels[id(server)], protocol)
        asked = tab.execute("import time; time.sleep(1); print('late')", store_history=False)
        tab.until(lambda m: m["header"]["msg_type"] == "execute_input" and parent_id(m) == asked)
        tab.close()
        time.sleep(2)
        again = Tab(server.daemon, kernels[id(server)], protocol, tab.session if same else None)
        mine = again.send("kernel_info_request", {})
        heard = again.until(lambda m: parent_id(m) == mine and m["header"]["msg_type"] == "kernel_info_reply")
        again.close()
        return sorted(plain(m)[:2] for m in heard if parent_id(m) == asked)

    told = on_both(both, do)
    assert bool(told) is same


def frame(protocol: str, channel: str) -> bytes | str:
    header = {
        "msg_id": "m",
        "msg_type": "kernel_info_request",
        "session": "s",
        "username": "",
        "version": "5.3",
        "date": "",
    }
    if not protocol:
        return json.dumps({"channel": channel, "header": header, "parent_header": {}, "metadata": {}, "content": {}})
    parts = [channel.encode(), json.dumps(header).encode(), b"{}", b"{}", b"{}"]
    offsets = [8 * (len(parts) + 2)]
    for part in parts:
        offsets.append(offsets[-1] + len(part))
    return struct.pack(f"<{len(offsets) + 1}Q", len(offsets), *offsets) + b"".join(parts)


GARBAGE: list[tuple[str, str, bytes | str]] = [
    ("an unknown channel", "", frame("", "nonsense")),
    ("an unknown channel on v1", V1, frame(V1, "nonsense")),
    ("iopub", "", frame("", "iopub")),
    ("iopub on v1", V1, frame(V1, "iopub")),
    ("no JSON", "", "{not json"),
    ("a list", "", "[]"),
    ("empty", "", ""),
    ("binary garbage", "", b"\xff" * 40),
    ("text on v1", V1, "hello"),
    ("empty on v1", V1, b""),
    ("garbage on v1", V1, b"\x00" * 7),
]


@pytest.mark.parametrize(("name", "protocol", "data"), GARBAGE, ids=[name for name, _, _ in GARBAGE])
def test_garbage(both: Pair, kernels: dict[int, str], name: str, protocol: str, data: Any) -> None:
    """Both ignore a channel that they do not know, and cut off who sends what is no message at all."""

    def do(server: Server) -> Any:
        tab = Tab(server.daemon, kernels[id(server)], protocol)
        (tab.socket.send_binary if isinstance(data, bytes) else tab.socket.send)(data)
        try:
            told = tab.until_done(tab.execute("1", store_history=False), 15.0)
        except (ConnectionError, websocket.WebSocketConnectionClosedException):
            return "cut off"
        tab.close()
        return [plain(m)[:2] for m in told if m["channel"] == "iopub"]

    assert (on_both(both, do) == "cut off") is ("channel" not in name and "iopub" not in name)


def handshake(server: Server, path: str, **options: Any) -> Any:
    """Status and headers of a handshake."""
    try:
        made = websocket.create_connection(
            f"ws://localhost:{server.daemon.port}{path}",
            **{"header": [f"Authorization: token {TOKEN}"], "suppress_origin": True, "timeout": 20, **options},
        )
    except websocket.WebSocketBadStatusException as refused:
        return refused.status_code, None
    except websocket.WebSocketException:
        return "no subprotocol that the client knows", None
    protocol = made.getsubprotocol()
    extensions = made.getheaders().get("sec-websocket-extensions")
    made.close()
    return 101, protocol, extensions


HANDSHAKES: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("/channels", {}),
    "v1": ("/channels", {"subprotocols": [V1]}),
    "unknown subprotocol": ("/channels", {"subprotocols": ["nonsense"]}),
    "v1 among others": ("/channels", {"subprotocols": ["nonsense", V1]}),
    "no token": ("/channels", {"header": []}),
    "wrong token": ("/channels", {"header": ["Authorization: token wrong"]}),
    "token in the query": (f"/channels?token={TOKEN}", {"header": []}),
    "foreign origin with a token": ("/channels", {"suppress_origin": False, "origin": "http://evil.example"}),
    "foreign origin without": ("/channels", {"header": [], "suppress_origin": False, "origin": "http://evil.example"}),
    "null origin": ("/channels", {"suppress_origin": False, "origin": "null"}),
    "session": ("/channels?session_id=", {}),
}


@pytest.mark.parametrize(("path", "options"), HANDSHAKES.values(), ids=HANDSHAKES)
def test_a_handshake(both: Pair, kernels: dict[int, str], path: str, options: dict[str, Any]) -> None:
    on_both(both, lambda server: handshake(server, f"/api/kernels/{kernels[id(server)]}{path}", **options))


@pytest.mark.parametrize(
    "path",
    [
        f"/api/kernels/{UNKNOWN}/channels",
        "/terminals/websocket/nothing",
        "/api/events/subscribe",
        "/api/kernels",
        "/nothing",
    ],
)
def test_other_handshakes(both: Pair, path: str) -> None:
    on_both(both, lambda server: handshake(server, path))


def test_interrupt(both: Pair, kernels: dict[int, str]) -> None:
    def do(server: Server) -> Any:
        tab = Tab(server.daemon, kernels[id(server)])
        asked = tab.execute("import time\nprint('go')\ntime.sleep(60)", store_history=False)
        tab.until(lambda m: m["header"]["msg_type"] == "stream")
        assert server.daemon.ask("POST", f"/api/kernels/{kernels[id(server)]}/interrupt").status == 204
        told = tab.until_done(asked)
        tab.close()
        return [plain(m)[:2] for m in told if m["channel"] == "iopub"], sorted(
            str(m["content"].get("ename")) for m in told
        )

    on_both(both, do)


@PROTOCOLS
def test_restart(both: Pair, kernels: dict[int, str], protocol: str) -> None:
    """The tab stays, hears of the restart, and works on."""

    def do(server: Server) -> Any:
        tab = Tab(server.daemon, kernels[id(server)], protocol)
        tab.until_done(tab.execute("x = 1", store_history=False))
        answer = server.daemon.ask("POST", f"/api/kernels/{kernels[id(server)]}/restart")
        tab.close()
        again = Tab(server.daemon, kernels[id(server)], protocol, tab.session).ready()
        told = again.until_done(again.execute("x", store_history=False))
        again.close()
        return answer.status, sorted(answer.json), [m["content"].get("ename") for m in told if "ename" in m["content"]]

    on_both(both, do)


def test_a_kernel_that_is_shut_down(both: Pair) -> None:
    """Both tell the last of it; then jupyterd closes the tab, which the reference leaves open for nothing."""

    def do(server: Server) -> Any:
        kernel = server.daemon.start_kernel()
        tab = Tab(server.daemon, kernel).ready()
        assert server.daemon.ask("DELETE", f"/api/kernels/{kernel}").status == 204
        tab.until(lambda m: m["header"]["msg_type"] == "shutdown_reply")
        return tab

    assert closing(do(both.ours).socket) is None
    do(both.theirs).close()


def closing(socket: websocket.WebSocket, patience: float = 15.0) -> Any:
    """Read to the end; the close frame's code."""
    socket.settimeout(patience)
    while True:
        opcode, data = socket.recv_data()
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            return struct.unpack("!H", data[:2])[0] if len(data) >= 2 else None


def terminal(server: Server, name: str) -> websocket.WebSocket:
    return websocket.create_connection(
        f"ws://localhost:{server.daemon.port}/terminals/websocket/{name}",
        header=[f"Authorization: token {TOKEN}"],
        suppress_origin=True,
        timeout=20,
    )


def until_text(socket: websocket.WebSocket, text: str) -> list[Any]:
    """All messages until ``text`` has been printed."""
    messages, printed, deadline = [], "", time.monotonic() + 20
    while text not in printed:
        assert time.monotonic() < deadline, printed
        messages.append(json.loads(socket.recv()))
        if messages[-1][0] == "stdout":
            printed += messages[-1][1]
    return messages


def test_a_terminal(both: Pair) -> None:
    """The first message, the kinds of the others, what a second tab sees, and the end of the shell."""

    def do(server: Server) -> Any:
        name = server.daemon.json("POST", "/api/terminals")["name"]
        one = terminal(server, name)
        first = json.loads(one.recv())
        one.send(json.dumps(["set_size", 24, 80]))
        one.send(json.dumps(["stdin", "echo $((40 + 2)) $COLUMNS-$TERM\r"]))
        told = until_text(one, "42 80-xterm")
        two = terminal(server, name)
        later = until_text(two, "42 80-xterm")
        one.send(json.dumps(["stdin", "echo $((50 + 3))\r"]))
        until_text(one, "53")
        one.send(json.dumps(["stdin", "exit\r"]))
        last = []
        try:
            while True:
                opcode, data = one.recv_data()
                if opcode == websocket.ABNF.OPCODE_CLOSE:
                    assert data[:2] in (b"", b"\x03\xe8")  # no code, or that of a normal end
                    break
                last.append(json.loads(data)[0])
        except websocket.WebSocketConnectionClosedException:
            last.append("cut")
        return first, {m[0] for m in told}, later[0], [x for x in last if x != "stdout"]

    on_both(both, do)


def test_events(both: Pair) -> None:
    """What is told of a save, a move and a deletion: the same keys and values.

    When the reference tells that it read a file, to answer with its model, is not compared.
    """

    def do(server: Server) -> Any:
        socket = websocket.create_connection(
            f"ws://localhost:{server.daemon.port}/api/events/subscribe",
            header=[f"Authorization: token {TOKEN}"],
            suppress_origin=True,
            timeout=20,
        )
        time.sleep(0.5)
        model = {"type": "file", "format": "text", "content": "x"}
        server.daemon.json("PUT", "/api/contents/told.txt", model)
        server.daemon.json("PATCH", "/api/contents/told.txt", {"path": "told2.txt"})
        server.daemon.ask("DELETE", "/api/contents/told2.txt")
        heard = []
        while not heard or heard[-1].get("action") != "delete":
            heard.append(json.loads(socket.recv()))
        socket.close()
        kept = [{k: v for k, v in event.items() if k != "__timestamp__"} for event in heard]
        return sorted(heard[0]), [event for event in kept if event["action"] != "get"]

    on_both(both, do)
