"""A walk through the REST API, as a client makes it."""

from __future__ import annotations

import base64
from typing import Any

from tests.real.daemon import Daemon
from tests.real.tab import Tab

NOTEBOOK: dict[str, Any] = {
    "nbformat": 4,
    "nbformat_minor": 5,
    "metadata": {},
    "cells": [{"cell_type": "markdown", "id": "one", "metadata": {}, "source": "# Hello"}],
}


def test_version_status_and_me(daemon: Daemon) -> None:
    assert set(daemon.ask("GET", "/api", token="").json) == {"version"}
    assert {"started", "last_activity", "kernels", "connections"} <= set(daemon.json("GET", "/api/status"))
    me = daemon.json("GET", "/api/me")
    assert {"username", "name", "display_name", "initials", "avatar_url", "color"} <= set(me["identity"])


def test_without_a_token_nothing_is_told(daemon: Daemon) -> None:
    for path in ("/api/kernels", "/api/sessions", "/api/contents", "/api/status", "/api/kernelspecs", "/files/x"):
        assert daemon.ask("GET", path, token="").status in (302, 403), path
        assert daemon.ask("GET", path, token="wrong").status in (302, 403), path
    assert daemon.ask("POST", "/api/kernels", {}, token="").status == 403


def test_kernelspecs_and_their_files(daemon: Daemon) -> None:
    specs = daemon.json("GET", "/api/kernelspecs")
    spec = specs["kernelspecs"]["python3"]
    assert specs["default"] == "python3"
    assert spec == daemon.json("GET", "/api/kernelspecs/python3")
    logo = daemon.ask("GET", spec["resources"]["logo-64x64"])
    assert logo.status == 200
    assert logo.headers["Content-Type"] == "image/png"
    assert logo.body.startswith(b"\x89PNG")


def test_contents_from_birth_to_death(daemon: Daemon) -> None:
    new = daemon.ask("POST", "/api/contents", {"type": "notebook"})
    assert (new.status, new.json["path"]) == (201, "Untitled.ipynb")
    assert new.headers["Location"].endswith("/api/contents/Untitled.ipynb")
    saved = daemon.json("PUT", "/api/contents/Untitled.ipynb", {"type": "notebook", "content": NOTEBOOK})
    got = daemon.json("GET", "/api/contents/Untitled.ipynb")
    assert got["content"]["cells"][0]["source"] == "# Hello"
    assert got["last_modified"] == saved["last_modified"]
    moved = daemon.json("PATCH", "/api/contents/Untitled.ipynb", {"path": "moved.ipynb"})
    assert moved["name"] == "moved.ipynb"
    assert daemon.ask("GET", "/api/contents/Untitled.ipynb").status == 404
    made = daemon.ask("POST", "/api/contents/moved.ipynb/checkpoints")
    assert made.status == 201
    assert [made.json] == daemon.json("GET", "/api/contents/moved.ipynb/checkpoints")
    empty = {**NOTEBOOK, "cells": []}
    daemon.json("PUT", "/api/contents/moved.ipynb", {"type": "notebook", "content": empty})
    assert daemon.ask("POST", f"/api/contents/moved.ipynb/checkpoints/{made.json['id']}").status == 204
    assert len(daemon.json("GET", "/api/contents/moved.ipynb")["content"]["cells"]) == 1
    copy = daemon.json("POST", "/api/contents", {"copy_from": "moved.ipynb"})
    assert copy["name"] == "moved-Copy1.ipynb"
    for path in ("moved.ipynb", copy["path"]):
        assert daemon.ask("DELETE", f"/api/contents/{path}").status == 204
    assert daemon.json("GET", "/api/contents")["content"] == []


def test_files_in_every_format(daemon: Daemon) -> None:
    raw = bytes(range(256))
    model = {"type": "file", "format": "base64", "content": base64.b64encode(raw).decode()}
    assert (
        daemon.ask("PUT", "/api/contents/ö b%20c.bin".replace("ö", "%C3%B6").replace(" ", "%20"), model).status == 201
    )
    (name,) = [entry["name"] for entry in daemon.json("GET", "/api/contents")["content"]]
    assert (daemon.root / name).read_bytes() == raw
    served = daemon.ask("GET", "/files/%C3%B6%20b%20c.bin")
    assert served.body == raw
    part = daemon.ask("GET", "/files/%C3%B6%20b%20c.bin", headers={"Range": "bytes=10-19"})
    assert (part.status, part.body) == (206, raw[10:20])
    assert daemon.ask("DELETE", "/api/contents/%C3%B6%20b%20c.bin").status == 204


def test_a_session_is_one_per_path_and_owns_its_kernel(daemon: Daemon) -> None:
    asked = {"path": "a.ipynb", "name": "a.ipynb", "type": "notebook", "kernel": {"name": "python3"}}
    first = daemon.ask("POST", "/api/sessions", asked)
    assert first.status == 201
    session = first.json
    assert daemon.json("POST", "/api/sessions", asked)["id"] == session["id"]
    assert [one["id"] for one in daemon.json("GET", "/api/sessions")] == [session["id"]]
    renamed = daemon.json("PATCH", f"/api/sessions/{session['id']}", {"path": "b.ipynb", "name": "b.ipynb"})
    assert renamed["path"] == "b.ipynb"
    assert renamed["kernel"]["id"] == session["kernel"]["id"]
    tab = Tab(daemon, session["kernel"]["id"]).ready()
    assert daemon.json("GET", f"/api/kernels/{session['kernel']['id']}")["connections"] == 1
    tab.close()
    assert daemon.ask("DELETE", f"/api/sessions/{session['id']}").status == 204
    assert daemon.ask("GET", f"/api/kernels/{session['kernel']['id']}").status == 404
    assert daemon.json("GET", "/api/sessions") == []


def test_lab_is_served(daemon: Daemon) -> None:
    assert daemon.ask("GET", "/").status == 302
    page = daemon.ask("GET", "/lab")
    assert page.status == 200
    assert b"jupyter-config-data" in page.body
