"""Real ipykernels through the websocket, in both protocols."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import websocket

from tests.real.daemon import Daemon, running, until
from tests.real.tab import NEVER_DROPS, V1, Message, Tab, of_type, once, parent_id, printed

both = pytest.mark.parametrize("protocol", ["", V1], ids=["json", "v1"])


@pytest.fixture(scope="module")
def kernel(daemon: Daemon) -> str:
    return daemon.start_kernel()


@pytest.fixture
def tab(daemon: Daemon, kernel: str, protocol: str) -> Iterator[Tab]:
    tab = Tab(daemon, kernel, protocol).ready()
    yield tab
    tab.close()


@both
def test_executes(tab: Tab) -> None:
    messages = tab.until_done(tab.execute("print('hello'); 6 * 7"))
    assert printed(messages) == "hello\n"
    (result,) = of_type(messages, "execute_result")
    assert result["content"]["data"]["text/plain"] == "42"
    assert result["channel"] == "iopub"
    (reply,) = of_type(messages, "execute_reply")
    assert (reply["channel"], reply["content"]["status"]) == ("shell", "ok")
    states = [m["content"]["execution_state"] for m in of_type(messages, "status")]
    assert states == ["busy", "idle"]


@both
def test_an_error_comes_as_an_error(tab: Tab) -> None:
    messages = tab.until_done(tab.execute("1 / 0"))
    (error,) = of_type(messages, "error")
    assert error["content"]["ename"] == "ZeroDivisionError"
    assert of_type(messages, "execute_reply")[0]["content"]["status"] == "error"


@both
def test_a_question_is_answered(tab: Tab) -> None:
    asked = tab.execute("print('you said', input('say: '))", allow_stdin=True)
    question = tab.until(lambda m: m["channel"] == "stdin")[-1]
    assert question["content"]["prompt"] == "say: "
    tab.send("input_reply", {"value": "yes"}, "stdin", parent=question["header"])
    assert "you said yes" in printed(tab.until_done(asked))


@both
def test_an_interrupt_stops_the_cell(daemon: Daemon, kernel: str, tab: Tab) -> None:
    asked = tab.execute("print('on', flush=True)\nimport time\ntime.sleep(60)")
    tab.until(lambda m: parent_id(m) == asked and m["header"]["msg_type"] == "stream")
    assert daemon.ask("POST", f"/api/kernels/{kernel}/interrupt").status == 204
    (error,) = of_type(tab.until_done(asked, 20.0), "error")
    assert error["content"]["ename"] == "KeyboardInterrupt"


@both
def test_buffers_of_five_megabytes_both_ways(tab: Tab) -> None:
    code = """
from comm import get_comm_manager
def opened(comm, message):
    @comm.on_msg
    def said(message):
        comm.send({"size": len(message["buffers"][0])}, buffers=[message["buffers"][0], b"", b"end"])
