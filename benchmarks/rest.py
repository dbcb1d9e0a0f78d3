"""REST: what small requests cost, with one kernel and one session running, a file of 5 kB, and eight clients."""

from __future__ import annotations

import selectors
import socket
import time

from benchmarks.harness import TOKEN, Case, Figures, Server, main
from benchmarks.process import Cost

CLIENTS, REQUESTS = 8, 4_000


def hammer(server: Server, path: str, requests: int = REQUESTS) -> None:
    """``requests`` GETs over kept connections, one at a time on each. Raises AssertionError if one is not a 200."""
    request = (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAuthorization: token {TOKEN}\r\n"
        "Accept: application/json\r\nUser-Agent: benchmark\r\n\r\n"
    ).encode()
    sent = answered = 0
    deadline = time.monotonic() + 120.0
    with selectors.DefaultSelector() as selector:
        for _ in range(CLIENTS):
            client = socket.create_connection(("127.0.0.1", server.port))
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(client, selectors.EVENT_READ, bytearray())
            client.sendall(request)
            sent += 1
        while answered < requests:
            assert time.monotonic() < deadline, "too slow"
            for key, _ in selector.select(10.0):
                one, data = key.fileobj, key.data
                assert isinstance(one, socket.socket)
                received = one.recv(1 << 16)
                assert received, "closed by the server"
                data += received
                if not _whole(data):
                    continue
                assert data.startswith(b"HTTP/1.1 200 "), bytes(data[:200])
                data.clear()
                answered += 1
                if sent < requests:
                    one.sendall(request)
                    sent += 1
        for key in list(selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()


def _whole(data: bytearray) -> bool:
    """The buffer holds one whole answer, by its Content-Length."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return False
    at = data.lower().find(b"content-length:", 0, end)
    assert at >= 0, f"no Content-Length: {bytes(data[:end])!r}"
    return len(data) >= end + 4 + int(data[at + 15 : data.find(b"\r\n", at)])


def rest(server: Server) -> Figures:
    figures: Figures = {}
    session = {"path": "a.ipynb", "type": "notebook", "name": "", "kernel": {"name": "bench"}}
    server.json("POST", "/api/sessions", session)
    (server.root / "small.txt").write_text("x" * 5000)
    for path in ("/api/kernels", "/api/status", "/api/sessions", "/api/contents/small.txt"):
        hammer(server, path, 500)
        with Cost(server.pid) as cost:
            hammer(server, path)
        figures[f"GET {path}: CPU, µs"] = 1e6 * cost.cpu / REQUESTS
        figures[f"GET {path}: requests a second"] = REQUESTS / cost.wall
    return figures


CASES = [Case("rest", rest)]

if __name__ == "__main__":
    main(__doc__, CASES)
