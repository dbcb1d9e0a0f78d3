"""TLS on real sockets: reload of certificates, certificates of clients."""

from __future__ import annotations

import http.client
import os
import signal
import ssl
from pathlib import Path
from typing import Any

import pytest

from tests.auth.daemon_process import (
    BEARER,
    TOKEN,
    ask,
    certificate,
    daemon,
    secure,
)

pytestmark = pytest.mark.real


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
