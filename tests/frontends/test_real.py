"""JupyterLab's own code, in its child process; and JupyterLab's own files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.logger import globalLogPublisher

from jupyterd.frontends.lab.extension_manager import ExtensionManager, has_source_extensions
from jupyterd.frontends.lab.plugin_settings import PluginSettings
from jupyterd.frontends.lab.translations import Translations
from jupyterd.frontends.packages import package_dir
from jupyterd.frontends.page_config import MANAGERS
from jupyterd.frontends.settings import LabApp
from tests.frontends.conftest import write

LAB = package_dir("jupyterlab")
pytestmark = [pytest.mark.real, pytest.mark.skipif(LAB is None, reason="no JupyterLab")]


def lab() -> LabApp:
    assert LAB is not None
    return LabApp(package=LAB)


def manager(provider: str, extensions: list[str] | None = None) -> ExtensionManager:
    from twisted.internet import reactor

    app = {"app_dir": lab().app_dir, "labextensions_path": extensions or lab().extension_paths}
    return ExtensionManager(reactor, provider, app, {"blocked_extensions_uris": []})


@ensureDeferred
async def test_the_managers_that_jupyterlab_brings_are_told_as_they_are() -> None:
    for name, told in MANAGERS.items():
        assert await manager(name).metadata() == told


@ensureDeferred
async def test_installed_extensions_are_listed() -> None:
    found, last = await manager("readonly").list(None, 1, 30)
    assert last == 1
    assert {"name", "description", "enabled", "installed", "installed_version", "pkg_type", "status"} <= set(found[0])


@ensureDeferred
async def test_extensions_with_broken_files_are_left_out(tmp_path: Path) -> None:
    """And named in the log; JupyterLab itself would list none at all."""
    good = {"name": "good", "version": "1.0.0", "jupyterlab": {}}
    broken = [
        "{", [], None, {"name": "x"}, {"version": "1.0.0"}, {**good, "name": 3}, {**good, "version": None},
        {**good, "name": "a", "jupyterlab": None}, {**good, "name": "b", "dependencies": []},
        {**good, "name": "c", "dependencies": {"@jupyterlab/application": 3}},
        {**good, "name": "d", "repository": "https://example/curl"}, {**good, "name": "e", "version": "newest"},
    ]  # fmt: skip
    for index, package in enumerate([good, *broken]):
        write(tmp_path / f"p{index}" / "package.json", package)
    write(tmp_path / "q" / "package.json", {**good, "name": "q"})
    write(tmp_path / "q" / "install.json", "{")
    events: list[Any] = []
    globalLogPublisher.addObserver(events.append)
    try:
        found, _ = await manager("readonly", [str(tmp_path)]).list(None, 1, 30)
    finally:
        globalLogPublisher.removeObserver(events.append)
    assert "good" in {each["name"] for each in found}
    named = {str(event["path"]) for event in events if "path" in event}
    assert {str(tmp_path / name / "package.json") for name in ("p1", "p2", "p8", "q")} <= named


@ensureDeferred
async def test_a_read_only_manager_installs_nothing() -> None:
    assert await manager("readonly").act("install", "x", None) is None


def test_every_schema_of_jupyterlab_is_understood(tmp_path: Path) -> None:
    app = lab()
    settings = PluginSettings(app.app_settings_dir, app.schemas_dir, str(tmp_path), app.extension_paths, Translations())
    names = settings.names()
    assert len(names) > 50
    assert [model["id"] for model in settings.list()] == names
    assert not has_source_extensions(app.app_dir)


def test_the_application_directory_is_found_as_jupyterlab_finds_it() -> None:
    import subprocess

    names = ("get_app_dir", "get_user_settings_dir", "get_workspaces_dir")
    script = "from jupyterlab import commands\n" + "\n".join(f"print(commands.{name}())" for name in names)
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    app = lab()
    assert out.split() == [app.app_dir, app.user_settings_dir, app.workspaces_dir]
