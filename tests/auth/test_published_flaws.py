"""Break-ins that were published of servers of this kind, tried on the whole daemon.

Others are beside what they concern: origins and websockets in test_guard, redirects in test_rules and test_login, logs
in tests/test_log_scrub.py, parsing in tests/web/server/test_channel.py.
"""

from __future__ import annotations

import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from twisted.internet.defer import maybeDeferred
from twisted.internet.testing import MemoryReactorClock

from jupyterd.app.composition import jupyterd
from jupyterd.app.parts import Parts
from jupyterd.settings.load import load
from jupyterd.testing.http import Answer, MemorySite

TOKEN = "a-token-of-more-than-thirty-two-characters"
BEARER = {"Authorization": f"token {TOKEN}"}
SECRET = "the-secret-beside-the-root"


def in_thread(function: Any, /, *args: Any, **kwargs: Any) -> Any:
    """Another thread, waited for: what tells whether a loop runs in its thread must not find the test's."""
    with ThreadPoolExecutor(1) as pool:
        return maybeDeferred(pool.submit(function, *args, **kwargs).result)


class Server:
    """The whole daemon over a directory ``home/x``, with secrets around it."""

    def __init__(self, home: str, monkeypatch: pytest.MonkeyPatch, *options: str) -> None:
        for name in ("CONFIG", "DATA", "RUNTIME"):
            monkeypatch.setenv(f"JUPYTER_{name}_DIR", os.path.join(home, name))
        monkeypatch.delenv("JUPYTER_TOKEN", raising=False)
        self.home, self.root = home, os.path.join(home, "x")
        for path in ("x/sub", "xy", "x/.hidden", "RUNTIME"):
            os.makedirs(os.path.join(home, path))
        for path in ("secret.txt", "xy/secret.txt", "x/.secret.txt", "x/.hidden/secret.txt", "RUNTIME/secret.txt"):
            with open(os.path.join(home, path), "w") as file:
                file.write(SECRET)
        for path, text in (("x/a.txt", "hello"), ("x/sub/b.html", "<script>alert(1)</script>"), ("x/c.svg", "<svg/>")):
            with open(os.path.join(home, path), "w") as file:
                file.write(text)
        with open(os.path.join(self.root, "n.ipynb"), "w") as file:
            json.dump({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, file)
        settings = load(
            ["--allow-root", f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={self.root}", *options]
        )
        monkeypatch.setattr(Parts, "_threads", lambda parts, name, size: in_thread)
        parts = jupyterd(MemoryReactorClock(), settings)
        self.site = MemorySite(parts.root, parts.guard, parts.reactor)
        self.site.site.error_page = parts.pages.error

    def ask(self, method: str, path: str, model: Any = None, headers: dict[str, str] | None = None) -> Answer:
        return self.site.request(method, path, json_body=model, headers={**BEARER, **(headers or {})})


@pytest.fixture
def server(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Server:
    return Server(str(tmp_path), monkeypatch)


# -- untrusted files in our origin


@pytest.mark.parametrize("path", ["/files/a.txt", "/files/sub/b.html", "/files/c.svg", "/files/n.ipynb"])
def test_cve_2018_21030_2015_7337_files_run_in_a_sandbox(server: Server, path: str) -> None:
    answer = server.ask("GET", path)
    assert answer.status == 200
    assert str(answer.header("content-security-policy")).endswith("; sandbox allow-scripts")
    assert answer.header("x-content-type-options") == "nosniff"


def test_cve_2023_40170_files_are_not_for_foreign_pages(server: Server) -> None:
    login = server.site.request("GET", f"/login?token={TOKEN}")
    cookies = "; ".join(line.partition(";")[0] for line in login.headers["set-cookie"])

    def status(**headers: str) -> int:
        return server.site.request("GET", "/files/a.txt", headers={"Cookie": cookies, **headers}).status

    assert status() == 403
    assert status(Referer="http://evil.example/") == 403
    assert status(Origin="http://evil.example") == 403
    assert status(Referer="http://127.0.0.1:8888/lab") == 200


def test_cve_2015_6938_2018_19352_hostile_names_are_escaped(server: Server) -> None:
    name = "<img src=x onerror=alert(1)>"
    os.mkdir(os.path.join(server.root, name))
    for path in (f"/view/{name}/x", f"/files/{name}/nosuch", f"/nosuch/{name}", f"/tree/{name}", f"/lab/tree/{name}"):
        answer = server.ask("GET", quote(path))
        if "html" in str(answer.header("content-type")):
            assert b"<img src=x" not in answer.body, path


def test_cve_2019_9644_listings_can_not_be_included_as_scripts(server: Server) -> None:
    answer = server.ask("GET", "/api/contents")
    assert answer.header("content-type") == "application/json"
    assert answer.header("x-content-type-options") == "nosniff"
    assert "default-src 'none'" in str(answer.header("content-security-policy"))
    assert server.site.request("GET", "/api/contents", headers={"Origin": "http://evil.example"}).status in (403, 404)


# -- redirects

HOSTILE_PATHS = [
    "//evil.example", "//evil.example/", "///evil.example/", "//evil.example/%2e%2e", "/%2fevil.example",
    "/%2Fevil.example/",
    "/%5cevil.example/", "/\\evil.example/", "//evil.example//", "/lab//evil.example/", "/api//kernels/", "/./",
    "//evil.example?token=" + TOKEN, "/%09/evil.example/", "/;@evil.example/",
]  # fmt: skip


@pytest.mark.parametrize("path", HOSTILE_PATHS)
def test_cve_2020_26275_2019_10255_no_redirect_leads_away(server: Server, path: str) -> None:
    for method in ("GET", "HEAD", "POST", "PUT"):
        for headers in (BEARER, {}):
            answer = server.site.request(method, path, body=b"" if method in ("POST", "PUT") else None, headers=headers)
            location = answer.header("location") or "/"
            assert location.startswith("/"), (method, location)
            assert not location.startswith(("//", "/\\")), (method, location)


# -- paths

CLIMBING = [
    "../secret.txt", "..%2fsecret.txt", "%2e%2e/secret.txt", "%2e%2e%2fsecret.txt", "%252e%252e%252fsecret.txt",
    "sub/../../secret.txt", "sub/%2e%2e/%2e%2e/secret.txt", "..%5csecret.txt", "..\\secret.txt", "....//secret.txt",
    "../xy/secret.txt", "..%2Fxy%2Fsecret.txt", "%2e%2e/xy/secret.txt", "/../secret.txt", "%2f..%2fsecret.txt",
    "a.txt/../../secret.txt", ".%2e/secret.txt", "%c0%ae%c0%ae/secret.txt", "..;/secret.txt",
    "a.txt%00/../../secret.txt",
]  # fmt: skip
READERS = ["/files/{}", "/api/contents/{}", "/view/{}", "/nbconvert/html/{}", "/api/contents/{}/checkpoints"]
INSTALLED = [
    "/static/{}",
    "/custom/{}",
    "/kernelspecs/python3/{}",
    "/lab/extensions/{}",
    "/lab/api/themes/{}",
    "/static/lab/{}",
]


@pytest.mark.parametrize("climb", CLIMBING)
def test_cve_2026_35397_nothing_outside_of_the_root_is_read(server: Server, climb: str) -> None:
    for reader in READERS + INSTALLED:
        answer = server.ask("GET", reader.format(climb))
        assert SECRET.encode() not in answer.body, (reader, climb)
        assert answer.status in (400, 403, 404, 405, 302, 501, 503) or climb not in answer.body.decode(), (
            reader,
            climb,
        )


def test_absolute_paths_are_below_the_root(server: Server) -> None:
    path = os.path.join(server.home, "secret.txt")
    for reader in READERS + INSTALLED:
        for start in ("", "/", "//", "%2f"):
            answer = server.ask("GET", reader.format(start + path.lstrip("/")))
            assert SECRET.encode() not in answer.body


@pytest.mark.parametrize(
    "climb", ["../new.txt", "../xy/new.txt", "sub/../../new.txt", "%2e%2e/new.txt", "..%2fxy%2fnew.txt"]
)
def test_nothing_outside_of_the_root_is_written(server: Server, climb: str) -> None:
    model = {"type": "file", "format": "text", "content": "x"}
    assert server.ask("PUT", f"/api/contents/{climb}", model).status >= 400
    assert server.ask("POST", f"/api/contents/{climb}", {"type": "directory"}).status >= 400
    assert server.ask("DELETE", f"/api/contents/{climb.replace('new', 'secret')}").status >= 400
    for decoded in ("../moved.txt", "../xy/moved.txt", "/../moved.txt"):
        assert server.ask("PATCH", "/api/contents/a.txt", {"path": decoded}).status >= 400
    for decoded in ("../secret.txt", "../xy/secret.txt", os.path.join(server.home, "secret.txt")):
        assert server.ask("POST", "/api/contents", {"copy_from": decoded}).status >= 400
    left = sorted(os.listdir(server.home))
    assert left == sorted(set(left) - {"new.txt", "moved.txt"})
    assert os.listdir(os.path.join(server.home, "xy")) == ["secret.txt"]


def test_names_with_nul_are_refused(server: Server) -> None:
    for reader in READERS + INSTALLED:
        assert server.ask("GET", reader.format("a.txt%00.png")).status in (400, 404)
    answer = server.ask("PATCH", "/api/contents/a.txt", {"path": "b\0.txt"})
    assert 400 <= answer.status < 500


def test_cve_2024_35178_unc_paths_reach_no_file(server: Server) -> None:
    for reader in READERS + INSTALLED:
        for unc in ("\\\\evil\\share\\x", "%5c%5cevil%5cshare%5cx", "//evil/share/x", "%2f%2fevil/share"):
            answer = server.ask("GET", reader.format(unc))
            if answer.body == b"[]":
                continue  # no checkpoints
            assert answer.status in (302, 400, 403, 404, 405, 501, 503) or reader == "/view/{}", (
                reader,
                unc,
                answer.status,
            )


# -- hidden files

HIDDEN = [".secret.txt", ".hidden/secret.txt", "sub/../.secret.txt", "%2esecret.txt", ".hidden%2fsecret.txt"]


@pytest.mark.parametrize("path", HIDDEN)
def test_cve_2022_29241_2022_29238_hidden_files_are_refused_by_every_verb(server: Server, path: str) -> None:
    for reader in READERS:
        answer = server.ask("GET", reader.format(path))
        assert SECRET.encode() not in answer.body, reader
        if reader == "/api/contents/{}/checkpoints":
            assert answer.body == b"[]" or answer.status >= 400
        elif reader != "/view/{}":
            assert answer.status >= 400, reader
    model = {"type": "file", "format": "text", "content": "x"}
    assert server.ask("PUT", f"/api/contents/{path}", model).status >= 400
    assert server.ask("DELETE", f"/api/contents/{path}").status >= 400
    assert server.ask("PATCH", f"/api/contents/{path}", {"path": "b.txt"}).status >= 400
    assert server.ask("POST", f"/api/contents/{path}/checkpoints").status >= 400
    assert (
        server.ask("POST", "/api/contents", {"copy_from": path.replace("%2e", ".").replace("%2f", "/")}).status >= 400
    )
    assert server.ask("PATCH", "/api/contents/a.txt", {"path": ".moved.txt"}).status >= 400
    assert server.ask("HEAD", f"/files/{path}").status >= 400
    for name in (".secret.txt", ".hidden/secret.txt"):
        with open(os.path.join(server.root, name)) as file:
            assert file.read() == SECRET
    listed = json.dumps(server.ask("GET", "/api/contents").json())
    assert "secret" not in listed
    assert "hidden" not in listed


def test_cookie_secret_and_runtime_files_are_not_served(server: Server) -> None:
    """The runtime directory may lie below the root of users' files."""
    os.symlink(os.path.join(server.home, "RUNTIME"), os.path.join(server.root, ".runtime"))
    for reader in READERS:
        assert SECRET.encode() not in server.ask("GET", reader.format(".runtime/secret.txt")).body


# -- launching

INJECTIONS = [
    "../../bin/sh",
    "python3; id",
    "$(id)",
    "`id`",
    "python3\nid",
    "{{7*7}}",
    "${7*7}",
    "python3\0",
    "",
    "a" * 5000,
]


@pytest.mark.parametrize("name", INJECTIONS)
def test_cve_2026_44180_44181_44182_names_from_requests_reach_no_shell_and_no_template(
    server: Server, name: str
) -> None:
    if name:
        answer = server.ask("POST", "/api/kernels", {"name": name})
        assert answer.status >= 400
        assert answer.json()["message"] == f"Kernel spec {name} not found"  # named, not run, not filled in
    assert server.ask("GET", f"/api/kernelspecs/{quote(name, safe='')}").status < 500


# -- errors


def test_cve_2023_49080_no_traceback_reaches_a_client(server: Server) -> None:
    for method, path, model in (
        ("POST", "/api/contents", [1]),
        ("PUT", "/api/contents/a.txt", {"type": 1}),
        ("PATCH", "/api/contents/a.txt", {"path": 1}),
        ("POST", "/api/kernels", [1]),
        ("POST", "/api/sessions", {"path": {}, "type": 1}),
        ("PATCH", "/api/config/x", [1]),
    ):
        answer = server.ask(method, path, model)
        assert b"Traceback" not in answer.body
        assert b'File "' not in answer.body
        assert answer.status < 500, (method, path, answer.body)


# -- scripts that get into a page all the same


def test_token_is_not_in_the_page_of_a_cookie_where_that_is_wanted(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("jupyterlab")
    server = Server(str(tmp_path), monkeypatch, "--IdentityProvider.token_in_pages=False")
    by_token = server.site.request("GET", f"/lab?token={TOKEN}")
    assert by_token.status == 200
    assert TOKEN.encode() in by_token.body
    cookies = "; ".join(line.partition(";")[0] for line in by_token.headers["set-cookie"])
    by_cookie = server.site.request("GET", "/lab", headers={"Cookie": cookies})
    assert by_cookie.status == 200
    assert TOKEN.encode() not in by_cookie.body
    assert "HttpOnly" in next(line for line in by_token.headers["set-cookie"] if line.startswith("username-"))


def test_token_is_in_every_page_by_default_as_clients_behind_proxies_need_it(server: Server) -> None:
    pytest.importorskip("jupyterlab")
    cookies = server.site.request("GET", f"/lab?token={TOKEN}").headers["set-cookie"]
    header = {"Cookie": "; ".join(line.partition(";")[0] for line in cookies)}
    assert TOKEN.encode() in server.site.request("GET", "/lab", headers=header).body


# -- what we stand on

HOUSE = Path(__file__).resolve().parent.parent.parent
FIRST_SOUND = {
    "Twisted": "24.7",  # CVE-2020-10108, -10109, CVE-2022-21712, -24801, CVE-2023-46137, CVE-2024-41671, -41810
    "autobahn": "20.12.3",  # CVE-2020-35678
    "nbconvert": "7.17.1",  # CVE-2021-32862, CVE-2026-39378
    "jupyter-core": "4.11.2",  # CVE-2022-39286
    "treq": "22.1",  # CVE-2022-23607
}


def test_versions_with_published_flaws_are_not_accepted() -> None:
    from packaging.version import Version

    text = (HOUSE / "setup.cfg").read_text()
    for name, version in FIRST_SOUND.items():
        pin = re.search(rf"^ +{name}(?:\[\w+\])?>=([\d.]+)", text, re.MULTILINE | re.IGNORECASE)
        assert pin is not None or name == "treq"
        assert pin is None or Version(pin[1]) >= Version(version), name


def test_cve_2024_41810_no_redirect_page_is_made_of_input() -> None:
    sources = "".join(path.read_text() for path in (HOUSE / "jupyterd").rglob("*.py"))
    assert "redirectTo" not in sources
    assert "displayTracebacks = True" not in sources


def test_cve_2022_39286_no_configuration_is_read_from_the_current_directory(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("jupyter_config.py", "jupyter_server_config.py", "jupyterd_config.py"):
        (tmp_path / name).write_text("raise SystemExit('read')")
    for name in ("jupyter_config.json", "jupyter_server_config.json", "jupyterd_config.json"):
        (tmp_path / name).write_text('{"IdentityProvider": {"token": "read"}}')
    assert load(["--allow-root"]).token != "read"


@pytest.mark.real
def test_cve_2022_21712_2024_22421_our_clients_send_no_token_to_where_they_are_redirected() -> None:
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from threading import Thread

    from jupyterd.system.http_client import HTTPError, fetch

    seen: list[Any] = []

    class Redirecting(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.path, self.headers.get("Authorization")))
            self.send_response(302)
            self.send_header("Location", f"http://localhost:{self.server.server_address[1]}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    with HTTPServer(("127.0.0.1", 0), Redirecting) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            fetch(f"http://127.0.0.1:{server.server_port}/api", headers={"Authorization": "token t"})
        except HTTPError:
            pass
        finally:
            server.shutdown()
    assert seen == [("/api", "token t")]
