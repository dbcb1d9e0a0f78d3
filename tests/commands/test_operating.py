"""Commands about a running server and its kernels, against a real one."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyterd.commands.logs import text_of
from jupyterd.commands.status import lines_of, size, span, table
from tests.real.daemon import JUPYTERD, TOKEN, Daemon, environment, running, until

SIZES = [(None, "-"), (0, "0 B"), (999, "999 B"), (1000, "1 kB"), (81_234_567, "81 MB"), (3e12, "3000 GB")]
SPANS = [(0, "0 s"), (59.9, "59 s"), (60, "1 min"), (7200, "2 h"), (90_000, "1 d")]


@pytest.mark.parametrize(("count", "text"), SIZES)
def test_sizes(count: int | None, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(("seconds", "text"), SPANS)
def test_spans(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_a_table_has_columns() -> None:
    assert list(table(("A", "LONGER"), [("x", "1"), ("yyy", "2")])) == ["A    LONGER", "x    1", "yyy  2"]


def test_what_a_message_shows() -> None:
    def said(kind: str, **content: object) -> str:
        return text_of({"header": {"msg_type": kind}, "content": content})

    assert said("stream", text="a\n") == "a\n"
    assert said("execute_result", data={"text/plain": "42"}) == "42\n"
    assert said("error", traceback=["one", "two"]) == "one\ntwo\n"
    assert said("status", execution_state="idle") == ""
    assert text_of({"header": None, "content": None}) == ""


def test_another_server_is_shown_as_far_as_it_tells() -> None:
    account = {"status": {"started": "2026-01-01T00:00:00Z"}, "kernels": [], "terminals": [], "people": []}
    assert next(lines_of("http://x/", account)) == "http://x/  a Jupyter Server, started 2026-01-01T00:00:00"


def test_what_is_on_disk_and_the_extensions_are_told() -> None:
    account = {
        "version": {"jupyterd": "1"}, "pid": 7, "uptime": 1, "root_dir": "/r", "cpu": 0.5, "memory": 1000,
        "descriptors": 9, "reactor": {"worst": 0.01, "stalls": 2}, "people": [], "terminals": [], "kernels": [],
        "stores": {"spill": 2_000_000, "versions": 3000},
        "extension_host": {"state": "ready", "pid": 8, "memory": 5_000_000, "extensions": ["x"]},
    }  # fmt: skip
    text = "\n".join(lines_of("http://x/", account))
    assert "on disk: 2 MB of kernels' logs, 3 kB of notebooks' versions\n" in text
    assert "extensions: ready, pid 8, memory 5 MB\n" in text


# -- against a real one


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with running(tmp_path_factory.mktemp("commands")) as one:
        yield one


def jupyterd(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*JUPYTERD, *words], capture_output=True, text=True, timeout=60, env=environment(home), cwd=home, check=False
    )


@pytest.mark.real
def test_a_running_server_and_its_kernels(daemon: Daemon) -> None:
    home = daemon.home
    asked = {"path": "a.ipynb", "name": "", "type": "notebook", "kernel": {"name": "python3"}}
    kernel = daemon.json("POST", "/api/sessions", asked)["kernel"]["id"]
    code = "import time\nprint('hello')\nfor _ in range(2000): time.sleep(0.02)"
    daemon.json("POST", f"/api/kernels/{kernel}/execute", {"code": code})

    shown = until(lambda: "busy" in (text := jupyterd(home, "status").stdout) and text)
    assert f"pid {daemon.pid}" in shown
    assert "a.ipynb" in shown
    assert "on disk: 0 B of kernels' logs, 0 B of notebooks' versions\n" in shown
    told = json.loads(jupyterd(home, "status", str(daemon.port), "--json").stdout)
    assert [one["id"] for one in told["kernels"]] == [kernel]
    assert (told["stores"], told["start_seconds"] > 0) == ({"spill": 0, "versions": 0}, True)
    assert told["extension_host"] is None or told["extension_host"]["pid"] in daemon.children()
    assert kernel in jupyterd(home, "kernels").stdout
    assert json.loads(jupyterd(home, "sessions", "--json").stdout)["path"] == "a.ipynb"
    until(lambda: jupyterd(home, "logs", "a.ipynb").stdout.endswith("hello\n"))  # behind what the debugger says

    assert jupyterd(home, "interrupt", kernel[:8]).returncode == 0
    until(lambda: daemon.json("GET", f"/api/kernels/{kernel}")["execution_state"] == "idle")
    assert "KeyboardInterrupt" in jupyterd(home, "logs", "a.ipynb").stdout
    assert jupyterd(home, "restart", "a.ipynb").returncode == 0
    until(lambda: daemon.json("GET", f"/api/kernels/{kernel}")["execution_state"] == "idle")
    assert kernel in jupyterd(home, "completion", "--words", "restart", "").stdout.split()
    assert jupyterd(home, "shutdown", "a.ipynb").returncode == 0
    assert daemon.json("GET", "/api/kernels") == []


@pytest.mark.real
def test_by_its_url_with_its_token(daemon: Daemon, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{daemon.port}/"
    assert jupyterd(tmp_path, "status", "--server", url, "--token", TOKEN).returncode == 0
    refused = jupyterd(tmp_path, "status", "--server", url, "--token", "wrong")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "Traceback" not in refused.stderr


@pytest.mark.real
def test_what_can_not_be_done_is_one_line(daemon: Daemon, tmp_path: Path) -> None:
    for words, told in (
        (("interrupt", "nothing"), "no kernel is meant by 'nothing'"),
        (("status", "1"), "no server runs on 1"),
    ):
        done = jupyterd(daemon.home, *words)
        assert (done.returncode, done.stderr) == (2, f"jupyterd {words[0]}: {told}\n")
    nowhere = jupyterd(tmp_path, "status", "--all")
    assert (nowhere.returncode, nowhere.stdout) == (3, "no server runs\n")


@pytest.mark.real
def test_a_level_is_changed_while_it_runs(daemon: Daemon) -> None:
    assert jupyterd(daemon.home, "log-level").stdout == "INFO\n"
    assert jupyterd(daemon.home, "log-level", "jupyterd.web", "DEBUG").stdout == "INFO\njupyterd.web DEBUG\n"
    daemon.json("GET", "/api/kernelspecs")
    until(lambda: "200 GET /api/kernelspecs" in daemon.log)
    assert jupyterd(daemon.home, "log-level", "jupyterd.web", "default").stdout == "INFO\n"
    assert "is no log level" in jupyterd(daemon.home, "log-level", "LOUD").stderr


@pytest.mark.real
def test_a_watch_paints_again(daemon: Daemon) -> None:
    watching = subprocess.Popen(
        [*JUPYTERD, "status", "--watch"], stdout=subprocess.PIPE, text=True, env=environment(daemon.home)
    )
    try:
        time.sleep(6)
    finally:
        watching.terminate()
    shown, _ = watching.communicate(timeout=20)
    assert shown.count("\x1b[H\x1b[2J") >= 2
