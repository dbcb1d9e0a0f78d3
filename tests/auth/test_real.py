"""Logins of real daemons: passwords, UNIX sockets, and what must not be seen."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlencode

import pytest

from jupyterd.auth.passwords import passwd
from tests.auth.daemon_process import (
    BEARER,
    FORM,
    TOKEN,
    Answer,
    ask,
    daemon,
)

pytestmark = pytest.mark.real


def test_new_password_after_sighup_ends_logins(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.mkdir()
    file = config / "jupyter_server_config.json"
    file.write_text(json.dumps({"PasswordIdentityProvider": {"hashed_password": passwd("old", "sha256")}}))
    with daemon(tmp_path, token="") as server:
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)

        def log_in(password: str) -> Answer:
            form = ask(client, "/login").cookies
            body = urlencode({"_xsrf": form.partition("=")[2], "password": password}).encode()
            return ask(client, "/login", "POST", body, {**FORM, "Cookie": form})

        session = {"Cookie": log_in("old").cookies}
        assert ask(client, "/api/me", headers=session).status == 200
        file.write_text(json.dumps({"PasswordIdentityProvider": {"hashed_password": passwd("new", "sha256")}}))
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("are reloaded")
        assert ask(client, "/api/me", headers=session).status == 403
        assert log_in("old").status == 401
        assert log_in("new").status == 302


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=20)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


def test_unix_socket_asks_for_the_token_too(tmp_path: Path) -> None:
    sock = str(tmp_path / "socket")
    with daemon(tmp_path, f"--sock={sock}"):
        assert os.stat(sock).st_mode & 0o777 == 0o600
        client = UnixConnection(sock)
        assert ask(client, "/api/me").status == 403
        assert ask(client, "/api/me", headers=BEARER).status == 200
        assert ask(client, "/api/me", headers={**BEARER, "Host": sock.replace("/", "%2F")}).status == 200
        assert ask(client, "/api/me", headers={**BEARER, "Host": "evil.example"}).status == 403


def test_unix_peer_is_let_in_by_its_uid_where_that_is_wanted(tmp_path: Path) -> None:
    sock = str(tmp_path / "socket")
    with daemon(tmp_path, f"--sock={sock}", "--IdentityProvider.trust_unix_peers=True"):
        client = UnixConnection(sock)
        import pwd

        assert ask(client, "/api/me").json()["identity"]["username"] == pwd.getpwuid(os.getuid()).pw_name
        assert ask(client, "/api/kernelspecs").status == 200
        # A program's own request needs no XSRF token; a browser's does, and what a proxy forwards is nobody's.
        assert ask(client, "/api/contents", "POST", b"{}").status == 201
        assert ask(client, "/api/contents", "POST", b"{}", {"Sec-Fetch-Site": "cross-site"}).status == 403
        for header in ("X-Forwarded-For", "X-Real-IP", "X-Forwarded-Proto", "Forwarded", "Via"):
            assert ask(client, "/api/me", headers={header: "1.2.3.4"}).status == 403


def test_log_of_a_daemon_holds_no_secret(tmp_path: Path) -> None:
    with daemon(tmp_path, "--debug") as server:
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        for path in (
            f"/login?token={TOKEN}",
            f"/nosuch?token={TOKEN}",
            f"/files/x?token={TOKEN}",
            f"/api/contents/%ff?token={TOKEN}",
        ):
            ask(client, path, headers={"Referer": f"http://localhost/?token={TOKEN}", "Cookie": f"a={TOKEN}"})
        ask(client, "/api/contents", "POST", TOKEN.encode(), BEARER)
        ask(client, "/api/sessions", "POST", b'{"path": 1}', {**BEARER, "Referer": f"/?token={TOKEN}"})
        assert "nosuch" in server.log
        assert TOKEN not in server.log
        assert TOKEN.encode() not in Path(f"/proc/{server.process.pid}/cmdline").read_bytes()


def test_cve_2026_44727_converted_notebooks_are_sandboxed_by_both_ways(tmp_path: Path) -> None:
    notebook = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    with daemon(tmp_path) as server:
        (tmp_path / "root" / "n.ipynb").write_text(json.dumps(notebook))
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        body = json.dumps({"name": "n.ipynb", "content": notebook}).encode()
        for answer in (
            ask(client, "/nbconvert/html/n.ipynb", headers=BEARER),
            ask(client, "/nbconvert/html", "POST", body, BEARER),
        ):
            assert answer.status == 200
            assert "sandbox allow-scripts" in answer.headers["Content-Security-Policy"]
            assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--IdentityProvider.cookie_options={'foo': 1}", "cookie_options: foo is no attribute of a cookie"),
        ("--ServerApp.allow_origin_pat=[", "allow_origin_pat '[' is no regular expression"),
        ("--ServerApp.http_head_timeout=-1", "http_head_timeout"),
        ("--ServerApp.websocket_compression_options={'mem_level': 99}", "mem_level is a number from 1 to 9"),
        ("--ServerApp.port=0", "JUPYTER_TOKEN_FILE can not be read"),
    ],
)
def test_a_setting_that_can_not_be_used_is_one_line(tmp_path: Path, option: str, told: str) -> None:
    environment = {**os.environ, "JUPYTER_CONFIG_DIR": str(tmp_path), "JUPYTER_TOKEN_FILE": str(tmp_path / "nosuch")}
    environment["JUPYTER_TOKEN"] = "" if "TOKEN" in told else "a-token"
    command = [sys.executable, "-m", "jupyterd", "--allow-root", option]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    lines = [line for line in ended.stderr.splitlines() if "does not load server extensions" not in line]
    assert len(lines) == 1
    assert told in lines[0]
