"""The extension host with extensions that do all that the Jupyter Server allows, and much that nobody should."""

from __future__ import annotations

import json
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import websocket

from tests.real.daemon import TOKEN, Daemon, alive, running, until

pytestmark = pytest.mark.real

PACKAGES = Path(__file__).parent / "packages"
QUERY = f"token={TOKEN}"


def started(home: Path, *names: str, options: tuple[str, ...] = ()) -> Any:
    """A daemon with these extensions enabled."""
    (home / "config" / "jupyter_server_config.d").mkdir(parents=True)
    enabled = {"ServerApp": {"jpserver_extensions": dict.fromkeys(names, True)}}
    (home / "config" / "jupyter_server_config.d" / "trial.json").write_text(json.dumps(enabled))
    return running(home, *options, PYTHONPATH=str(PACKAGES), JUPYTER_NO_CONFIG="")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    names = ("trial", "bad_import", "bad_load", "bad_exit", "not_there")
    options = (
        f"--ServerApp.extension_host_memory_limit={400 << 20}",
        "--ServerApp.extra_services=extra_service",
        "--ServerApp.authorizer_class=judge.Judge",
        "--debug",
    )
    with started(tmp_path_factory.mktemp("host"), *names, options=options) as daemon:
        yield daemon


def host_of(daemon: Daemon) -> int:
    return int(daemon.json("GET", "/trial/echo")["pid"])


