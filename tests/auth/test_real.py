"""Real sockets: TLS, UNIX sockets, nginx in front, thousands of connections that say nothing."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from jupyterd.auth.passwords import passwd

pytestmark = pytest.mark.real

TOKEN = "a-token-of-more-than-thirty-two-characters"
BEARER = {"Authorization": f"token {TOKEN}"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass
class Daemon:
    process: subprocess.Popen[bytes]
    home: Path
    port: int

    @property
    def log(self) -> str:
        return (self.home / "log").read_text()

    def wait_for(self, text: str, seconds: float = 20) -> None:
        until(lambda: text in self.log, seconds, lambda: self.log)

    def memory(self) -> int:
        """Bytes of memory that are its own (PSS)."""
        rollup = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        return 1024 * int(re.search(r"^Pss:\s+(\d+)", rollup, re.MULTILINE)[1])  # type: ignore[index]


ADDRESS = re.compile(r"https?://localhost:(\d+)/")


def until(condition: Any, seconds: float = 20, explain: Any = lambda: "") -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, explain()
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def daemon(home: Path, *options: str, token: str = TOKEN) -> Iterator[Daemon]:
    """A jupyterd of its own, ended by a signal."""
    (home / "root").mkdir(parents=True, exist_ok=True)
    directories = {f"JUPYTER_{name}_DIR": str(home / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    environment = {**os.environ, **directories, "JUPYTER_TOKEN": token}
    tcp = not any(option.startswith("--sock") for option in options)
    listen = ("--port=0",) if tcp else ()
    command = [sys.executable, "-m", "jupyterd", "--allow-root", f"--ServerApp.root_dir={home}/root", *listen, *options]
    with open(home / "log", "wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=home)
    running = Daemon(process, home, 0)
    try:
        running.wait_for("is running at")
        if tcp:
            until(lambda: ADDRESS.search(running.log), 20, lambda: running.log)
            running.port = int(ADDRESS.search(running.log)[1])  # type: ignore[index]
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        finally:
            process.kill()


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def cookies(self) -> str:
        lines = self.headers.get_all("Set-Cookie") or []
        return "; ".join(line.partition(";")[0] for line in lines)


def ask(
    connection: http.client.HTTPConnection,
    path: str,
    method: str = "GET",
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    connection.request(method, path, body, headers or {})
    response = connection.getresponse()
    return Answer(response.status, response.headers, response.read())


# -- TLS


def certificate(directory: Path, name: str, issuer: str | None = None) -> tuple[str, str]:
    """A certificate for localhost and its key; self-signed without an issuer."""
    key, cert = str(directory / f"{name}.key"), str(directory / f"{name}.pem")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", cert]
    extra = ["-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    if issuer is not None:
        extra += ["-CA", str(directory / f"{issuer}.pem"), "-CAkey", str(directory / f"{issuer}.key")]
    subprocess.run([*command, *extra], check=True, capture_output=True)
    return cert, key


def secure(port: int, ca: str, client: tuple[str, str] | None = None) -> http.client.HTTPSConnection:
    context = ssl.create_default_context(cafile=ca)
    if client is not None:
        context.load_cert_chain(*client)
    return http.client.HTTPSConnection("localhost", port, context=context, timeout=20)


def name_of(connection: http.client.HTTPSConnection) -> str:
    subject: Any = connection.sock.getpeercert()["subject"]  # type: ignore[union-attr,index]
    return str(dict(pair[0] for pair in subject)["commonName"])


def test_tls_and_its_reload_without_dropping_connections(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "first")
    new_cert, new_key = certificate(tmp_path, "second")
    with daemon(tmp_path, f"--certfile={cert}", f"--keyfile={key}") as server:
        old = secure(server.port, cert)
        answer = ask(old, f"/login?token={TOKEN}")
        assert answer.status == 302
        assert "; Secure" in answer.headers.get_all("Set-Cookie")[0]  # type: ignore[index]
        assert name_of(old) == "first"
        os.replace(new_cert, cert)
        os.replace(new_key, key)
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("are reloaded")
        assert ask(old, "/api/me", headers=BEARER).status == 200
        fresh = secure(server.port, cert)
        assert ask(fresh, "/api/me", headers=BEARER).status == 200
        assert name_of(fresh) == "second"
        Path(cert).write_text("no certificate")
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("reload:")
        Path(cert).write_text(Path(key).read_text())
        assert ask(old, "/api/me", headers=BEARER).status == 200
        assert ask(fresh, "/api/me", headers=BEARER).status == 200
        plain = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
        answer = ask(plain, "/api")
        assert (answer.status, answer.headers["Location"]) == (307, f"https://127.0.0.1:{server.port}/api")


def test_client_certificates(tmp_path: Path) -> None:
    authority, _ = certificate(tmp_path, "authority")
    cert, key = certificate(tmp_path, "server")
    client = certificate(tmp_path, "client", "authority")
    with daemon(tmp_path, f"--certfile={cert}", f"--keyfile={key}", f"--client-ca={authority}") as server:
        assert ask(secure(server.port, cert, client), "/api/me", headers=BEARER).status == 200
        with pytest.raises((ssl.SSLError, OSError, http.client.HTTPException)):
            ask(secure(server.port, cert), "/api/me", headers=BEARER)
        with pytest.raises((ssl.SSLError, OSError, http.client.HTTPException)):
            ask(secure(server.port, cert, (cert, key)), "/api/me", headers=BEARER)


# -- reload


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


# -- UNIX sockets


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


# -- nginx in front

NGINX = """
daemon off; pid {home}/nginx.pid; error_log {home}/nginx.log; worker_processes 1;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {home}/body; proxy_temp_path {home}/proxy;
  fastcgi_temp_path {home}/f; uwsgi_temp_path {home}/u; scgi_temp_path {home}/s;
  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {cert}; ssl_certificate_key {key};
    location /user/ada/ {{
      proxy_pass http://127.0.0.1:{upstream};
      proxy_set_header Host $http_host;
      proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
    }}
  }}
}}
"""


@contextmanager
def nginx(home: Path, upstream: int) -> Iterator[tuple[int, str]]:
    cert, key = certificate(home, "nginx")
    port = free_port()
    config = home / "nginx.conf"
    config.write_text(NGINX.format(home=home, port=port, cert=cert, key=key, upstream=upstream))
    process = subprocess.Popen(["/usr/sbin/nginx", "-c", str(config), "-p", str(home)], stderr=subprocess.DEVNULL)
    try:
        until(lambda: _listens(port))
        yield port, cert
    finally:
        process.terminate()
        process.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.skipif(not os.path.exists("/usr/sbin/nginx"), reason="no nginx on this machine")
def test_behind_nginx_with_tls_and_a_base_url(tmp_path: Path) -> None:
    hashed = passwd("sesame", "sha256")
    options = (
        "--ServerApp.base_url=/user/ada",
        "--ServerApp.trust_xheaders=True",
        "--ServerApp.allow_remote_access=True",
    )
    options += (f"--PasswordIdentityProvider.hashed_password={hashed}",)
    with daemon(tmp_path, *options) as server, nginx(tmp_path, server.port) as (port, cert):
        client = secure(port, cert)
        answer = ask(client, "/user/ada/view/x?a=1")
        assert (answer.status, answer.headers["Location"]) == (
            302,
            "/user/ada/login?next=%2Fuser%2Fada%2Fview%2Fx%3Fa%3D1",
        )
        form = ask(client, "/user/ada/login?next=%2Fuser%2Fada%2Fapi%2Fme").cookies
        body = urlencode({"_xsrf": form.partition("=")[2], "password": "sesame"}).encode()
        origin = f"https://localhost:{port}"
        path = "/user/ada/login?next=%2Fuser%2Fada%2Fapi%2Fme"
        answer = ask(client, path, "POST", body, {**FORM, "Cookie": form, "Origin": origin})
        assert (answer.status, answer.headers["Location"]) == (302, "/user/ada/api/me")
        cookie = answer.headers.get_all("Set-Cookie")[0]  # type: ignore[index]
        assert cookie.startswith(f"username-localhost-{port}=")
        assert cookie.endswith("; HttpOnly; Path=/user/ada/; Secure")
        session = {"Cookie": f"{form}; {answer.cookies}", "Origin": origin, "Referer": f"{origin}/user/ada/lab"}
        assert ask(client, "/user/ada/api/me", headers=session).status == 200
        xsrf = {"X-XSRFToken": form.partition("=")[2]}
        assert ask(client, "/user/ada/api/contents", "POST", b"{}", {**session, **xsrf}).status == 201
        assert ask(client, "/user/ada/api/contents", "POST", b"{}", session).status == 403
        assert ask(client, "/user/ada/api/me", headers={**session, "Origin": "https://evil.example"}).status == 404
        _websocket_through(port, cert, {**session, "Cookie": session["Cookie"]})
        wrong = {"Authorization": "token wrong"}
        for number in range(8):
            wrong["Authorization"] = f"token wrong{number}"
            assert ask(client, "/user/ada/api/me", headers=wrong).status in (403, 429)
        server.wait_for("127.0.0.1")


def _websocket_through(port: int, cert: str, headers: dict[str, str]) -> None:
    client = secure(port, cert)
    upgrade = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Version": "13",
    }
    client.request("GET", "/user/ada/api/events/subscribe", headers={**headers, **upgrade})
    assert client.getresponse().status == 101
    client = secure(port, cert)
    client.request(
        "GET", "/user/ada/api/events/subscribe", headers={**headers, **upgrade, "Origin": "https://evil.example"}
    )
    assert client.getresponse().status == 403


# -- no secret in the log of a real daemon


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


# -- converted notebooks


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


# -- bodies of strangers


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


# -- ten thousand that say nothing


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


# -- those who ask and do not read


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


# -- settings that can not be used


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
