"""Bad input: the status and the JSON are the reference's, compared live; nothing is leaked and nothing dies."""

from __future__ import annotations

import json
import re
import struct
from typing import Any

import pytest
import websocket

from tests.real.daemon import TOKEN, Daemon, until
from tests.real.tab import V1, Tab, of_type

NOBODY = "00000000-0000-0000-0000-000000000000"
REQUESTS: list[tuple[str, str, Any]] = [
    ("GET", f"/api/kernels/{NOBODY}", None),
    ("DELETE", f"/api/kernels/{NOBODY}", None),
    ("POST", f"/api/kernels/{NOBODY}/interrupt", None),
    ("POST", f"/api/kernels/{NOBODY}/restart", None),
    ("POST", f"/api/kernels/{NOBODY}/dance", None),
    ("GET", "/api/kernels/not-a-kernel!", None),
    ("POST", "/api/kernels", b"{not json"),
    ("POST", "/api/kernels", b"\xff\xfe"),
    ("POST", "/api/kernels", {"name": "no-such-kernelspec"}),
    ("PUT", "/api/kernels", {}),
    ("GET", "/api/kernelspecs/no-such-kernelspec", None),
    ("GET", "/kernelspecs/no-such-kernelspec/logo-64x64.png", None),
    ("GET", "/kernelspecs/python3/no-such-file.png", None),
    ("GET", f"/api/sessions/{NOBODY}", None),
    ("DELETE", f"/api/sessions/{NOBODY}", None),
    ("PATCH", f"/api/sessions/{NOBODY}", {"path": "x"}),
    ("POST", "/api/sessions", b"{not json"),
    ("POST", "/api/sessions", {}),
    ("POST", "/api/sessions", {"path": "x.ipynb", "type": "notebook"}),
    ("POST", "/api/sessions", {"path": "x.ipynb", "type": "notebook", "kernel": {"name": "no-such-kernelspec"}}),
    ("GET", "/api/contents/nothing.txt", None),
    ("GET", "/api/contents?type=nonsense", None),
    ("GET", "/api/contents?type=file", None),
    ("GET", "/api/contents?content=2", None),
    ("GET", "/api/contents/../../etc/passwd", None),
    ("GET", "/api/contents/%2e%2e/%2e%2e/etc/passwd", None),
    ("GET", "/api/contents/.hidden", None),
    ("DELETE", "/api/contents/nothing.txt", None),
    ("PATCH", "/api/contents/nothing.txt", {"path": "other.txt"}),
    ("PATCH", "/api/contents/nothing.txt", b"[]"),
    ("POST", "/api/contents/no-such-directory", {"type": "file"}),
    ("POST", "/api/contents", {"copy_from": "nothing.txt"}),
    ("PUT", "/api/contents/x.txt", {"type": "file"}),
    ("PUT", "/api/contents/x.txt", {"type": "nonsense", "content": ""}),
    ("PUT", "/api/contents/x.txt", {"type": "file", "format": "base64", "content": "no base64!"}),
    ("PUT", "/api/contents/x.txt", {"type": "file", "format": "text", "content": 7}),
    ("PUT", "/api/contents/x.ipynb", {"type": "notebook", "content": {"cells": 1}}),
    ("PUT", "/api/contents/x.txt", b"{not json"),
    ("PUT", "/api/contents/no/such/directory.txt", {"type": "file", "format": "text", "content": ""}),
    ("GET", "/api/contents/nothing.ipynb/checkpoints", None),
    ("POST", "/api/contents/nothing.ipynb/checkpoints", None),
    ("POST", "/api/contents/nothing.ipynb/checkpoints/1", None),
    ("GET", "/files/nothing.txt", None),
    ("GET", "/files/../../etc/passwd", None),
    ("GET", "/api/nothing", None),
    ("GET", "/nothing", None),
    ("DELETE", "/api", None),
    ("POST", "/api/status", {}),
]


