"""Requests of commands, over TCP and UNIX sockets."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from jupyterd.system.http_client import HTTPError
from jupyterd.utils import fetch, urlencode_unix_socket

pytestmark = pytest.mark.real


class Echo(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(302 if self.path == "/away" else 404 if self.path == "/none" else 200)
        self.send_header("Location", "http://elsewhere.invalid/")
        self.end_headers()
        self.wfile.write(f'["{self.path}", "{self.headers["X-A"]}", "{body.decode()}"]'.encode())

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_: object) -> None:
        pass


class UnixHTTPServer(HTTPServer):
    address_family = socket.AF_UNIX

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)


def serving(server: Any) -> Iterator[Any]:
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def tcp() -> Iterator[str]:
    for server in serving(HTTPServer(("127.0.0.1", 0), Echo)):
        yield f"http://127.0.0.1:{server.server_address[1]}"


@pytest.fixture
def unix(tmp_path: Path) -> Iterator[str]:
    path = str(tmp_path / "s")
    for _ in serving(UnixHTTPServer(path, Echo)):  # type: ignore[arg-type]
        yield urlencode_unix_socket(path)


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_asks(kind: str, request: pytest.FixtureRequest) -> None:
    answer = fetch(request.getfixturevalue(kind) + "/p?q=1", method="POST", body=b"b", headers={"X-A": "h"})
    assert (answer.code, answer.json()) == (200, ["/p?q=1", "h", "b"])


def test_a_refusal_is_an_error(tcp: str) -> None:
    with pytest.raises(HTTPError) as caught:
        fetch(f"{tcp}/none", method="POST")
    assert caught.value.code == 404


def test_credentials_do_not_follow_a_redirect(tcp: str) -> None:
    assert fetch(f"{tcp}/away", method="POST", headers={"Authorization": "token t"}).code == 302


def test_other_schemes() -> None:
    with pytest.raises(ValueError, match="Unknown URL scheme"):
        fetch("ftp://h/")
    with pytest.raises(OSError):
        fetch(urlencode_unix_socket("/nowhere"))
