"""The whole daemon, wired, where a disk is full or a name too long: clients are told, and nothing is left."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyterd.app.parts import Parts
from tests.app.test_access import TOKEN, built, knocking, routes

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Parts]:
    house = built(tmp_path, monkeypatch, "--ServerApp.cookie_secret_file=" + str(tmp_path / "secret/file"))
    yield house
    house.in_thread.stopService()


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes to threads is done at once."""
    from jupyterd.system.threads import Threads
    from jupyterd.testing.deferreds import at_once

    monkeypatch.setattr(Threads, "__call__", lambda self, function, *args, **kwargs: at_once(function, *args, **kwargs))


WRITES: list[tuple[str, str, Any]] = [
    ("PUT", "/api/config/notebook", {"a": 1}),
    ("PATCH", "/api/config/notebook", {"a": 1}),
    ("PUT", "/lab/api/workspaces/w", {"data": {}, "metadata": {"id": "w"}}),
    ("POST", "/logout", None),
    ("POST", "/api/contents", {"type": "file"}),
    ("PUT", "/api/contents/a.txt", {"type": "file", "format": "text", "content": "x"}),
    ("PUT", "/files/a.txt", {"a": 1}),
]


def files_in(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("method", "path", "body"), WRITES, ids=[f"{method} {path}" for method, path, _ in WRITES])
def test_a_full_disk_is_told(
    house: Parts, here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, path: str, body: Any
) -> None:
    if path.startswith("/lab"):
        pytest.importorskip("jupyterlab")
    site = knocking(house)
    headers = {"Authorization": f"token {TOKEN}"}
    assert site.request("GET", "/api/config/notebook", headers=headers).status == 200
    before = files_in(tmp_path)

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    answer = site.request(method, path, json_body=body, headers=headers)
    assert answer.status == 507, answer.body
    assert b"No space left on device" in answer.body
    assert files_in(tmp_path) == before


@pytest.mark.parametrize("length", [300, 30_000])
def test_names_that_are_too_long(house: Parts, here: None, length: int) -> None:
    """Whatever is asked for by a name that no file can have, the server has no defect."""
    site, name = knocking(house), "y" * length
    headers = {"Authorization": f"token {TOKEN}"}
    wrong = []
    for mount in house.root.mounts():
        if mount.websocket or mount.prefix[:2] == ("api", "shutdown"):
            continue
        for path in dict.fromkeys(routes(mount)):
            long = "/".join(name if part == "x" else part for part in path.split("/"))
            if name not in long:
                continue
            for method in METHODS:
                answer = site.request(
                    method, long, body=None if method in ("GET", "DELETE") else b"{}", headers=headers
                )
                if answer.status >= 500:
                    wrong.append((method, path, answer.status, answer.body[:100]))
    assert wrong == []