def told(daemon: Daemon, method: str, path: str, body: Any) -> tuple[int, Any]:
    """The status, and the JSON's shape and message with what differs by server (ids, its own paths) taken out.

    A page instead of JSON is None.
    """
    answer = daemon.ask(method, path, body)
    try:
        decoded = answer.json
    except ValueError:
        return answer.status, None
    if isinstance(decoded, dict) and "message" in decoded:
        message = str(decoded["message"] or "").replace(str(daemon.home), "HOME")
        return answer.status, (sorted(decoded), re.sub(r"0x[0-9a-f]+|\d{4,}", "N", message), decoded.get("reason"))
    return answer.status, sorted(decoded) if isinstance(decoded, dict) else type(decoded).__name__


@pytest.mark.parametrize(("method", "path", "body"), REQUESTS, ids=[f"{m} {p} {b}"[:70] for m, p, b in REQUESTS])
def test_answers_as_the_reference(daemon: Daemon, reference: Daemon, method: str, path: str, body: Any) -> None:
    ours, theirs = told(daemon, method, path, body), told(reference, method, path, body)
    if theirs[0] == 500 and "Unhandled error" in theirs[1][1]:
        assert 400 <= ours[0] <= 500, (ours, theirs)
        assert ours[1][1] not in ("", "Unhandled error"), "it says nothing more than the reference"
    elif ".." in path or "%2e" in path:
        assert {ours[0], theirs[0]} <= {403, 404}
    elif theirs[1] is None or "object has no attribute" in theirs[1][1]:
        assert ours[0] == theirs[0]
    else:
        assert ours == theirs


def test_no_request_did_harm(daemon: Daemon) -> None:
    """A session without a kernel's name got the default one, base64 is read leniently; nothing else is there."""
    assert [session["path"] for session in daemon.json("GET", "/api/sessions")] in ([], ["x.ipynb"])
    for kernel in daemon.json("GET", "/api/kernels"):
        daemon.ask("DELETE", f"/api/kernels/{kernel['id']}")
    assert daemon.json("GET", "/api/kernels") == []
    assert {entry["name"] for entry in daemon.json("GET", "/api/contents")["content"]} <= {"x.txt"}


def connect(daemon: Daemon, path: str, *headers: str, token: str = TOKEN) -> websocket.WebSocket:
    return websocket.create_connection(
        f"ws://localhost:{daemon.port}{path}", header=[f"Authorization: token {token}", *headers], timeout=20
    )


@pytest.mark.parametrize(
    ("path", "headers", "token"),
    [
        (f"/api/kernels/{NOBODY}/channels", (), TOKEN),
        (f"/api/kernels/{NOBODY}/channels", (), "wrong"),
        (f"/api/kernels/{NOBODY}/nothing", (), TOKEN),
        ("/api/kernels", (), TOKEN),
    ],
)
def test_a_websocket_refused(
    daemon: Daemon, reference: Daemon, path: str, headers: tuple[str, ...], token: str
) -> None:
    statuses = []
    for server in (daemon, reference):
        with pytest.raises(websocket.WebSocketBadStatusException) as refused:
            connect(server, path, *headers, token=token)
        statuses.append(refused.value.status_code)
    assert statuses[0] == statuses[1]


def header(msg_type: str = "execute_request") -> dict[str, Any]:
    return {"msg_id": "m", "msg_type": msg_type, "session": "s", "username": "", "version": "5.3", "date": ""}


GARBAGE: list[tuple[str, str, bytes | str]] = [
    ("no JSON", "", "{not json"),
    ("a JSON list", "", "[]"),
    ("a JSON number", "", "7"),
    ("no channel", "", json.dumps({"header": header(), "parent_header": {}, "metadata": {}, "content": {}})),
    (
        "an unknown channel",
        "",
        json.dumps({"channel": "x", "header": header(), "parent_header": {}, "metadata": {}, "content": {}}),
    ),
    ("no header", "", json.dumps({"channel": "shell", "content": {}})),
    ("empty", "", ""),
    ("binary garbage", "", b"\xff" * 40),
    ("offsets past the end", "", struct.pack("!3I", 2, 12, 10_000) + b"{}"),
    ("text on v1", V1, "hello"),
    ("empty on v1", V1, b""),
    ("garbage on v1", V1, b"\x00" * 7),
    ("huge count on v1", V1, struct.pack("<Q", 2**62) + b"x"),
    ("offsets backwards on v1", V1, struct.pack("<7Q", 6, 99, 98, 97, 96, 95, 94)),
    ("no JSON on v1", V1, struct.pack("<7Q", 6, 56, 61, 62, 63, 64, 65) + b"shell" + b"xxxx"),
]


