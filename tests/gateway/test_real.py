"""Kernels on a real gateway: another jupyterd, and the reference."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.cable import Cable
from tests.real.cells import await_text, run_cell, save, session, texts
from tests.real.daemon import (
    BIN,
    JUPYTERD,
    REFERENCE,
    TOKEN,
    Daemon,
    await_answer,
    common,
    free_port,
    running,
    spawn,
    until,
)
from tests.real.tab import V1, Message, Tab, of_type, parent_id, printed
from tests.supervision.addresses.test_tls import certificate

pytestmark = pytest.mark.real

QUICK = (
    "--GatewayClient.gateway_retry_interval=0.1",
    "--GatewayClient.gateway_retry_max=2",
    "--GatewayClient.poll_interval=0.5",
    "--OutputRecorder.closed_page_timeout=1",
)
ECHO = """
from ipykernel.comm import Comm
def opened(comm, message):
    buffers = [bytes(each)[::-1] for each in message["buffers"]]
    comm.send({"sizes": [len(each) for each in buffers]}, buffers=buffers)
get_ipython().kernel.comm_manager.register_target("echo", opened)
"""

FLOOD = """
import os, time
for part in range(3):
    while not os.path.exists(os.path.join({directory!r}, str(part))):
        time.sleep(0.01)
    for number in range(1000):
        print(part, number, sep="-")
