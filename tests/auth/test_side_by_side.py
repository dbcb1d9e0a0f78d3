"""The same requests to jupyterd and to the Jupyter Server: the same statuses, redirects, JSON and cookies.

Where we differ on purpose it stands in ``ON_PURPOSE``, with the reason.
"""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.auth.daemon_process import daemon
from tests.auth.guarded_requests import UPGRADE
from tests.real.daemon import free_port, until

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(importlib.util.find_spec("jupyter_server") is None, reason="jupyter_server is not installed"),
]

TOKEN = "secrettoken"
BY_TOKEN = {"Authorization": f"token {TOKEN}"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ON_PURPOSE = {
    "refusals name the check": "the message of a 403 or 404 of the guard is not compared",
    "a token in the header sets no cookie": "programs do not keep it, and signing costs",
    "HEAD is answered wherever GET is": "405 there",
    "strangers get 403 before 405": "what methods a path has is for those who may ask it",
    "no empty Access-Control-Allow-Origin": "where no Origin was sent",
    "errors keep their Access-Control-Allow-Origin": "so that the page which asked may read what was wrong",
}

GET_PATHS = [
    "/api", "/api/status", "/api/me", "/api/kernels", "/nosuch", "/login", "/logout", "/files/a.txt", "/files/nosuch",
    "/view/a.txt", "/api/contents", "/api/contents/a.txt", "/api/kernelspecs", "/api/sessions", "/api/terminals",
    "/api/config/x", "/login?next=//evil", "/login?next=/api", "/login?next=http://evil/", "/api/me?permissions=1",
    "/static/favicon.ico",
]  # fmt: skip
WRITE_PATHS = ["/api/me", "/api/contents", "/api/config/x"]


@dataclass
class Shown:
    """What of an answer is compared."""

    status: int
    location: str
    body: Any
    cookies: list[str]
    origin: str


@dataclass
class Server:
    port: int
    cookies: str = ""
    xsrf: str = ""

    def ask(self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None) -> Shown:
        def fill(text: str) -> str:
            return text.replace("<port>", str(self.port)).replace("<jar>", self.cookies).replace("<xsrf>", self.xsrf)

        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        filled = {name: fill(value) for name, value in (headers or {}).items()}
        client.request(method, path, None if body is None else fill(body).replace("|", "%7C"), filled)
        answer = client.getresponse()
        raw = b"" if answer.status == 101 else answer.read()
        lines = answer.headers.get_all("Set-Cookie") or []
        return Shown(
            answer.status,
            answer.headers.get("Location", ""),
            _body(answer, raw),
            sorted(line.partition("=")[0].replace(str(self.port), "<port>") for line in lines),
            answer.headers.get("Access-Control-Allow-Origin", ""),
        )

    def log_in(self) -> None:
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        lines: list[str] = []
        for path in (f"/login?token={TOKEN}", "/login"):
            client.request("GET", path)
            answer = client.getresponse()
            answer.read()
            lines += answer.headers.get_all("Set-Cookie") or []
        self.cookies = "; ".join(dict.fromkeys(line.partition(";")[0] for line in lines))
        self.xsrf = re.search(r"_xsrf=([^;]+)", self.cookies)[1]  # type: ignore[index]


def _body(answer: http.client.HTTPResponse, raw: bytes) -> Any:
    if "json" not in answer.headers.get("Content-Type", "") or not raw:
        return ""
    model = json.loads(raw)
    if answer.status in (403, 404):
        return sorted(model)
    if isinstance(model, dict) and set(model) == {"message", "reason"}:
        return model
    return sorted(model) if isinstance(model, dict) else type(model).__name__


@contextmanager
def reference(home: Path) -> Iterator[int]:
    (home / "root").mkdir(parents=True)
    (home / "root" / "a.txt").write_text("a")
    port = free_port()
    directories = {f"JUPYTER_{name}_DIR": str(home / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    options = ["--allow-root", f"--port={port}", "--port-retries=0", f"--ServerApp.root_dir={home}/root"]
    with open(home / "log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyter_server", *options],
            env={**os.environ, **directories, "JUPYTER_TOKEN": TOKEN},
            stdout=log,
            stderr=log,
        )
    try:
        until(lambda: _answers(port), 60, lambda: (home / "log").read_text())
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def requests() -> Iterator[tuple[str, str, str | None, dict[str, str]]]:
    foreign, own = {"Origin": "http://evil.example"}, {"Referer": "http://127.0.0.1:<port>/x"}
    jar, xsrf = {"Cookie": "<jar>"}, {"X-XSRFToken": "<xsrf>"}
    for path in GET_PATHS:
        for headers in (
            {},
            BY_TOKEN,
            jar,
            {**jar, **foreign},
            {**jar, **own},
            {**jar, **xsrf},
            {**BY_TOKEN, **foreign},
        ):
            yield "GET", path, None, headers
        yield "GET", path, None, {**BY_TOKEN, "Host": "evil.example"}
    for path in WRITE_PATHS:
        yield "POST", path, "{}", {}
        yield "POST", path, "{}", jar
        yield "PATCH", path, "x", {**jar, **xsrf}
        yield "PATCH", path, "{}", {**jar, "X-XSRFToken": "2|x"}
        yield "PUT", path, "{}", {**jar, **xsrf, **foreign}
        yield "POST", path, "{}", {"Authorization": "token wrong"}
    for path in ("/api/kernels", "/api/contents", "/api/me"):
        yield "OPTIONS", path, None, foreign
        yield "OPTIONS", path, None, {**foreign, **BY_TOKEN}
    for body in (
        f"password={TOKEN}&_xsrf=<xsrf>",
        "password=bad&_xsrf=<xsrf>",
        f"password={TOKEN}",
        "password=x&_xsrf=bad",
    ):
        yield "POST", "/login?next=/api/status", body, {**jar, **FORM}
        yield "POST", "/login", body, {**jar, **FORM, **foreign}
    for headers in ({}, BY_TOKEN, jar, {**jar, **foreign}, {**jar, "Origin": "null"}):
        yield "GET", "/api/events/subscribe", None, {**headers, **UPGRADE}
    yield "POST", "/api/security/csp-report", "{}", {**jar, **foreign}
    yield "POST", "/api/security/csp-report", "{}", {}


def differences(ours: Shown, theirs: Shown, headers: dict[str, str]) -> list[str]:
    found = [] if ours.status == theirs.status else [f"status {theirs.status} is {ours.status}"]
    if ours.location != theirs.location:
        found.append(f"location {theirs.location!r} is {ours.location!r}")
    if ours.body != theirs.body and theirs.body and ours.body:
        found.append(f"body {theirs.body!r} is {ours.body!r}")
    by_header = "Authorization" in headers

    def counted(cookies: list[str]) -> list[str]:
        return [name for name in cookies if name != "_xsrf" and not (by_header and name.startswith("username-"))]

    if counted(ours.cookies) != counted(theirs.cookies):
        found.append(f"cookies {theirs.cookies} are {ours.cookies}")
    if ours.origin != theirs.origin and ours.status < 400:
        found.append(f"allowed origin {theirs.origin!r} is {ours.origin!r}")
    return found


def test_same_requests_same_answers(tmp_path: Path) -> None:
    with daemon(tmp_path / "ours", token=TOKEN) as running, reference(tmp_path / "theirs") as port:
        (tmp_path / "ours" / "root" / "a.txt").write_text("a")
        ours, theirs = Server(running.port), Server(port)
        ours.log_in()
        theirs.log_in()
        found = []
        asked = 0
        for method, path, body, headers in requests():
            asked += 1
            unlike = differences(
                ours.ask(method, path, body, headers), theirs.ask(method, path, body, headers), headers
            )
            found += [f"{method} {path} {sorted(headers)}: {difference}" for difference in unlike]
        assert found == [], "\n".join([f"{asked} asked", *found])