@pytest.mark.parametrize(("name", "protocol", "data"), GARBAGE, ids=[name for name, _, _ in GARBAGE])
def test_garbage_harms_nobody(daemon: Daemon, name: str, protocol: str, data: bytes | str) -> None:
    """Whatever becomes of the tab that sent it, the kernel and the other tabs go on."""
    kernel, logged = _kernel(daemon), len(daemon.log)
    good, bad = Tab(daemon, kernel).ready(), Tab(daemon, kernel, protocol)
    if isinstance(data, bytes):
        bad.socket.send_binary(data)
    else:
        bad.socket.send(data)
    assert of_type(good.until_done(good.execute("6 * 7"), 20.0), "execute_result")
    good.close()
    bad.close()
    until(lambda: daemon.json("GET", f"/api/kernels/{kernel}")["connections"] == 0, what="a websocket leaked")
    assert daemon.log[logged:].count("Traceback") == 0


def _kernel(daemon: Daemon) -> str:
    running = daemon.json("GET", "/api/kernels")
    return str(running[0]["id"]) if running else daemon.start_kernel()


def write_spec(daemon: Daemon, name: str, argv: list[str]) -> None:
    spec = daemon.home / "data/kernels" / name
    spec.mkdir(parents=True, exist_ok=True)
    (spec / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": name, "language": "x"}))


def test_a_command_that_does_not_exist(daemon: Daemon, reference: Daemon) -> None:
    answers = []
    for server in (daemon, reference):
        write_spec(server, "missing", ["/no/such/command", "{connection_file}"])
        answers.append(server.ask("POST", "/api/kernels", {"name": "missing"}))
    assert answers[0].status == answers[1].status
    assert set(answers[0].json) >= {"message", "reason"}
    assert "/no/such/command" in answers[0].json["message"]


def test_a_kernel_that_dies_while_it_starts_leaves_nothing(daemon: Daemon) -> None:
    write_spec(daemon, "dies", ["/bin/sh", "-c", "echo it hurts >&2; exit 3", "{connection_file}"])
    before = daemon.fds()
    started = daemon.ask("POST", "/api/kernels", {"name": "dies"}, timeout=90.0)
    if started.status == 201:
        daemon.ask("DELETE", f"/api/kernels/{started.json['id']}")
    else:
        assert started.status == 500
    until(lambda: daemon.fds() <= before + 2, what=f"{daemon.fds()} descriptors, {before} before")
    assert not [one for one in daemon.json("GET", "/api/kernels") if one["name"] == "dies"]


def test_clients_that_vanish_in_the_middle(daemon: Daemon) -> None:
    """A half request, a half body, a half handshake, a half frame: closed by the client, and nothing stays."""
    kernel = _kernel(daemon)
    before = daemon.fds()
    head = f"Host: localhost\r\nAuthorization: token {TOKEN}\r\n"
    for data in (
        "GET /api/ker",
        f"PUT /api/contents/half.txt HTTP/1.1\r\n{head}Content-Length: 1000\r\n\r\n" + '{"type": "file", ',
        f"GET /api/kernels/{kernel}/channels HTTP/1.1\r\n{head}Upgrade: websocket\r\n",
    ):
        connection = daemon.connection()
        connection.connect()
        connection.sock.sendall(data.encode())
        connection.close()
    tab = Tab(daemon, kernel).ready()
    tab.socket.sock.sendall(b"\x81\xfe\xff\xff\x00")
    tab.drop()
    until(lambda: daemon.fds() <= before, what=f"{daemon.fds()} descriptors, {before} before")
    assert daemon.ask("GET", "/api/contents/half.txt").status == 404
