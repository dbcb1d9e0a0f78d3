"""URLs and the description of a server, and the commands that find and stop servers."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest
from jupyter_core.application import NoStart

from jupyterd.serverapp import (
    JupyterPasswordApp,
    JupyterServerListApp,
    JupyterServerStopApp,
    ServerApp,
    list_running_servers,
    random_ports,
)
from jupyterd.settings.load import load
from jupyterd.status.version import API_VERSION
from jupyterd.supervision.running_servers import shutdown_server


def server(*argv: str, token: str | None = None) -> ServerApp:
    made = load(["--allow-root", *argv]).server
    if token is not None:
        made.identity_provider.token = token
        made.identity_provider.token_generated = True
    return made


def test_urls() -> None:
    made = server("--ip=127.0.0.1", "--port=1", token="t")
    assert made.public_url == made.local_url == made.display_url == "http://127.0.0.1:1/?token=t"
    assert made.connection_url == "http://127.0.0.1:1/"


def test_two_urls_where_the_name_is_not_the_address() -> None:
    made = server("--ip=localhost", "--port=1", "--base-url=b", "--ServerApp.default_url=/lab", token="t")
    assert made.display_url == "http://localhost:1/b/lab?token=t\n    http://127.0.0.1:1/b/lab?token=t"


def test_a_token_of_the_operator_s_own_is_not_shown() -> None:
    made = server("--ip=127.0.0.1", "--port=1", "--IdentityProvider.token=hush")
    assert made.public_url == "http://127.0.0.1:1/?token=..."
    assert made.server_info()["token"] == "hush"


def test_no_token() -> None:
    assert server("--ip=::1", "--port=1", "--IdentityProvider.token=").public_url == "http://[::1]:1/"


def test_tls(tmp_path: Path) -> None:
    (tmp_path / "c.pem").touch()
    made = server("--ip=::1", "--port=1", f"--certfile={tmp_path / 'c.pem'}", token="t")
    assert (made.local_url, made.server_info()["secure"]) == ("https://[::1]:1/?token=t", True)


@pytest.mark.parametrize("ip", ["0.0.0.0", "::"])
def test_a_wildcard_shows_this_machine_s_name(ip: str) -> None:
    made = server(f"--ip={ip}", "--port=1", token="t")
    assert made.connection_url == f"http://{socket.gethostname()}:1/"
    assert f"http://{socket.gethostname()}:1/?token=t" in made.connect_url
    assert "listening on all interfaces" in made.connect_url


def test_a_url_of_the_operator_s_own() -> None:
    made = server("--port=1", "--ServerApp.custom_display_url=https://hub.example/u", token="t")
    assert made.public_url == "https://hub.example/u?token=t"


def test_a_socket() -> None:
    made = server("--sock=/tmp/a/s", token="t")
    assert made.public_url == "http+unix://%2Ftmp%2Fa%2Fs/?token=t"
    assert made.connection_url == "http+unix://%2Ftmp%2Fa%2Fs/"


def test_what_it_tells_about_itself() -> None:
    made = server("--ip=127.0.0.1", "--port=1", token="t")
    assert made.server_info() == {
        "base_url": "/",
        "hostname": "127.0.0.1",
        "password": False,
        "pid": os.getpid(),
        "port": 1,
        "root_dir": os.getcwd(),
        "secure": False,
        "sock": "",
        "token": "t",
        "url": "http://127.0.0.1:1/",
        "version": API_VERSION,
        "jupyterd_version": ServerApp.version,
    }
    assert "1 active kernel\n" in made.running_server_info(kernels=1)
    assert made.running_server_info(kernel_count=False).startswith("Serving notebooks from local directory: /")


def test_random_ports() -> None:
    assert list(random_ports(8888, 3)) == [8888, 8889, 8890]
    many = list(random_ports(8888, 50))
    assert many[:5] == [8888, 8889, 8890, 8891, 8892]
    assert len(many) == 50
    assert all(8788 <= port <= 8988 for port in many)
    assert all(1 <= port <= 65535 for start in (1, 65535) for port in random_ports(start, 50))


# -- commands


@pytest.fixture
def runtime(jupyter_home: Path) -> Path:
    directory = jupyter_home / "runtime"
    directory.mkdir()
    return directory


def describe(runtime: Path, pid: int, **more: object) -> dict[str, object]:
    info = {"pid": pid, "url": "http://localhost:1/", "port": 1, "token": "t", "root_dir": "/r", **more}
    (runtime / f"jpserver-{pid}.json").write_text(json.dumps(info))
    return info


def test_running_servers_are_found_and_dead_ones_forgotten(runtime: Path) -> None:
    alive = describe(runtime, os.getpid())
    dead = 2**22 + 1  # above the largest process id of Linux
    describe(runtime, dead)
    (runtime / "jpserver-7.json").write_text("{")
    (runtime / "kernel-1.json").write_text("{}")
    assert list(list_running_servers()) == [alive]
    assert not (runtime / f"jpserver-{dead}.json").exists()
    assert list(list_running_servers(str(runtime / "none"))) == []


def test_list(runtime: Path, capsys: pytest.CaptureFixture[str]) -> None:
    info = describe(runtime, os.getpid())
    for flags in ([], ["--json"], ["--jsonlist"]):
        app = JupyterServerListApp()
        app.initialize(flags)
        app.start()
    plain, header, line, rest = capsys.readouterr().out.split("\n", 3)
    assert plain == "Currently running servers:"
    assert header == "http://localhost:1/?token=t :: /r"
    assert json.loads(line) == info
    assert json.loads(rest) == [info]


class Stoppable(BaseHTTPRequestHandler):
    asked: list[tuple[str, str | None]] = []

    def do_POST(self) -> None:
        self.asked.append((self.path, self.headers["Authorization"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def http() -> Iterator[int]:
    Stoppable.asked.clear()
    listening = HTTPServer(("127.0.0.1", 0), Stoppable)
    Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01}).start()
    yield listening.server_address[1]
    listening.shutdown()
    listening.server_close()


def test_a_server_is_asked_to_stop(http: int) -> None:
    gone = 2**22 + 1
    assert shutdown_server({"url": f"http://127.0.0.1:{http}/b/", "pid": gone, "token": "t"})
    assert Stoppable.asked == [("/b/api/shutdown?kernels=default", "token t")]


def test_stop_by_port(http: int, runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    describe(runtime, os.getpid(), port=http, url=f"http://127.0.0.1:{http}/")
    monkeypatch.setattr("jupyterd.supervision.running_servers.check_pid", lambda pid: not Stoppable.asked)
    app = JupyterServerStopApp()
    app.initialize([str(http)])
    app.start()
    assert Stoppable.asked == [("/api/shutdown?kernels=default", "token t")]


def test_stop_what_is_not_there(runtime: Path) -> None:
    app = JupyterServerStopApp()
    app.initialize(["9"])
    with pytest.raises(SystemExit, match="There are no running servers"):
        app.start()
    describe(runtime, os.getpid())
    with pytest.raises(SystemExit) as caught:
        app.start()
    assert caught.value.code == 1


def test_stop_by_socket_takes_any_path() -> None:
    app = JupyterServerStopApp()
    app.initialize(["some/sock"])
    assert app.sock == os.path.abspath("some/sock")


def set_password(monkeypatch: pytest.MonkeyPatch, *typed: str | type[Exception]) -> None:
    answers = iter(typed)

    def ask(prompt: str) -> str:
        answer = next(answers)
        if isinstance(answer, str):
            return answer
        raise answer

    monkeypatch.setattr("getpass.getpass", ask)
    app = JupyterPasswordApp()
    app.initialize([])
    app.start()


def test_password(jupyter_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_password(monkeypatch, "secret", "secret")
    written = json.loads((jupyter_home / "config" / "jupyter_server_config.json").read_text())
    hashed = written["IdentityProvider"]["hashed_password"]
    assert hashed.startswith("argon2:")
    made = server()
    assert made.identity_provider.hashed_password == hashed
    assert made.server_info()["password"] is True
    assert made.public_url.endswith(":8888/"), "no token is needed"


@pytest.mark.parametrize("typed", [("one", "other"), ("", ""), (EOFError,)])
def test_no_password(typed: tuple[str, ...], jupyter_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit):
        set_password(monkeypatch, *typed)
    assert not (jupyter_home / "config" / "jupyter_server_config.json").exists()


def test_where_its_own_files_are(tmp_path: Path) -> None:
    made = server(f"--ServerApp.extra_static_paths={tmp_path}", f"--ServerApp.extra_template_paths={tmp_path}")
    for paths, name in ((made.static_file_path, "favicon.ico"), (made.template_file_path, "login.html")):
        assert paths[0] == str(tmp_path)
        assert (Path(paths[1]) / name).is_file()


def test_the_page_that_opens_a_browser_is_written_and_removed_alone(jupyter_home: Path, tmp_path: Path) -> None:
    (tmp_path / "n.ipynb").write_text("{}")
    made = server(str(tmp_path / "n.ipynb"))
    made.write_browser_open_files()
    made.remove_browser_open_file()
    assert not Path(made.browser_open_file).exists()
    assert Path(made.browser_open_file_to_run).exists()
    made.remove_browser_open_files()
    made.write_browser_open_file()
    assert Path(made.browser_open_file).exists()
    assert not Path(made.browser_open_file_to_run).exists()


def test_launching_a_browser(jupyter_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    browser = SimpleNamespace(open=lambda url, new: opened.append(url))
    monkeypatch.setattr("webbrowser.get", lambda _: browser)
    made = server()
    made.launch_browser()
    assert opened == [Path(made.browser_open_file).as_uri()]


def test_launching_serves_what_the_command_line_says(jupyter_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[list[str]] = []
    monkeypatch.setattr("jupyterd.__main__.main", served.append)
    ServerApp.launch_instance(["--allow-root", "--port=9"])
    assert served == [["--allow-root", "--port=9"]]


def test_starting_does_what_is_no_service(
    jupyter_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("jupyterd.__main__.main", None)
    made = ServerApp()
    made.initialize(["list"])
    with pytest.raises(NoStart):  # which launch_instance() takes for an end
        made.start()
    assert "Currently running servers" in capsys.readouterr().out
