"""Thousands of connections that say nothing or do not read, on real sockets."""

from __future__ import annotations

import http.client
import os
import socket
import sys
import time
from pathlib import Path

import pytest

from tests.auth.daemon_process import BEARER, TOKEN, ask, daemon
from tests.real.daemon import until

pytestmark = pytest.mark.real


@pytest.mark.parametrize("framing", ["Content-Length: 314572800", "Transfer-Encoding: chunked"])
def test_d1_three_hundred_mebibytes_of_a_stranger_cost_nothing(tmp_path: Path, framing: str) -> None:
    piece = b"x" * 65536
    chunk = piece if framing.startswith("Content") else b"10000\r\n" + piece + b"\r\n"
    with daemon(tmp_path) as server:
        before, sent = server.memory(), 0
        with socket.create_connection(("127.0.0.1", server.port), 20) as client:
            client.sendall(f"PUT /api/contents/x HTTP/1.1\r\nHost: 127.0.0.1\r\n{framing}\r\n\r\n".encode())
            answer = client.recv(65536)
            assert answer.startswith(b"HTTP/1.1 403 ")
            try:
                for _ in range(4800):
                    sent += client.send(chunk)
            except OSError:
                pass  # it was cut off, as it should be
        grown = server.memory() - before
        print(f"{framing}: {sent / 2**20:.0f} MiB sent, +{grown / 2**20:.1f} MiB")
        assert grown < 8 * 2**20
        assert sent < 200 * 2**20
        assert os.listdir(tmp_path / "root") == []


def test_ten_thousand_half_open_connections(tmp_path: Path) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 12_000), hard))
    sockets: list[socket.socket] = []
    with daemon(tmp_path) as server:
        before = server.memory()
        slowest = 0.0
        for number in range(10_000):
            try:
                client = socket.create_connection(("127.0.0.1", server.port), 10)
            except OSError:
                continue  # refused: as good
            if number % 2:
                client.sendall(b"GET / HTTP/1.1\r\nX: " + b"a" * 1000)
            sockets.append(client)
            if number % 500 == 499:
                start = time.monotonic()
                fresh = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
                assert ask(fresh, "/api/me", headers=BEARER).status == 200
                slowest = max(slowest, time.monotonic() - start)
        grown = server.memory() - before
        descriptors = len(os.listdir(f"/proc/{server.process.pid}/fd"))
        print(f"10,000 half-open: +{grown / 2**20:.1f} MiB, {descriptors} descriptors, slowest answer {slowest:.3f} s")
        assert grown < 100 * 2**20
        assert descriptors < 2000
        assert slowest < 5
        for client in sockets:
            client.close()
        until(lambda: len(os.listdir(f"/proc/{server.process.pid}/fd")) < 100)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_strangers_who_do_not_read_their_answers_make_room(tmp_path: Path) -> None:
    pytest.importorskip("jupyterlab")
    static = Path(sys.prefix) / "share" / "jupyter" / "lab" / "static"
    largest = max(static.glob("*.js"), key=lambda path: path.stat().st_size, default=None)
    if largest is None:
        pytest.skip("no JupyterLab in this environment")
    ask_for_it = f"GET /static/lab/{largest.name} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    sockets: list[socket.socket] = []
    with daemon(tmp_path, "--ServerApp.http_max_waiting_connections=100") as server:
        for _ in range(600):
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", server.port))
            client.sendall(ask_for_it)
            sockets.append(client)
        fresh = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        assert ask(fresh, "/api/me", headers=BEARER).status == 200
        until(lambda: len(os.listdir(f"/proc/{server.process.pid}/fd")) < 260, 60)
        assert ask(fresh, "/api/me", headers=BEARER).status == 200
        for client in sockets:
            client.close()


def test_known_clients_that_do_not_read_are_cut_and_slow_ones_are_not(tmp_path: Path) -> None:
    request = f"GET /files/big.bin HTTP/1.1\r\nHost: localhost\r\nAuthorization: token {TOKEN}\r\n\r\n".encode()
    with daemon(tmp_path, "--ServerApp.http_reader_timeout=6") as server:
        (tmp_path / "root" / "big.bin").write_bytes(bytes(20_000_000))
        idle, slow = socket.socket(), socket.socket()
        for client in (idle, slow):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            client.connect(("127.0.0.1", server.port))
            client.sendall(request)
        for _ in range(800):
            assert slow.recv(65536)
            time.sleep(0.05)
            if "does not read its answer" in server.log:
                break
        assert server.log.count("does not read its answer") == 1
        assert slow.recv(65536)
