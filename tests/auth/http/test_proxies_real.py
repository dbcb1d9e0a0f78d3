"""Behind a real proxy: nginx with TLS and a base URL."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest

from jupyterd.auth.passwords import passwd
from tests.auth.daemon_process import FORM, ask, certificate, daemon, secure
from tests.real.daemon import free_port, until

pytestmark = pytest.mark.real


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
