"""Files sent by the system, over real sockets: whole, in parts, to clients that are slow, gone, or ask for more."""

from __future__ import annotations

import hashlib
import os
import random
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from jupyterd.web import sendfile
from tests.real.daemon import TOKEN, Daemon, await_answer, running, spawn, until

pytestmark = pytest.mark.real
SIZE = 24 * 1024 * 1024 + 12_345
BYTES = random.Random(1).randbytes(SIZE)  # names of cases hold some: the same in each run


@pytest.fixture(scope="module", params=["tcp", "unix"])
def daemon(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    home = tmp_path_factory.mktemp("d")
    (home / "root").mkdir()
    (home / "root/large.bin").write_bytes(BYTES)
    if request.param == "tcp":
        with running(home) as daemon:
            yield daemon
        return
    options = [f"--ServerApp.sock={home / 's'}", f"--ServerApp.root_dir={home / 'root'}"]
    daemon = spawn(home, [*options, f"--IdentityProvider.token={TOKEN}"])
    daemon.sock = str(home / "s")
    try:
        await_answer(daemon)
        yield daemon
    finally:
        daemon.stop()


def connected(daemon: Daemon, receive: int | None = None) -> socket.socket:
    """A client, with a receive buffer of so many bytes."""
    client = socket.socket(socket.AF_UNIX if daemon.sock else socket.AF_INET)
    if receive is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    client.settimeout(60)
    client.connect(daemon.sock or ("127.0.0.1", daemon.port))
    return client


def head(path: str, *lines: str) -> bytes:
    told = (f"GET {path} HTTP/1.1", "Host: localhost", f"Authorization: token {TOKEN}", *lines, "", "")
    return "\r\n".join(told).encode()


def descriptors(daemon: Daemon, path: str) -> int:
    found = 0
    for fd in os.listdir(f"/proc/{daemon.pid}/fd"):
        with suppress(OSError):
            found += os.readlink(f"/proc/{daemon.pid}/fd/{fd}").startswith(path)
    return found


@pytest.mark.parametrize(
    ("asked", "status", "expected"),
    [
        (None, 200, BYTES),
        ("bytes=0-", 206, BYTES),
        ("bytes=5-600000", 206, BYTES[5:600_001]),
        ("bytes=1000001-", 206, BYTES[1_000_001:]),
        ("bytes=-300000", 206, BYTES[-300_000:]),
        ("bytes=-10", 206, BYTES[-10:]),
    ],
)
def test_what_comes_is_what_is_there(daemon: Daemon, asked: str | None, status: int, expected: bytes) -> None:
    answer = daemon.ask("GET", "/files/large.bin", headers={"Range": asked} if asked else {})
    assert answer.status == status
    assert answer.headers["Content-Length"] == str(len(expected))
    assert answer.body == expected
    until(lambda: descriptors(daemon, str(daemon.root)) == 0)


def test_requests_behind_one_another(daemon: Daemon) -> None:
    with connected(daemon) as client:
        client.sendall(head("/files/large.bin") + head("/api/status") + head("/files/large.bin", "Connection: close"))
        data = bytearray()
        while piece := client.recv(1 << 20):
            data += piece
    assert data.count(b"HTTP/1.1 200 OK\r\n") == 3
    assert data.count(BYTES) == 2
    assert bytes(data).endswith(BYTES)


def test_a_client_that_is_slow_costs_no_memory_and_holds_nobody_up(daemon: Daemon) -> None:
    daemon.ask("GET", "/files/large.bin")
    before = daemon.rss()
    with connected(daemon, receive=32 * 1024) as client:
        client.sendall(head("/files/large.bin", "Connection: close"))
        time.sleep(0.5)
        began = time.monotonic()
        assert daemon.ask("GET", "/api/status").status == 200
        assert time.monotonic() - began < 5
        assert daemon.rss() - before < 8 << 20
        digest, size = hashlib.sha256(), 0
        while piece := client.recv(1 << 16):
            body = piece if size else piece.partition(b"\r\n\r\n")[2]
            digest.update(body)
            size += len(body)
            if size < 1 << 20:
                time.sleep(0.01)
    assert (size, digest.digest()) == (SIZE, hashlib.sha256(BYTES).digest())


def test_a_client_that_goes_away_leaves_nothing(daemon: Daemon) -> None:
    for _ in range(5):
        with connected(daemon, receive=32 * 1024) as client:
            client.sendall(head("/files/large.bin"))
            assert client.recv(1000).startswith(b"HTTP/1.1 200")
    until(lambda: descriptors(daemon, str(daemon.root)) == 0)
    assert daemon.ask("GET", "/files/large.bin").body == BYTES


def test_a_file_that_becomes_shorter_ends_the_connection(daemon: Daemon) -> None:
    (daemon.root / "shrinks.bin").write_bytes(BYTES)
    with connected(daemon, receive=32 * 1024) as client:
        client.sendall(head("/files/shrinks.bin"))
        first = client.recv(1000)
        os.truncate(daemon.root / "shrinks.bin", 1000)
        size = len(first.partition(b"\r\n\r\n")[2])
        with suppress(ConnectionResetError):
            while piece := client.recv(1 << 20):
                size += len(piece)
    assert size < SIZE
    until(lambda: descriptors(daemon, str(daemon.root)) == 0)


def test_what_is_not_in_memory_is_read_in_a_thread(daemon: Daemon) -> None:
    path = daemon.root / "cold.bin"
    path.write_bytes(BYTES)
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    assert daemon.ask("GET", "/files/cold.bin").body == BYTES


def test_samples_tell_what_is_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(BYTES)
    with path.open("rb") as file:
        assert sendfile.is_cached(file.fileno(), 0, sendfile.PIECE) in (True, sendfile._NOWAIT is not None)
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        assert isinstance(sendfile.is_cached(file.fileno(), 0, sendfile.PIECE), bool)


def test_a_client_that_does_not_read_is_cut_off(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root/large.bin").write_bytes(BYTES)
    with running(tmp_path, "--HTTPLimits.reader_timeout=1") as daemon, connected(daemon, receive=4096) as client:
        client.sendall(head("/files/large.bin"))
        until(lambda: descriptors(daemon, str(daemon.root)) == 1)
        until(lambda: descriptors(daemon, str(daemon.root)) == 0)
        assert "does not read its answer" in daemon.log
