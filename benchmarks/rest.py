"""REST: what small requests cost, with one kernel and one session running, a file of 5 kB, and eight clients."""

from __future__ import annotations

import selectors
import socket
import time

from benchmarks.harness import TOKEN, Case, Figures, Server, main
from benchmarks.process import Cost

CLIENTS, REQUESTS = 8, 4_000


PROGRAM = "Accept: application/json\r\nUser-Agent: benchmark\r\n"
BROWSER = (
    'Connection: keep-alive\r\nsec-ch-ua-platform: "Linux"\r\nsec-ch-ua: "Chromium";v="142"\r\nsec-ch-ua-mobile: ?0\r\n'
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0\r\n"
    "Content-Type: application/json\r\nAccept: */*\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\n"
    "Sec-Fetch-Dest: empty\r\nReferer: http://127.0.0.1/lab/tree/a\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n"
    "Accept-Language: en-US,en;q=0.9\r\nCookie: _xsrf=2|47281d6e|8bd1ae9bdc7d10a55f28ef53ae7e67ee|1764300000\r\n"
)
"""What JupyterLab's requests carry in Chromium, beside the token."""


def hammer(server: Server, path: str, requests: int = REQUESTS, headers: str = PROGRAM) -> None:
    """``requests`` GETs over kept connections, one at a time on each. Raises AssertionError if one is not a 200."""
    request = (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAuthorization: token {TOKEN}\r\n{headers}\r\n"
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
    """Requests of programs, and one as a page sends it."""
    figures: Figures = {}
    session = {"path": "a.ipynb", "type": "notebook", "name": "", "kernel": {"name": "bench"}}
    server.json("POST", "/api/sessions", session)
    (server.root / "small.txt").write_text("x" * 5000)
    programs = [(path, path, PROGRAM) for path in ("/api/kernels", "/api/status", "/api/sessions")]
    file = "/api/contents/small.txt"
    for label, path, headers in (*programs, (file, file, PROGRAM), ("/api/kernels by a page", "/api/kernels", BROWSER)):
        hammer(server, path, 500, headers)
        with Cost(server.pid) as cost:
            hammer(server, path, headers=headers)
        figures[f"GET {label}: CPU, µs"] = 1e6 * cost.cpu / REQUESTS
        figures[f"GET {label}: requests a second"] = REQUESTS / cost.wall
    return figures


CASES = [Case("rest", rest)]

if __name__ == "__main__":
    main(__doc__, CASES)