"""


def pointing_to(port: int) -> list[str]:
    return [f"--gateway-url=http://127.0.0.1:{port}", f"--GatewayClient.auth_token={TOKEN}"]


@pytest.fixture(scope="module", params=[JUPYTERD, REFERENCE], ids=["jupyterd", "reference"])
def gateway(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    if not (BIN / request.param[0]).exists():
        pytest.skip("jupyter_server is not installed")
    with running(tmp_path_factory.mktemp("gateway"), argv=request.param) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def cable(gateway: Daemon) -> Iterator[Cable]:
    cable = Cable(gateway.port)
    yield cable
    cable.remove()


@pytest.fixture(scope="module")
def front(cable: Cable, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with running(tmp_path_factory.mktemp("front"), *pointing_to(cable.port), *QUICK) as front:
        yield front


@pytest.fixture
def kernel(front: Daemon) -> Iterator[str]:
    kernel = front.start_kernel()
    yield kernel
    front.ask("DELETE", f"/api/kernels/{kernel}")


def run(tab: Tab, code: str) -> str:
    return printed(tab.until_done(tab.execute(code)))


def state(message: Message) -> Any:
    return message["content"].get("execution_state")


# -- what clients do


def test_kernelspecs_and_their_logos_are_the_gateways(front: Daemon, gateway: Daemon) -> None:
    ours, theirs = (server.json("GET", "/api/kernelspecs") for server in (front, gateway))
    assert ours == theirs
    logo = ours["kernelspecs"]["python3"]["resources"]["logo-64x64"]
    answers = [server.ask("GET", logo) for server in (front, gateway)]
    assert [answer.status for answer in answers] == [200, 200]
    assert answers[0].body == answers[1].body
    assert front.ask("GET", "/api/kernelspecs/nope").status == 404
    assert front.ask("GET", "/kernelspecs/python3/nope.png").status == 404


def test_a_kernels_life(front: Daemon, gateway: Daemon, kernel: str) -> None:
    assert len(gateway.json("GET", "/api/kernels")) == 1
    for protocol in ("", V1):
        tab = Tab(front, kernel, protocol).ready()
        assert run(tab, "print('far away')") == "far away\n"
        tab.close()
    tab = Tab(front, kernel).ready()
    asking = tab.execute("print(input('who? '))", allow_stdin=True)
    request = tab.until(lambda message: message["header"]["msg_type"] == "input_request")[-1]
    assert request["content"]["prompt"] == "who? "
    tab.send("input_reply", {"value": "Ann"}, channel="stdin", parent=request["header"])
    assert printed(tab.until_done(asking)) == "Ann\n"
    busy = tab.execute("import time\nprint('busy', flush=True)\ntime.sleep(600)")
    tab.until(lambda message: message["header"]["msg_type"] == "stream")
    assert front.ask("POST", f"/api/kernels/{kernel}/interrupt").status == 204
    assert of_type(tab.until_done(busy), "execute_reply")[0]["content"]["ename"] == "KeyboardInterrupt"
    run(tab, "x = 1")
    assert front.ask("POST", f"/api/kernels/{kernel}/restart").status == 200
    assert run(tab, "print('x' in dir())") == "False\n"
    tab.close()
    assert front.ask("DELETE", f"/api/kernels/{kernel}").status == 204
    assert gateway.json("GET", "/api/kernels") == []
    assert front.ask("GET", f"/api/kernels/{kernel}").status == 404


def test_what_a_page_has_run_that_is_closed_is_in_the_file(front: Daemon, tmp_path: Path) -> None:
    go = tmp_path / "go"
    source = (
        f"import os, time\nprint('begun')\nwhile not os.path.exists({str(go)!r}):\n    time.sleep(0.05)\nprint('over')"
    )
    save(front, source, "6 * 7")
    kernel = session(front)
    tab = Tab(front, kernel)
    run_cell(tab, "c1", source)
    run_cell(tab, "c2", "6 * 7")
    await_text(tab, "c1")
    tab.close()
    executions = front.json("GET", f"/api/kernels/{kernel}/executions")["executions"]
    assert [(each["cell_id"], each["state"]) for each in executions] == [("c1", "running"), ("c2", "queued")]
    go.touch()
    until(lambda: texts(front.root / "a.ipynb")[1][0], 60, "not written")
    assert texts(front.root / "a.ipynb") == [(1, ["begun\nover\n"]), (2, ["42"])]
    (session_id,) = [each["id"] for each in front.json("GET", "/api/sessions") if each["path"] == "a.ipynb"]
    front.json("DELETE", f"/api/sessions/{session_id}")


def test_buffers_pass_both_ways(front: Daemon, kernel: str) -> None:
    tab = Tab(front, kernel, V1).ready()
    run(tab, ECHO)
    large = os.urandom(3_000_000)
    tab.send("comm_open", {"comm_id": "c", "target_name": "echo", "data": {}}, buffers=[b"abc", large])
    answer = tab.until(lambda message: message["header"]["msg_type"] == "comm_msg")[-1]
    assert answer["content"]["data"] == {"sizes": [3, 3_000_000]}
    assert [bytes(each) for each in answer["buffers"]] == [b"cba", large[::-1]]
    tab.close()


def test_a_session_has_a_kernel_there(front: Daemon, gateway: Daemon) -> None:
    wanted = {"path": "a.ipynb", "name": "a.ipynb", "type": "notebook", "kernel": {"name": "python3"}}
    session = front.json("POST", "/api/sessions", wanted)
    assert len(gateway.json("GET", "/api/kernels")) == 1
    assert front.json("POST", "/api/sessions", wanted)["id"] == session["id"]
    assert front.ask("DELETE", f"/api/sessions/{session['id']}").status == 204
    assert gateway.json("GET", "/api/kernels") == []


def test_a_kernel_that_dies_is_started_again_by_the_gateway(front: Daemon, kernel: str) -> None:
    tab = Tab(front, kernel).ready()
    tab.execute("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    messages = tab.until(lambda message: state(message) == "restarting")
    # A gateway that is jupyterd itself has told in the cell how the process ended.
    told = printed(messages)
    assert "The gateway has started the kernel again" in told or "was killed by SIGKILL" in told
    assert run(tab.ready(), "print('back')") == "back\n"
    assert front.json("GET", f"/api/kernels/{kernel}")["execution_state"] == "idle"
    tab.close()


def test_a_kernel_that_the_gateway_ends_is_dead_and_can_be_restarted(
    front: Daemon, gateway: Daemon, kernel: str
) -> None:
    tab = Tab(front, kernel).ready()
    (there,) = gateway.json("GET", "/api/kernels")
    assert gateway.ask("DELETE", f"/api/kernels/{there['id']}").status == 204
    tab.until(lambda message: state(message) == "dead")
    model = front.json("GET", f"/api/kernels/{kernel}")
    assert (model["execution_state"], "does not have" in model["reason"]) == ("dead", True)
    assert front.ask("POST", f"/api/kernels/{kernel}/restart").status == 200
    assert run(tab.ready(), "print('anew')") == "anew\n"
    tab.close()


# -- the way there


def test_what_is_said_and_sent_while_the_gateway_is_out_of_reach_is_not_lost(
    front: Daemon, cable: Cable, kernel: str
) -> None:
    tab = Tab(front, kernel).ready()
    running = tab.execute("import time\nfor n in range(20):\n    print(n, flush=True)\n    time.sleep(0.05)")
    tab.until(lambda message: message["header"]["msg_type"] == "stream")
    cable.refuses = True
    cable.cut()
    until(lambda: f"no connection to kernel {kernel}" in front.log)
    later = tab.execute("print('sent meanwhile')")
    until(lambda: f"kernel {kernel} is out of reach" in front.log)
    refused = front.ask("POST", f"/api/kernels/{kernel}/interrupt")
    assert (refused.status, "can not be reached" in refused.json["message"]) == (503, True)
    assert front.ask("POST", "/api/kernels", {"name": "python3"}).status == 503
    assert front.json("GET", "/api/kernels")[0]["id"] == kernel
    cable.refuses = False
    messages = tab.until(lambda message: parent_id(message) == later and state(message) == "idle")
    assert printed([each for each in messages if parent_id(each) == running]).split()[-1] == "19"
    assert printed([each for each in messages if parent_id(each) == later]) == "sent meanwhile\n"
    tab.close()


def test_a_flood_over_a_bad_line_is_complete_and_in_order(
    front: Daemon, gateway: Daemon, cable: Cable, kernel: str, tmp_path: Path
) -> None:
    """Each part is said while nobody is connected, or after: what a proxy has taken and lost nobody can know."""
    tab = Tab(front, kernel, V1).ready()
    flood = tab.execute(FLOOD.format(directory=str(tmp_path)))
    tab.until(lambda message: message["header"]["msg_type"] == "execute_input")
    got: list[Message] = []
    for part in range(3):
        cable.refuses = True
        cable.cut()
        until(lambda: gateway.json("GET", "/api/kernels")[0]["connections"] == 0)
        (tmp_path / str(part)).touch()
        cable.refuses = False
        got += tab.until(lambda message, last=f"{part}-999\n": last in message["content"].get("text", ""))  # type: ignore[misc]
    got += tab.until(lambda message: parent_id(message) == flood and state(message) == "idle")
    assert printed(got).split() == [f"{part}-{number}" for part in range(3) for number in range(1000)]
    tab.close()


def test_a_line_that_was_cut_is_there_again(front: Daemon, cable: Cable, kernel: str) -> None:
    tab = Tab(front, kernel).ready()
    cable.cut()
    until(lambda: f"no connection to kernel {kernel}" in front.log)
    assert run(tab, "print('on')") == "on\n"
    tab.close()


def test_what_a_dead_line_swallowed_is_an_error(front: Daemon, cable: Cable, kernel: str) -> None:
    tab = Tab(front, kernel).ready()
    cable.swallows = True
    swallowed = tab.execute("print('never')")
    assert front.ask("GET", "/api/status").status == 200
    cable.cut()
    cable.swallows = False
    messages = tab.until_done(swallowed)
    assert [each["content"]["ename"] for each in of_type(messages, "error")] == ["GatewayConnectionLost"]
    assert of_type(messages, "execute_reply")[0]["content"]["status"] == "error"
    assert run(tab, "print('and on')") == "and on\n"
    tab.close()


# -- beginnings and ends


def test_kernels_end_with_the_server_that_started_them(gateway: Daemon, tmp_path: Path) -> None:
    with running(tmp_path, *pointing_to(gateway.port)) as front:
        kernel = front.start_kernel()
        tab = Tab(front, kernel).ready()
        assert len(gateway.json("GET", "/api/kernels")) == 1
        assert front.stop(signal.SIGTERM) == 0
        tab.drop()
    assert gateway.json("GET", "/api/kernels") == []


@pytest.mark.parametrize("keeper", [True, False], ids=["keeper", "no-keeper"])
def test_a_gateway_that_is_started_again(tmp_path: Path, keeper: bool) -> None:
    """Its kernels are there as before; where it keeps none they are dead, and can be started again."""
    home, kept = tmp_path / "gateway", f"--ServerApp.keeper={keeper}"
    front_options = (*QUICK, f"--ServerApp.keeper={keeper}")
    with (
        running(home, kept) as first,
        running(tmp_path / "front", *pointing_to(first.port), *front_options) as front,
    ):
        tab = Tab(front, kernel := front.start_kernel()).ready()
        assert run(tab, "x = 6 * 7; print(x)") == "42\n"
        waiting = tab.execute("import time; time.sleep(3 if x else 0); print('over')")
        tab.until(lambda message: state(message) == "busy")
        first.process.kill()
        first.process.wait()
        second = spawn(home, [*common(home, first.port), kept])
        second.port = first.port
        try:
            await_answer(second)
            if keeper:
                assert printed(tab.until_done(waiting)) == "over\n"
                assert run(tab, "print(x)") == "42\n"
            else:
                messages = tab.until(lambda message: state(message) == "dead")
                assert "The gateway does not have the kernel any more" in printed(messages)
                assert front.ask("POST", f"/api/kernels/{kernel}/restart").status == 200
                assert run(tab.ready(), "print('again')") == "again\n"
            tab.close()
        finally:
            second.stop()


def test_tls_both_ways(tmp_path: Path) -> None:
    theirs, ours, other = (certificate(tmp_path, name) for name in ("localhost", "front", "other"))
    secure = [f"--certfile={theirs[0]}", f"--keyfile={theirs[1]}", f"--client-ca={ours[0]}"]
    gateway = spawn(tmp_path / "gateway", [*common(tmp_path / "gateway", port := free_port()), *secure])
    shown = [f"--GatewayClient.client_cert={ours[0]}", f"--GatewayClient.client_key={ours[1]}"]
    trusted, another = (f"--GatewayClient.ca_certs={each[0]}" for each in (theirs, other))
    unchecked = "--GatewayClient.validate_cert=False"

    def pointing(host: str) -> list[str]:
        return [f"--gateway-url=https://{host}:{port}", f"--GatewayClient.auth_token={TOKEN}"]

    try:
        until(lambda: "is running at" in gateway.log)
        with running(tmp_path / "front", *pointing("localhost"), *shown, trusted) as front:
            tab = Tab(front, front.start_kernel()).ready()
            assert run(tab, "print('secret')") == "secret\n"
            tab.close()
        with running(tmp_path / "front", *pointing("127.0.0.1"), *shown, unchecked) as front:
            tab = Tab(front, front.start_kernel()).ready()
            assert run(tab, "print('unchecked')") == "unchecked\n"
            tab.close()
        for wrong in (
            [*pointing("localhost"), trusted],  # shows no certificate
            [*pointing("localhost"), *shown, another],
            [*pointing("localhost"), *shown],
            [*pointing("127.0.0.1"), *shown, trusted],  # the certificate is of another name
        ):
            with running(tmp_path / "front", *wrong) as front:
                assert front.ask("GET", "/api/kernelspecs").status == 503
    finally:
        gateway.stop()


def test_a_gateway_behind_a_unix_socket(tmp_path: Path) -> None:
    sock = tmp_path / "Gate.sock"  # capitals: the host of a URL is not read so, a path is
    there = spawn(tmp_path / "there", [f"--sock={sock}", f"--IdentityProvider.token={TOKEN}"], JUPYTERD)
    there.sock = str(sock)
    try:
        await_answer(there)
        url = f"http+unix://{str(sock).replace('/', '%2F')}"
        options = (f"--gateway-url={url}", f"--GatewayClient.auth_token={TOKEN}", *QUICK)
        with running(tmp_path / "here", *options) as here:
            kernel = here.start_kernel()
            assert [each["id"] for each in there.json("GET", "/api/kernels")] == [kernel]
            for protocol in ("", V1):
                tab = Tab(here, kernel, protocol).ready()
                assert run(tab, "print('by a socket')") == "by a socket\n"
                tab.close()
            assert here.ask("POST", f"/api/kernels/{kernel}/interrupt").status == 204
            assert here.ask("POST", f"/api/kernels/{kernel}/restart").status == 200
            tab = Tab(here, kernel).ready()
            assert run(tab, "print('again')") == "again\n"
    finally:
        there.stop()
