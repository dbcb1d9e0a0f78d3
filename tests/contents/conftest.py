"""A contents service over a temporary directory, on the real site without sockets or threads."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.testing import MemoryReactorClock

from jupyterd.app.contents import mount
from jupyterd.contents.event_queue import EventQueue
from jupyterd.contents.managers.largefilemanager import AsyncLargeFileManager
from jupyterd.contents.service import Contents
from jupyterd.contents.thread_pools import ThreadPools
from jupyterd.testing.deferreds import at_once
from jupyterd.testing.http import Answer, MemorySite


@dataclass
class Client:
    """Asks the contents API."""

    site: MemorySite
    root: Path
    contents: Contents
    reactor: MemoryReactorClock

    def ask(self, method: str, path: str, model: Any = None, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        body = None if model is None else json.dumps(model).encode()
        return self.site.request(method, path, body, headers=named)

    def get(self, path: str) -> Any:
        answer = self.ask("GET", f"/api/contents/{path}")
        assert answer.status == 200, answer.body
        return answer.json()

    def put(self, path: str, model: Any, **headers: str) -> Answer:
        return self.ask("PUT", f"/api/contents/{path}", model, **headers)


def render(name: str, **values: Any) -> bytes:
    return json.dumps({"template": name, **values}).encode()


@pytest.fixture(autouse=True)
def data_dir(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Signatures and recovery files of the tests are their own."""
    directory = tmp_path_factory.mktemp("data")
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(directory))
    monkeypatch.setenv("XDG_DATA_HOME", str(directory))
    return directory


@pytest.fixture
def root(tmp_path: Path) -> Path:
    directory = tmp_path / "root"
    directory.mkdir()
    return directory


@pytest.fixture
def make_client(root: Path) -> Callable[..., Client]:
    def make(manager: Any = None, **traits: Any) -> Client:
        manager = manager or AsyncLargeFileManager(root_dir=str(root), **traits)
        site = MemorySite()
        reactor = MemoryReactorClock()
        contents = Contents(reactor, manager, ThreadPools.one(at_once), EventQueue(reactor, lambda data: None))
        mount(site.root, lambda: contents, render)
        return Client(site, root, contents, reactor)

    return make


@pytest.fixture
def client(make_client: Callable[..., Client]) -> Client:
    return make_client(delete_to_trash=False, notebook_versions_interval=0.0)


def notebook(*sources: str, **more: Any) -> dict[str, Any]:
    """A notebook of code cells."""
    cells = [
        {"cell_type": "code", "id": f"c{i}", "metadata": {}, "execution_count": None, "outputs": [], "source": source}
        for i, source in enumerate(sources)
    ]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5, **more}


@pytest.fixture(name="notebook")
def notebook_fixture() -> Callable[..., dict[str, Any]]:
    return notebook


@pytest.fixture
def deny_writing_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Have a directory look as one that may not be written, to root too."""

    def deny(directory: Path) -> None:
        access = os.access
        monkeypatch.setattr(os, "access", lambda path, mode: str(path) != str(directory) and access(path, mode))

    return deny
