"""The whole daemon, wired: nobody gets in where they do not belong."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.testing import MemoryReactorClock

from jupyterd.app.composition import jupyterd
from jupyterd.app.parts import Parts
from jupyterd.auth.authorizer import Authorizer
from jupyterd.settings.load import load
from jupyterd.testing.http import MemorySite
from jupyterd.web.root import Mount
from tests.auth.guarded_requests import UPGRADE

TOKEN = "a-token-of-more-than-thirty-two-characters"

PUBLIC = {
    ("api",): "the version, which every client asks for first",
    ("login",): "the way in",
    ("logout",): "the way out",
    ("static",): "what the login page looks like",
    ("healthz",): "says that the server is there, nothing else",
    ("readyz",): "says that the server is ready, nothing else",
    ("favicon.ico",): "an icon",
    ("robots.txt",): "asks robots to stay away",
    (): "leads to the front end, which asks for the login; nothing below it",
    ("lab", "extensions"): "scripts of installed extensions, as static as those of the page",
    ("lab", "api", "themes"): "style sheets of installed themes",
}
VOCABULARY = {
    "/api/config": "config", "/api/contents": "contents", "/api/events": "events", "/api/kernels": "kernels",
    "/api/kernels/*/channels": "kernels", "/api/kernelspecs": "kernelspecs", "/api/nbconvert": "nbconvert",
    "/api/resolvePath": "api", "/api/security/csp-report": "csp", "/api/sessions": "sessions",
    "/api/shutdown": "server", "/lsp": "lsp", "/lsp/status": "lsp",
    "/api/spec.yaml": "api", "/api/status": "api", "/api/terminals": "terminals", "/files": "contents",
    "/kernelspecs": "kernelspecs", "/nbconvert": "nbconvert", "/terminals/websocket": "terminals", "/view": "contents",
    "/api/events/subscribe": "events",
}  # fmt: skip
"""What authorizers written against the Jupyter Server call what lies at these prefixes."""
NAMELESS = ("/api/me", "/metrics", "/lab", "/doc", "/tree", "/custom", "/notebooks", "/edit", "/consoles", "/terminals")
"""Pages, and what belongs to each user by itself: any known user may see them."""
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "PROPFIND")


def built(tmp_path: Any, monkeypatch: pytest.MonkeyPatch, *more: str) -> Parts:
    for name in ("CONFIG", "DATA", "RUNTIME"):
        monkeypatch.setenv(f"JUPYTER_{name}_DIR", os.path.join(tmp_path, name))
    monkeypatch.delenv("JUPYTER_TOKEN", raising=False)
    os.makedirs(os.path.join(tmp_path, "root"))
    options = ["--allow-root", f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={tmp_path}/root", *more]
    return jupyterd(MemoryReactorClock(), load(options))


@pytest.fixture
def parts(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Parts:
    return built(tmp_path, monkeypatch)


def knocking(parts: Parts) -> MemorySite:
    site = MemorySite(parts.root, parts.guard, parts.reactor)
    site.site.error_page = parts.pages.error
    return site


def routes(mount: Mount) -> Iterator[str]:
    """Every path that a mount's resource knows, with its variables filled in."""
    prefix = "/" + "/".join("x" if segment == "*" else segment for segment in mount.prefix)
    yield prefix
    if not mount.exact:
        yield f"{prefix.rstrip('/')}/x"
    app = getattr(mount.resource(), "_app", None)
    for rule in () if app is None else app.url_map.iter_rules():
        path = "".join("x" if dynamic else text for dynamic, text in rule._trace).lstrip("|")
        if path.startswith(prefix) and (not mount.exact or path == prefix):
            yield path


def test_every_public_mount_is_on_the_list(parts: Parts) -> None:
    public = {mount.prefix for mount in parts.root.mounts() if mount.public}
    unexpected = {prefix for prefix in public if prefix not in PUBLIC and prefix[:1] not in PUBLIC}
    assert unexpected == set()
    assert all(mount.exact for mount in parts.root.mounts() if mount.prefix == ())