get_comm_manager().register_target("echo", opened)
"""
    tab.until_done(tab.execute(code))
    tab.send("comm_open", {"comm_id": "c" + tab.session, "target_name": "echo", "data": {}})
    blob = os.urandom(5_000_000)
    asked = tab.send("comm_msg", {"comm_id": "c" + tab.session, "data": {}}, buffers=[blob])
    messages = tab.until(lambda m: parent_id(m) == asked and m["header"]["msg_type"] == "comm_msg")
    assert messages[-1]["content"]["data"] == {"size": len(blob)}
    assert messages[-1]["buffers"] == [blob, b"", b"end"]


@both
def test_a_flood_is_whole_and_in_order(tab: Tab) -> None:
    code = (
        f"{NEVER_DROPS}from IPython.display import display\nfor i in range(3000):\n"
        "    display({'text/plain': str(i)}, raw=True)\n"
    )
    shown = of_type(tab.until_done(tab.execute(code), 120.0), "display_data")
    assert [int(m["content"]["data"]["text/plain"]) for m in shown] == list(range(3000))


def test_two_tabs_see_the_same_outputs_and_their_own_replies(daemon: Daemon, kernel: str) -> None:
    one, two = Tab(daemon, kernel).ready(), Tab(daemon, kernel, V1).ready()
    asked = one.execute("print('for both')")
    mine = one.until_done(asked)
    theirs: list[Message] = two.until(lambda m: parent_id(m) == asked and m["content"].get("execution_state") == "idle")
    theirs = [m for m in theirs if parent_id(m) == asked]
    assert printed(mine) == printed(theirs) == "for both\n"
    assert of_type(mine, "execute_reply")
    assert not of_type(theirs, "execute_reply")
    one.close()
    two.close()


@both
def test_who_comes_back_finds_what_was_said(daemon: Daemon, kernel: str, protocol: str) -> None:
    """Dropped in the middle of a cell, back with the same session: nothing is missing, the reply neither."""
    tab = Tab(daemon, kernel, protocol).ready()
    code = "import time\nfor i in range(40):\n    print(i, flush=True)\n    time.sleep(0.05)"
    asked = tab.execute(code)
    before = tab.until(lambda m: parent_id(m) == asked and printed([m]) != "")
    tab.drop()
    until(lambda: daemon.json("GET", f"/api/kernels/{kernel}")["connections"] == 0)
    until(lambda: daemon.json("GET", f"/api/kernels/{kernel}")["execution_state"] == "idle")
    back = Tab(daemon, kernel, protocol, session=tab.session)
    after = back.until_done(asked, 20.0)
    text = printed([m for m in once([*before, *after]) if parent_id(m) == asked])
    assert text.split() == [str(i) for i in range(40)]
    back.close()


@both
def test_what_was_read_before_a_goodbye_does_not_come_again(daemon: Daemon, kernel: str, protocol: str) -> None:
    """A client that reconnects because of a message must not get that message again: JupyterLab would never stop."""
    tab = Tab(daemon, kernel, protocol).ready()
    for _ in range(5):
        first = tab.execute("print('once')")
        tab.until_done(first)
        tab.close()
        tab = Tab(daemon, kernel, protocol, session=tab.session)
        second = tab.execute("print('again')")
        heard = tab.until(
            lambda m, second=second: parent_id(m) == second and m["header"]["msg_type"] == "execute_reply"
        )
        assert first not in {parent_id(m) for m in heard}
    tab.close()


def test_an_open_tab_does_not_hold_the_daemon(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        tab = Tab(daemon, daemon.start_kernel()).ready()
        assert daemon.stop() == 0
        tab.drop()


def test_restart_keeps_the_tab_and_forgets_the_variables(daemon: Daemon) -> None:
    kernel = daemon.start_kernel()
    tab = Tab(daemon, kernel, V1).ready()
    tab.until_done(tab.execute("x = 1"))
    restarted = daemon.ask("POST", f"/api/kernels/{kernel}/restart")
    assert (restarted.status, restarted.json["id"]) == (200, kernel)
    tab.ready()
    (error,) = of_type(tab.until_done(tab.execute("x")), "error")
    assert error["content"]["ename"] == "NameError"
    tab.close()
    assert daemon.ask("DELETE", f"/api/kernels/{kernel}").status == 204


def test_a_killed_kernel_is_restarted_and_the_tab_told(daemon: Daemon) -> None:
    kernel = daemon.start_kernel()
    tab = Tab(daemon, kernel).ready()
    asked = tab.execute("import os; os.getpid()")
    (result,) = of_type(tab.until_done(asked), "execute_result")
    os.kill(int(result["content"]["data"]["text/plain"]), signal.SIGKILL)
    told = tab.until(lambda m: "restarting" in m["content"].get("execution_state", ""), 30.0)
    assert told
    tab.ready()
    assert of_type(tab.until_done(tab.execute("2 + 2")), "execute_result")
    tab.close()
    assert daemon.ask("DELETE", f"/api/kernels/{kernel}").status == 204


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
        ("import os; os._exit(3)", "exit code 3"),
    ],
)
def test_what_a_kernel_was_asked_when_it_died_gets_an_error_before_the_status(
    daemon: Daemon, code: str, why: str
) -> None:
    kernel = daemon.start_kernel()
    tab = Tab(daemon, kernel).ready()
    fatal, queued = tab.execute(code), tab.execute("'queued'")
    messages = tab.until(lambda m: m["content"].get("execution_state") == "restarting", 30.0)
    replies = {parent_id(m): m["content"] for m in messages if m["header"]["msg_type"] == "execute_reply"}
    assert [replies[asked]["status"] for asked in (fatal, queued)] == ["error", "error"]
    assert why in replies[fatal]["evalue"]
    idle = {parent_id(m) for m in messages if m["content"].get("execution_state") == "idle"}
    assert {fatal, queued} <= idle
    later = tab.execute("6 * 7")
    assert of_type(tab.until_done(later), "execute_result")
    tab.close()
    assert daemon.ask("DELETE", f"/api/kernels/{kernel}").status == 204


def test_what_a_kernel_replies_when_it_ends_by_itself_is_heard(daemon: Daemon) -> None:
    """``exit`` in a console: the reply is the kernel's own."""
    kernel = daemon.start_kernel()
    tab = Tab(daemon, kernel).ready()
    (reply,) = of_type(tab.until_done(tab.execute("exit")), "execute_reply")
    assert reply["content"]["status"] == "ok"
    tab.close()
    assert daemon.ask("DELETE", f"/api/kernels/{kernel}").status == 204


def test_kernels_and_terminals_know_nothing_of_the_service_manager(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        told = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "60000000", "LISTEN_PID": "1"}
        with running(tmp_path, **told, LISTEN_FDS="1", LISTEN_FDNAMES="x", LISTEN_PIDFDID="2") as daemon:
            assert manager.recv(1000).startswith(b"READY=1")
            tab = Tab(daemon, daemon.start_kernel()).ready()
            code = "import os; [name for name in os.environ if name.startswith(('NOTIFY', 'WATCHDOG', 'LISTEN'))]"
            (result,) = of_type(tab.until_done(tab.execute(code)), "execute_result")
            assert result["content"]["data"]["text/plain"] == "[]"
            tab.close()
            daemon.json("POST", "/api/terminals")
            for pid in daemon.children():
                environment = Path(f"/proc/{pid}/environ").read_bytes()
                assert b"NOTIFY_SOCKET" not in environment
                assert b"LISTEN_" not in environment
        assert manager.recv(1000) == b"STOPPING=1"


def test_open_websockets_are_closed_with_a_reason_when_it_stops(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        tab = Tab(daemon, daemon.start_kernel()).ready()
        begun = time.monotonic()
        daemon.process.send_signal(signal.SIGTERM)
        while (frame := tab.socket.recv_frame()).opcode != websocket.ABNF.OPCODE_CLOSE:
            pass
        assert int.from_bytes(frame.data[:2], "big") == 1001
        tab.socket.send_close()
        assert daemon.process.wait(20) == 0
        assert time.monotonic() - begun < 10
