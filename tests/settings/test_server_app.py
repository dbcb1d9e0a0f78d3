"""The server's own settings and subcommands: help, files made, values taken and refused."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from jupyterd.serverapp import ServerApp
from jupyterd.settings.load import BadSettings, Settings, act, load
from tests.settings.loading import refused, server

pytestmark = pytest.mark.usefixtures("as_anybody")


@pytest.mark.parametrize("written", ["x", "/x", "x/", "/x/", "//x//"])
def test_slashes_of_the_base_url_may_be_left_out(written: str) -> None:
    assert server(f"--base-url={written}").base_url == "/x/"


def test_the_base_url_alone_is_a_slash() -> None:
    assert server("--base-url=").base_url == "/"


@pytest.mark.parametrize(
    ("ip", "remote"),
    [("*", True), ("", True), ("0.0.0.0", True), ("127.0.0.2", False), ("::1", False), ("localhost", False)],
)
def test_who_listens_on_loopback_alone_refuses_other_hosts(ip: str, remote: bool) -> None:
    assert server(f"--ip={ip}").allow_remote_access is remote


def test_paths_are_absolute_and_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WHERE", "sub")
    (tmp_path / "sub").mkdir()
    (tmp_path / "cert.pem").touch()
    made = server("--root-dir=$WHERE", "--certfile=~/cert.pem", "--ServerApp.cookie_secret_file=secret")
    assert made.root_dir == str(tmp_path / "sub")
    assert made.certfile == str(tmp_path / "cert.pem")
    assert made.cookie_secret_file == str(tmp_path / "secret")
    assert server("--sock=s").sock == str(tmp_path / "s")
    assert server("--root-dir=/").root_dir == "/"


def test_port_and_socket_exclude_each_other() -> None:
    assert refused("--port=1", "--sock=/tmp/s") == "Options --port and --sock are mutually exclusive."
    assert server("--sock=/tmp/s").port == 0


def test_root_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert refused() == "Running as root is not recommended. Use --allow-root to bypass."
    server("--allow-root")


def test_a_default_without_localhost(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(socket.socket):
        def bind(self, address: object) -> None:
            raise OSError("no")

    monkeypatch.setattr(socket, "socket", Broken)
    assert server().ip == "127.0.0.1"


def test_show_config(capsys: pytest.CaptureFixture[str]) -> None:
    assert act(load(["--port=9", "--show-config"]))
    assert ".port = 9" in capsys.readouterr().out
    assert act(load(["--port=9", "--ServerApp.prot=8", "--show-config-json"]))  # a slip is shown as it is
    assert json.loads(capsys.readouterr().out)["ServerApp"]["port"] == 9
    assert not act(Settings(ServerApp()))


def test_generate_config_as_root_and_without_an_answer(
    user: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    file = user / "jupyter_server_config.py"
    file.write_text("mine")

    def no_answer(_: str) -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", no_answer)
    with pytest.raises(SystemExit) as caught:
        act(load(["--generate-config"]))
    assert caught.value.code == 1
    assert file.read_text() == "mine"


def test_generate_config(user: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert act(load(["--generate-config", "-y"]))
    text = (user / "jupyter_server_config.py").read_text()
    assert "# c.ServerApp.port = 8888" in text
    assert "c.ServerTraits" not in text
    assert "c.MappingKernelSettings" not in text
    assert "# c.MappingKernelManager.cull_idle_timeout" in text
    assert "# c.ConfigManager.config_dir_name" in text
    assert load([]).server.port == 8888


@pytest.mark.parametrize(
    ("option", "expected"), [("--help", "--port=<ServerApp.port>"), ("--help-all", "--ServerApp.port=")]
)
def test_help(option: str, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        load([option])
    assert caught.value.code == 0
    assert expected in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        load(["--version"])
    assert capsys.readouterr().out.strip() == ServerApp.version


@pytest.mark.parametrize(
    ("given", "value"), [("{}", {}), ("{'compression_level': 1}", {"compression_level": 1}), ("None", None)]
)
def test_websocket_compression_on_the_command_line(given: str, value: Any) -> None:
    assert (
        load(
            ["--allow-root", f"--ServerApp.websocket_compression_options={given}"]
        ).server.websocket_compression_options
        == value
    )


@pytest.mark.parametrize("given", ["True", "{'mem_level': 10}", "{", "x"])
def test_websocket_compression_that_is_none(given: str) -> None:
    with pytest.raises(BadSettings, match="websocket_compression_options"):
        load(["--allow-root", f"--ServerApp.websocket_compression_options={given}"])