@pytest.mark.parametrize("unauthenticated", ["True", "False"])
def test_cve_2026_39987_2024_28179_walk_of_all_routes_without_credentials(
    unauthenticated: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = built(tmp_path, monkeypatch, f"--ServerApp.allow_unauthenticated_access={unauthenticated}")
    site = knocking(parts)
    mounts = [mount for mount in parts.root.mounts() if not mount.public]
    assert len(mounts) > 5
    walked = 0
    for mount in mounts:
        for path in routes(mount):
            for method in METHODS:
                answer = site.request(method, path, body=b"{}" if method not in ("GET", "HEAD") else None)
                if answer.status == 302:
                    assert str(answer.header("location")).startswith("/login?next=%2F"), (method, path)
                else:
                    assert answer.status == 403, (method, path, answer.status)
                walked += 1
            for headers in (UPGRADE, {**UPGRADE, "Sec-WebSocket-Protocol": "v1.kernel.websocket.jupyter.org"}):
                answer = site.request("GET", path, headers=headers)
                assert answer.status in (302, 403), path
    assert walked > 100


@pytest.mark.parametrize(("unauthenticated", "get", "post"), [("True", 404, 404), ("False", 302, 403)])
def test_a_stranger_at_a_path_that_does_not_exist(
    unauthenticated: str, get: int, post: int, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = built(tmp_path, monkeypatch, f"--ServerApp.allow_unauthenticated_access={unauthenticated}")
    site = knocking(parts)
    for path in ("/nosuch", "/api/nosuch", "/a/../api/kernels"):
        assert site.request("GET", path).status == get
        assert site.request("GET", path, headers=UPGRADE).status == get
        assert site.request("POST", path, body=b"{}").status == post
        assert site.request("GET", path, headers={"Authorization": f"token {TOKEN}"}).status == 404


def test_walk_of_all_websockets_with_a_foreign_origin(parts: Parts) -> None:
    site = knocking(parts)
    login = site.request("GET", f"/login?token={TOKEN}")
    cookies = "; ".join(line.partition(";")[0] for line in login.headers["set-cookie"])
    sockets = [mount for mount in parts.root.mounts() if mount.websocket]
    assert sockets
    for mount in sockets:
        for path in routes(mount):
            for origin in ("http://evil.example", "null", "http://127.0.0.1:8888.evil.example"):
                answer = site.request("GET", path, headers={**UPGRADE, "Cookie": cookies, "Origin": origin})
                assert answer.status == 403, path


def test_every_websocket_route_is_mounted_as_one(parts: Parts) -> None:
    """A websocket on a mount that does not say so would be judged as something to read."""
    for mount in parts.root.mounts():
        app = getattr(mount.resource(), "_app", None)
        endpoints = () if app is None else app.url_map.iter_rules()
        for rule in endpoints:
            if rule.endpoint.endswith(" websocket"):
                path = rule.rule.split("/")[1:]
                found = parts.root.find(["x" if part.startswith("<") else part for part in path])
                assert found is not None
                assert found.websocket, rule.rule


def test_foreign_host_is_refused_everywhere(parts: Parts) -> None:
    site = knocking(parts)
    for mount in parts.root.mounts():
        for path in routes(mount):
            headers = {"Host": "evil.example", "Authorization": f"token {TOKEN}"}
            assert site.request("GET", path, headers=headers).status == 403, path


def test_authorizer_knows_every_private_mount_by_its_usual_name(parts: Parts) -> None:
    for mount in parts.root.mounts():
        path = "/" + "/".join(mount.prefix)
        if path in VOCABULARY:
            assert mount.auth == VOCABULARY[path], path
        elif not mount.public and not mount.auth:
            assert path.startswith(NAMELESS), path


RUNS_CODE = ("execute",)
"""Segments of paths below which requests run code, websockets aside."""


def test_whatever_runs_code_is_judged_as_execute(parts: Parts) -> None:
    found = 0
    for mount in parts.root.mounts():
        app = getattr(mount.resource(), "_app", None)
        for rule in () if app is None else app.url_map.iter_rules():
            if not set(RUNS_CODE) & set(rule.rule.split("/")):
                continue
            judged = parts.root.find(["x" if part.startswith("<") else part for part in rule.rule.split("/")[1:]])
            assert judged is not None
            assert judged.action == "execute", rule.rule
            found += 1
    assert found


class NoCode(Authorizer):
    """Everything but running code."""

    def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:
        return action != "execute"


def test_who_may_not_execute_runs_no_code(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    site = knocking(built(tmp_path, monkeypatch, f"--ServerApp.authorizer_class={__name__}.NoCode"))
    headers = {"Authorization": f"token {TOKEN}"}
    for path in ("/api/kernels/k/execute", "/api/kernels/k/execute/e/input"):
        answer = site.request("POST", path, json_body={"code": "1"}, headers=headers)
        assert answer.status == 403, path
        assert answer.json()["message"] == "User is not authorized to execute on resource: kernels."
    assert site.request("GET", "/api/kernels/k/execute", headers=headers).status == 404  # there is no such kernel


class OnlyRead(Authorizer):
    """Whoever is known may look."""

    asked: list[tuple[str, str]]

    def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:
        self.asked.append((action, resource))
        return action == "read"


READABLE = {"/login", "/logout", "/api/security/csp-report"}
"""What everybody may do to themselves; and what browsers tell by themselves, which changes nothing."""


def test_who_may_only_read_changes_nothing_by_any_method_of_any_mount(parts: Parts) -> None:
    authorizer = OnlyRead()
    authorizer.asked = []
    parts.guard.authorizer, parts.guard._everybody_may = authorizer, False
    site, walked, wrong = knocking(parts), 0, []
    for mount in parts.root.mounts():
        if mount.public and ("/" + "/".join(mount.prefix)) in READABLE:
            continue
        for path in routes(mount):
            for method in ("POST", "PUT", "PATCH", "DELETE", "PROPFIND", "MKCOL"):
                headers = {"Authorization": f"token {TOKEN}"}
                answer = site.request(method, path, body=b"{}", headers=headers)
                walked += 1
                # Where nothing is to be asked, nothing takes a change either.
                expected = (403, 404, 405, 413) if mount.public or not (mount.auth or mount.writes) else (403,)
                if answer.status not in expected:
                    wrong.append((method, path, answer.status))
            if mount.websocket:
                assert site.request("GET", path, headers={**UPGRADE, **headers}).status == 403, path
    assert wrong == []
    assert walked > 200


@pytest.mark.parametrize(
    ("method", "path", "resource"),
    [
        ("PUT", "/lab/api/settings/x", "config"),
        ("PUT", "/lab/api/workspaces/x", "config"),
        ("DELETE", "/lab/api/workspaces/x", "config"),
        ("POST", "/lab/api/plugins", "server"),
        ("POST", "/lab/api/extensions", "server"),
        ("POST", "/lab/api/build", "server"),
        ("DELETE", "/lab/api/build", "server"),
        ("PATCH", "/api/me", "api"),
    ],
)
def test_what_is_asked_of_an_authorizer_before_a_change(parts: Parts, method: str, path: str, resource: str) -> None:
    if path.startswith("/lab"):
        pytest.importorskip("jupyterlab")
    authorizer = OnlyRead()
    authorizer.asked = []
    parts.guard.authorizer, parts.guard._everybody_may = authorizer, False
    headers = {"Authorization": f"token {TOKEN}"}
    answer = knocking(parts).request(method, path, body=b"{}", headers=headers)
    assert (answer.status, authorizer.asked) == (403, [("write", resource)])
    assert f"write on resource: {resource}" in answer.json()["message"]