class Browser:
    """A client with a login cookie and no token."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        connection = daemon.connection()
        connection.request("GET", f"/trial/page?{QUERY}")
        response = connection.getresponse()
        self.page = response.read().decode()
        self.set = [value.partition(";")[0] for name, value in response.getheaders() if name.lower() == "set-cookie"]
        connection.close()

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Any:
        given = {"Cookie": "; ".join(self.set), **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self.daemon.ask(method, path, body, given, token="")


# -- requests


def test_the_first_request_waits_for_the_extension(daemon: Daemon) -> None:
    answer = daemon.ask("GET", "/trial/echo/a%2Fb?x=1&y=%20#f")
    assert answer.status == 200, answer.body
    told = answer.json
    assert told["uri"] == "/trial/echo/a%2Fb?x=1&y=%20#f"
    assert told["by_token"] is True
    assert told["stock"] is True  # a subclass of the installed Jupyter Server's own
    assert told["user"]
    assert told["ip"] == "127.0.0.1"
    assert (told["protocol"], told["base_url"], told["server_token"]) == ("http", "/", TOKEN)
    assert told["root"] == str(daemon.root)
    assert told["connection_url"] == f"http://127.0.0.1:{daemon.port}/"
    assert told["psutil"] == daemon.pid != told["pid"]


def test_no_header_of_the_daemons_reaches_a_handler_and_none_of_its_servers_a_client(daemon: Daemon) -> None:
    answer = daemon.ask(
        "GET", "/trial/echo", headers={"X-Jupyterd-Identity": "e30=", "X-Jupyterd-Mac": "0", "X-Mine": "1"}
    )
    names = {name.lower() for name in answer.json["headers"]}
    assert "x-mine" in names
    assert not {name for name in names if name.startswith("x-jupyterd")}
    got = {name.lower() for name in answer.headers}
    assert "access-control-allow-origin" not in got
    assert answer.headers["Server"] == "jupyterd"


def test_a_stranger_gets_nothing(daemon: Daemon) -> None:
    # Until then it is not known that this is a page.
    until(lambda: daemon.json("GET", "/api/extensions")["host"]["state"] == "ready", 60.0, "the host is not ready")
    assert daemon.ask("GET", "/trial/echo", token="").status == 403
    assert daemon.ask("POST", "/trial/echo", b"x", token="wrong").status == 403
    assert daemon.ask("GET", "/trial/stream", token="").status == 403
    answer = daemon.ask("GET", "/trial/page", token="")
    assert (answer.status, answer.headers["Location"]) == (302, "/login?next=%2Ftrial%2Fpage")


def test_the_authorizer_is_asked_for_the_resource_that_a_handler_names(daemon: Daemon) -> None:
    assert daemon.ask("GET", "/trial/echo").status == 200
    refused = daemon.ask("GET", "/trial/judged")
    assert (refused.status, refused.json["message"]) == (403, "User is not authorized to read on resource: forbidden.")


def test_extra_services(daemon: Daemon) -> None:
    assert daemon.json("GET", "/api/extra-service") == {"from": "an extra service"}
    assert daemon.ask("GET", "/api/extra-service", token="").status == 403


def test_the_hosts_own_socket_takes_no_request_that_is_not_signed(daemon: Daemon) -> None:
    host = host_of(daemon)
    lines = [line.split() for line in Path(f"/proc/{host}/net/unix").read_text().splitlines()[1:]]
    path = next(line[-1] for line in lines if line[-1].endswith("host.sock") and Path(line[-1]).exists())
    assert Path(path).stat().st_mode & 0o777 == 0o600
    assert Path(path).parent.stat().st_mode & 0o777 == 0o700
    with socket.socket(socket.AF_UNIX) as plain:
        plain.connect(path)
        plain.sendall(f"GET /trial/echo?{QUERY} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert plain.recv(100).startswith(b"HTTP/1.1 403")
    with socket.socket(socket.AF_UNIX) as plain:
        plain.connect(path.replace("host.sock", "daemon.sock"))
        plain.sendall(f"GET /api/contents?{QUERY} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert plain.recv(100).startswith(b"HTTP/1.1 403")


def test_forms_and_their_token(daemon: Daemon) -> None:
    browser = Browser(daemon)
    assert sum(each.startswith("_xsrf=") for each in browser.set) == 1
    token = re.search(r'name="_xsrf" value="([^"]+)"', browser.page)[1]  # type: ignore[index]
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    assert browser.ask("POST", "/trial/page", b"text=a", **form).status == 403
    taken = browser.ask("POST", "/trial/page", f"text=a&_xsrf={token}".encode(), **form)
    assert (taken.status, taken.body) == (200, b"took a")
    assert browser.ask("POST", "/trial/echo", b"1").status == 403
    assert browser.ask("POST", "/trial/echo", b"1", X_XSRFToken=token).status == 201


def test_a_handler_with_an_xsrf_check_of_its_own(daemon: Daemon) -> None:
    browser = Browser(daemon)
    assert browser.ask("POST", "/trial/own-xsrf", b"a=b").body == b"took it"
    here = f"http://127.0.0.1:{daemon.port}"
    assert browser.ask("POST", "/trial/own-xsrf", b"a=b", Origin=here).status == 200
    assert browser.ask("POST", "/trial/own-xsrf", b"a=b", Origin="http://evil.example").status == 404


def test_events_arrive_one_by_one(daemon: Daemon) -> None:
    connection = daemon.connection()
    connection.request("GET", f"/trial/stream?{QUERY}&count=3&pause=0.5")
    response = connection.getresponse()
    started = time.monotonic()
    assert response.readline() == b"data: 0\n"
    assert response.getheader("Content-Type") == "text/event-stream"
    first = time.monotonic() - started
    assert response.read().count(b"data:") == 2
    assert first < 0.45 < time.monotonic() - started


def test_neither_a_large_answer_nor_a_large_upload_is_held(daemon: Daemon) -> None:
    size = 150
    before = daemon.rss()
    connection = daemon.connection()
    connection.request("GET", f"/trial/big?{QUERY}&mb={size}")
    response = connection.getresponse()
    time.sleep(1.0)  # nobody reads
    most = daemon.rss()
    count = 0
    while block := response.read(1 << 20):
        count += len(block)
    assert count == size << 20
    connection.putrequest("PUT", f"/trial/upload?{QUERY}")
    connection.putheader("Content-Length", str(size << 20))
    connection.putheader("X-Pause", "0.002")
    connection.endheaders()
    for _ in range(size):
        connection.send(b"y" * (1 << 20))
        most = max(most, daemon.rss())
    assert connection.getresponse().read() == str(size << 20).encode()
    assert most - before < 60 << 20


def test_an_answer_that_never_ends_ends_with_its_client(daemon: Daemon) -> None:
    before, count = daemon.rss(), len(daemon.json("GET", "/trial/misdeed/ended"))
    connection = daemon.connection()
    connection.request("GET", f"/trial/misdeed/endless?{QUERY}")
    response = connection.getresponse()
    assert len(response.read(20 << 20)) == 20 << 20
    assert daemon.json("GET", "/trial/misdeed/ended")[count:] == []
    response.close()
    connection.close()
    until(lambda: daemon.json("GET", "/trial/misdeed/ended")[count:] == ["closed"])
    assert daemon.rss() - before < 40 << 20


def test_an_upload_in_chunks(daemon: Daemon) -> None:
    connection = daemon.connection()
    connection.request("PUT", f"/trial/upload?{QUERY}", iter([b"abc", b"defg"]), encode_chunked=True)
    assert connection.getresponse().read() == b"7"


# -- websockets


def connect(daemon: Daemon, path: str, **options: Any) -> websocket.WebSocket:
    return websocket.create_connection(f"ws://127.0.0.1:{daemon.port}{path}", timeout=30, **options)


def test_a_websocket_is_passed_through(daemon: Daemon) -> None:
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        connect(daemon, "/trial/ws")
    assert refused.value.status_code == 403
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        connect(daemon, f"/trial/ws?{QUERY}&refuse=1")
    assert refused.value.status_code == 418
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        connect(daemon, f"/trial/ws?{QUERY}", origin="http://evil.example")
    assert refused.value.status_code == 403
    client = connect(daemon, f"/trial/ws?{QUERY}&slow=1", subprotocols=["xyz", "abc"])
    assert client.subprotocol == "abc"
    large = bytes(range(256)) * 4096 * 3
    client.send_binary(large)
    assert client.recv() == large
    client.send("text")
    assert client.recv() == "text"
    client.send("close")
    opcode, data = client.recv_data()
    assert (opcode, int.from_bytes(data[:2], "big"), data[2:]) == (8, 4404, b"not here")
    client = connect(daemon, f"/trial/ws?{QUERY}", header=["Sec-WebSocket-Extensions: permessage-deflate"])
    assert client.getheaders()["sec-websocket-extensions"].startswith("permessage-deflate")  # the extension wants it
    client.shutdown()


# -- the managers


def test_kernels_are_known_at_once_and_started_with_their_environment(daemon: Daemon) -> None:
    kernel_id = daemon.start_kernel()
    told = daemon.json("GET", "/trial/kernels")
    assert told["ids"] == [kernel_id]
    assert told["count"] == 1
    assert told["models"][0]["name"] == "python3"
    daemon.ask("DELETE", f"/api/kernels/{kernel_id}")
    assert daemon.json("GET", "/trial/kernels")["ids"] == []
    code = "import os; print(os.environ['TRIAL'], 'JUPYTERD_EXTENSION_HOST' in os.environ)"
    done = daemon.json("POST", "/trial/kernels", {"env": {"TRIAL": "travels"}, "code": code})
    assert done == {"said": "travels False\n", "gone": True}
    assert daemon.json("GET", "/api/kernels") == []


def test_sessions_are_the_servers(daemon: Daemon) -> None:
    session = daemon.json("POST", "/api/sessions", {"path": "s.ipynb", "type": "notebook", "name": "", "kernel": {}})
    assert [each["id"] for each in daemon.json("GET", "/trial/kernels")["sessions"]] == [session["id"]]
    daemon.ask("DELETE", f"/api/sessions/{session['id']}")


def test_terminals_are_the_servers(daemon: Daemon) -> None:
    daemon.json("POST", "/api/terminals", {"name": "theirs"})
    told = daemon.json("GET", "/trial/terminals")
    assert told == {"before": ["theirs"], "made": "trial", "known": ["theirs", "trial"], "gone": 404}
    assert [each["name"] for each in daemon.json("GET", "/api/terminals")] == ["theirs"]
    daemon.ask("DELETE", "/api/terminals/theirs")


def test_contents_are_the_servers(daemon: Daemon) -> None:
    (daemon.root / "a b.txt").write_text("words")
    told = daemon.json("GET", "/trial/contents/a%20b.txt")
    assert told["model"]["content"] == "words"
    assert told["modified"] == "datetime"
    missing = daemon.json("GET", "/trial/contents/gone.txt")
    assert missing == {"error": "No such file or directory: gone.txt", "status": 404}
    notebook = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    daemon.json("PUT", "/api/contents/n.ipynb", {"type": "notebook", "content": notebook})
    assert daemon.json("GET", "/trial/contents/n.ipynb?format=json")["model"]["content"]["nbformat"] == 4
    put = daemon.json("PUT", "/trial/contents/new.txt")
    assert put == {"saved": "new.txt", "moved": "new.txt.moved", "exists": False, "kept": 1}
    assert (daemon.root / "new.txt.moved").read_text() == "by the extension"


def test_kernelspecs_settings_and_activity(daemon: Daemon) -> None:
    daemon.json("PUT", "/api/config/trial", {"a": 1})
    assert daemon.json("GET", "/trial/stores") == {"specs": ["python3"], "config": {"a": 1}}
    assert daemon.ask("GET", "/lab").status == 200  # the host is asked for what may have changed
    assert daemon.json("GET", "/api/status")["last_activity"].startswith("2099-01-01")


def test_events_pass_both_ways_and_once(daemon: Daemon) -> None:
    listener = connect(daemon, f"/api/events/subscribe?{QUERY}")
    before = len(daemon.json("GET", "/trial/events"))
    daemon.json("PUT", "/api/contents/e.txt", {"type": "file", "format": "text", "content": ""})
    saved = daemon.json("GET", "/trial/events")[before:]
    told = [event["data"]["action"] for event in saved if event["data"].get("path") == "e.txt"]
    assert told.count("save") == 1
    event = {"schema_id": "https://trial.example/said/v1", "version": "1", "data": {"words": "from a client"}}
    assert daemon.ask("POST", "/api/events", event).status == 204
    assert daemon.ask("POST", "/api/events", {**event, "data": {"words": 1}}).status == 400
    daemon.json("POST", "/trial/events")
    words = []
    while len(words) < 2:
        heard = json.loads(listener.recv())
        if heard["schema_id"] == "https://trial.example/said/v1":
            words.append(heard["words"])
    assert words == ["from a client", "from the extension"]
    heard_there = [event["data"]["words"] for event in daemon.json("GET", "/trial/events") if "words" in event["data"]]
    assert heard_there == ["from a client", "from the extension"]
    daemon.json("PUT", "/trial/contents/once.txt")
    actions = [
        event["data"] for event in daemon.json("GET", "/trial/events") if event["data"].get("path") == "once.txt"
    ]
    assert [data["action"] for data in actions].count("save") == 1


def test_the_page_of_a_front_end_holds_what_an_extension_tells_it(daemon: Daemon) -> None:
    assert '"trialWord": "from the trial"' in daemon.ask("GET", "/lab").body.decode()


# -- what goes wrong


def test_what_an_extension_may_not_answer(daemon: Daemon) -> None:
    assert daemon.ask("GET", "/no/such/page").status == 404
    assert daemon.ask("GET", "/api/contents/x/stolen").status == 404
    assert b"<form" in daemon.ask("GET", "/login", token="").body
    for words in ("it matches everything", "the server's own routes there can not be taken"):
        assert words in daemon.log


def test_broken_extensions_are_told_of_by_name(daemon: Daemon) -> None:
    daemon.json("GET", "/trial/echo")
    for name in ("bad_import", "bad_load", "bad_exit"):
        assert f"the server extension {name} does not work" in daemon.log
    assert "The server extension not_there is enabled, but not installed." in daemon.log
    assert "loaded by print" in daemon.log


def test_an_extension_that_blocks_costs_the_server_nothing(daemon: Daemon) -> None:
    connection = daemon.connection()
    connection.request("GET", f"/trial/misdeed/block?{QUERY}&seconds=7")
    times = []
    for _ in range(60):
        started = time.monotonic()
        assert daemon.ask("GET", "/api/status?no_track_activity=1", timeout=10).status in (200, 0)
        times.append(time.monotonic() - started)
        if len(times) == 1:
            assert times[0] < 6
        time.sleep(0.05)
        if sum(times) > 6:
            break
    assert connection.getresponse().status == 200
    until(lambda: "the server extension trial has blocked the extension host" in daemon.log)
    assert "time.sleep" in daemon.log


def test_odd_answers(daemon: Daemon) -> None:
    assert daemon.ask("GET", "/trial/misdeed/raise").status == 500
    assert daemon.ask("GET", "/trial/misdeed/header?bytes=1000").status == 200
    answer = daemon.ask("GET", "/trial/misdeed/header?bytes=1000000")
    assert answer.status == 502
    assert b"the head of the answer has more than" in answer.body
    before = daemon.rss()
    assert daemon.ask("GET", "/trial/misdeed/heads").status == 502  # a gigabyte
    assert daemon.rss() - before < 20 << 20
    daemon.ask("GET", "/trial/misdeed/print")
    until(lambda: "printed by an extension" in daemon.log)


def test_no_signature_is_in_the_log(daemon: Daemon) -> None:
    daemon.ask("GET", "/trial/misdeed/raise")  # the Jupyter Server logs the headers of such a request
    until(lambda: "on purpose" in daemon.log)
    assert not re.search("x-jupyterd|[0-9a-f]{64}", daemon.log, re.IGNORECASE)


def test_it_is_started_anew_with_other_extensions_and_when_somebody_asks(daemon: Daemon) -> None:
    first = host_of(daemon)
    enabled = daemon.home / "config" / "jupyter_server_config.d" / "trial.json"
    told = json.loads(enabled.read_text())
    told["ServerApp"]["jpserver_extensions"]["bad_load"] = False
    enabled.write_text(json.dumps(told))
    daemon.process.send_signal(signal.SIGHUP)
    until(lambda: daemon.json("GET", "/api/extensions")["host"]["pid"] != first)
    second = host_of(daemon)
    how = {each["name"]: each["how"] for each in daemon.json("GET", "/api/extensions")["extensions"]}
    assert (how["trial"], how["bad_load"]) == ("host", "off")
    daemon.json("PUT", "/api/contents/between.txt", {"type": "file", "format": "text", "content": ""})  # an event
    assert daemon.ask("POST", "/api/extensions/restart").status == 202
    assert host_of(daemon) != second  # who asks meanwhile waits, and not for what the second was told


def test_routes_that_are_added_later(daemon: Daemon) -> None:
    assert daemon.ask("GET", "/later/x").status == 404
    daemon.json("GET", "/trial/misdeed/routes")
    until(lambda: daemon.ask("GET", "/later/x").status == 200)


@pytest.mark.parametrize("how", ["exit", "everything", "half", "grow?mb=400"])
def test_a_host_that_ends_is_started_again(daemon: Daemon, how: str) -> None:
    daemon.ask("POST", "/api/extensions/restart")  # the ends before this one are forgotten, and with them the delay
    before = host_of(daemon)
    sleeper, fork = daemon.json("GET", "/trial/misdeed/child"), daemon.json("GET", "/trial/misdeed/fork")
    kernel_id = daemon.start_kernel()
    try:
        answer = daemon.ask("GET", f"/trial/misdeed/{how}", timeout=30)
        assert answer.status in (200, 502)
    except OSError:
        assert how == "half"  # its head had been sent
    assert daemon.ask("GET", "/api").status == 200

    def again() -> bool:
        answer = daemon.ask("GET", "/trial/echo")
        return answer.status == 200 and answer.json["pid"] != before

    until(again, 60)
    assert not alive(before)
    until(lambda: not alive(sleeper) and not alive(fork))
    assert [kernel["id"] for kernel in daemon.json("GET", "/api/kernels")] == [kernel_id]
    assert daemon.json("GET", "/trial/kernels")["ids"] == [kernel_id]
    daemon.ask("DELETE", f"/api/kernels/{kernel_id}")
    assert "the extension host is gone" in daemon.log
    assert not how.startswith("grow") or "extension_host_memory_limit is" in daemon.log


def test_an_extension_that_stops_the_server(tmp_path: Path) -> None:
    with started(tmp_path, "trial") as daemon:
        host = host_of(daemon)
        daemon.ask("GET", "/trial/misdeed/stop")
        assert daemon.process.wait(60) == 0
        assert not alive(host)


def test_what_never_loads_is_left_out(tmp_path: Path) -> None:
    """Each step of a start may take eight seconds: on a busy machine the host tries more often."""
    options = ("--ServerApp.extension_host_start_timeout=8",)
    with started(tmp_path, "trial", "bad_loop", "bad_death", options=options) as daemon:
        assert daemon.ask("GET", "/api").status == 200
        until(lambda: excluded_by(daemon) == {"bad_loop", "bad_death"}, 150)
        until(lambda: daemon.ask("GET", "/trial/echo", timeout=100).status == 200, 60)
        assert "the server extension bad_death is left out" in daemon.log
        assert "the server extension bad_loop is left out" in daemon.log
        host, sleeper = host_of(daemon), daemon.json("GET", "/trial/misdeed/child")
        daemon.stop()
        until(lambda: not alive(host) and not alive(sleeper))


def excluded_by(daemon: Daemon) -> set[str]:
    time.sleep(0.2)
    told = daemon.json("GET", "/api/extensions")["extensions"]
    return {each["name"] for each in told if each["how"] == "excluded"}


def answers(daemon: Daemon) -> bool:
    try:
        return daemon.ask("GET", "/api").status == 200
    except OSError:
        return False


def test_the_end_while_an_extension_is_loaded(tmp_path: Path) -> None:
    """What asks the host to end is in its pipe while an extension is imported."""
    with started(tmp_path, "bad_wait", "trial") as daemon:
        until(lambda: daemon.json("GET", "/api/extensions")["host"]["loading"] == "bad_wait")
        (host,) = daemon.children()
        daemon.process.terminate()
        until(lambda: not answers(daemon))
        time.sleep(0.5)
        (daemon.root / "go").touch()
        assert daemon.process.wait(20) == 0
        assert not alive(host)


def test_without_extensions_there_is_no_host(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        assert daemon.ask("GET", "/api/contents").status == 200
        assert daemon.children() == set()
        assert daemon.ask("GET", "/trial/echo").status == 404


def test_the_host_can_be_switched_off(tmp_path: Path) -> None:
    with started(tmp_path, "trial", options=("--ServerApp.extension_host=False",)) as daemon:
        assert daemon.ask("GET", "/trial/echo").status == 404
        assert daemon.children() == set()
        assert "trial is enabled, but ServerApp.extension_host is off" in daemon.log


def test_the_host_ends_with_a_killed_daemon(tmp_path: Path) -> None:
    with started(tmp_path, "trial") as daemon:
        host, sleeper = host_of(daemon), daemon.json("GET", "/trial/misdeed/child")
        daemon.stop(signal.SIGKILL)
        until(lambda: not alive(host), 15)
        until(lambda: not alive(sleeper), 15)
