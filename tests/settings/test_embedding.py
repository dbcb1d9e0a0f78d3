"""The server inside another program: made step by step, in any order, started, stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock

from jupyterd.embedding import Embedded
from jupyterd.kernels.manager import MappingKernelManager
from jupyterd.serverapp import ServerApp, ServerWebApplication, load_handlers
from jupyterd.settings.load import BadSettings, checked


@pytest.fixture
def app(jupyter_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ServerApp:
    """One whose reactor is in memory."""
    return made(tmp_path, monkeypatch)


def made(root: Path, monkeypatch: pytest.MonkeyPatch, *argv: str, **how: Any) -> ServerApp:
    app = ServerApp()
    app.initialize(["--allow-root", f"--root-dir={root}", "--IdentityProvider.token=t", *argv], **how)
    monkeypatch.setattr(
        ServerApp, "make_embedded", staticmethod(lambda server: Embedded(MemoryReactorClock(), server, checked(server)))
    )
    return app


def test_what_is_asked_for_is_made(app: ServerApp, tmp_path: Path) -> None:
    assert isinstance(app.kernel_manager, MappingKernelManager)
    assert app.contents_manager.root_dir == str(tmp_path)
    assert app.session_manager._kernels is app.kernel_manager
    assert "find_kernel_specs" in dir(app.kernel_spec_manager)
    assert app.config_manager.get("no-such-section") == {}
    assert hasattr(app.event_logger, "emit")
    assert app.web_app.site is app.http_server
    assert app.io_loop is app.embedded.reactor
    assert app.starter_app is None


def test_there_is_no_http_server_before_it_is_made(app: ServerApp) -> None:
    with pytest.raises(AttributeError, match="init_httpserver"):
        _ = app.http_server


STEPS = (
    "init_ioloop", "init_logging", "init_resources", "init_mime_overrides", "init_configurables", "init_components",
    "init_event_logger", "init_webapp", "init_shutdown_no_activity", "find_server_extensions",
    "init_server_extensions", "load_server_extensions", "shutdown_no_activity",
)  # fmt: skip


def test_the_steps_may_be_taken_in_any_order(app: ServerApp) -> None:
    for name in reversed(STEPS):
        getattr(app, name)()


def test_the_settings_that_extensions_read(app: ServerApp) -> None:
    settings = app.web_app.settings
    assert (settings["base_url"], settings["serverapp"]) == ("/", app)
    assert settings["kernel_manager"] is app.kernel_manager
    other = ServerWebApplication(app, ("kernels",), base_url="/x/", settings_overrides={"mine": 1})
    assert (other.settings["base_url"], other.settings["mine"]) == ("/x/", 1)
    assert {pattern for pattern, _ in other.handlers} == {
        "/api/kernels/[^/]+/channels(?:/.*)?",
        "/api/kernels/[^/]+/execute(?:/.*)?",
        "/api/kernels/[^/]+/executions(?:/.*)?",
        "/api/kernels/[^/]+/log(?:/.*)?",
        "/api/kernels(?:/.*)?",
    }
    assert app.web_app.last_activity().utcoffset() is not None


def test_each_service_of_the_reference_is_mounted_and_has_routes(app: ServerApp) -> None:
    for name in app.default_services:
        assert ServerWebApplication(app, (name,)).handlers, name
        assert load_handlers(name), name
        assert load_handlers(f"jupyter_server.services.{name}.handlers") == load_handlers(name)
    assert ("/api/kernels/<kernel_id>/interrupt", "KernelsResource") in [
        (path, kind.__name__) for path, kind in load_handlers("kernels")
    ]
    with pytest.raises(ImportError):
        load_handlers("no.such.module")


@pytest.mark.lab
def test_the_front_end_that_starts_it(tmp_path: Path, jupyter_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = made(tmp_path, monkeypatch, starter_extension="lab")
    assert (app.default_url, app.starter_app.name) == ("/lab", "lab")
    assert made(tmp_path, monkeypatch, starter_extension="notebook").default_url == "/tree"
    said = made(tmp_path, monkeypatch, "--ServerApp.default_url=/x", starter_extension="lab")
    assert said.default_url == "/x"


def test_extensions_that_enable_themselves_may_be_left_out(
    tmp_path: Path, jupyter_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces = jupyter_home / "config" / "jupyter_server_config.d"
    pieces.mkdir(parents=True)
    (pieces / "x.json").write_text(json.dumps({"ServerApp": {"jpserver_extensions": {"x": True}}}))
    assert made(tmp_path, monkeypatch).jpserver_extensions.get("x") is True
    assert "x" not in made(tmp_path, monkeypatch, find_extensions=False).jpserver_extensions


def test_settings_that_a_program_has_set_wrongly(app: ServerApp) -> None:
    app.certfile = "/nowhere.pem"
    with pytest.raises(BadSettings, match="certfile can not be read"):
        _ = app.embedded


def test_a_stop_before_the_start(app: ServerApp) -> None:
    app.init_webapp()
    stopped = app.stop()
    assert stopped.called
    assert app.stop().called


@ensureDeferred
async def test_kernels_and_extensions_are_cleaned_up(app: ServerApp) -> None:
    await app.cleanup_kernels()
    await app.cleanup_extensions()
    assert len(app.kernel_manager) == 0


# -- with sockets and a reactor

BLOCKING = """
import os, signal, sys
from jupyterd.serverapp import ServerApp

app = ServerApp(allow_root=True)
app.initialize(["--allow-root", "--port=0", "--IdentityProvider.token=t"])

def ask():
    from urllib.request import Request, urlopen
    with urlopen(Request(app.connection_url + "api/status", headers={"Authorization": "token t"})) as answer:
        print(answer.status, flush=True)
    os.kill(os.getpid(), signal.SIGTERM)

app.init_ioloop()
app.io_loop.callWhenRunning(app.io_loop.callInThread, ask)
app.start()
print("went on", app.kernel_manager is not None)
"""


@pytest.mark.real
def test_a_program_that_serves_and_goes_on(tmp_path: Path, jupyter_home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BLOCKING], cwd=tmp_path, capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "200\nwent on True\n"
    assert "is running at:" in done.stderr
    assert list((jupyter_home / "runtime").glob("jpserver-*")) == []


@pytest.mark.real
@ensureDeferred
async def test_within_a_reactor_that_runs(tmp_path: Path, jupyter_home: Path) -> None:
    from twisted.internet import reactor
    from twisted.web.client import Agent, readBody
    from twisted.web.http_headers import Headers

    before = signal.getsignal(signal.SIGTERM)
    app = ServerApp()
    app.initialize(["--allow-root", "--port=0", f"--root-dir={tmp_path}", "--IdentityProvider.token=t"])
    app.start()
    assert app.port != 0
    headers = Headers({"Authorization": ["token t"]})
    url = f"http://127.0.0.1:{app.port}/api/kernels".encode()
    answer = await Agent(reactor).request(b"GET", url, headers)
    assert (answer.code, await readBody(answer)) == (200, b"[]")
    info = jupyter_home / "runtime" / f"jpserver-{os.getpid()}.json"
    assert json.loads(info.read_text())["port"] == app.port
    stopped = app.stop()
    assert isinstance(stopped, Deferred)
    await stopped
    assert not info.exists()
    assert signal.getsignal(signal.SIGTERM) is before, "the program's own"
