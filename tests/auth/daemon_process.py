"""A jupyterd of its own in a process, and plain requests to it."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.real.daemon import until

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
