"""The commands ``run`` and ``runs``, against a server that a thread serves."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from jupyterd.commands import run as run_module
from jupyterd.commands.client import CommandError, ServerClient, is_below
from jupyterd.commands.run import parser, run, value_of
from jupyterd.commands.runs import parser as runs_parser
from jupyterd.commands.runs import runs

MODEL = {
    "id": "r1",
    "state": "running",
    "done": 0,
    "total": 2,
    "ended": None,
    "error": None,
    "created": "2026-01-01T00:00:00Z",
}
MODEL["started"] = MODEL["created"]


NONE = 0


class Server:
    """Gives each answer once, the last one ever after; none for :data:`NONE`."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any, str | None]] = []
        self.answers: list[tuple[int, Any]] = [(200, None)]
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                owner.asked.append(
                    (self.command, self.path, json.loads(body or b"null"), self.headers.get("authorization"))
                )
                status, value = owner.answers.pop(0) if len(owner.answers) > 1 else owner.answers[0]
                if status == NONE:
                    return
                data = b"" if value is None else json.dumps(value).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_DELETE = answer

            def log_message(self, *_: Any) -> None: ...

        self.http = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/?token=secret"
        Thread(target=self.http.serve_forever, daemon=True).start()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(run_module, "POLL", 0.0)
    made = Server()
    yield made
    made.http.shutdown()
    made.http.server_close()


def do(server: Server, *words: str) -> tuple[int, str]:
    stream = io.StringIO()
    return run(parser().parse_args([*words, "--server", server.url]), stream), stream.getvalue()


def test_a_run_is_watched_to_its_end(server: Server) -> None:
    server.answers = [
        (202, MODEL),
        (200, {**MODEL, "done": 1}),
        (200, {**MODEL, "done": 2, "state": "ok", "ended": "x"}),
    ]
    status, said = do(server, "d/ä.ipynb", "-p", "alpha", "0.5", "-r", "name", "1", "--from", "2", "--kernel", "k")
    assert status == 0
    assert said.splitlines() == ["d/ä.ipynb 0/2 running", "d/ä.ipynb 1/2 running", "d/ä.ipynb 2/2 ok"]
    method, path, body, authorization = server.asked[0]
    assert (method, path, authorization) == ("POST", "/api/contents/d/%C3%A4.ipynb/run", "token secret")
    assert body == {
        "stop_on_error": True, "shut_down": True, "kernel_name": "k", "from": 2,
        "parameters": {"alpha": 0.5, "name": "1"},
    }  # fmt: skip
    assert server.asked[-1][:2] == ("GET", "/api/contents/d/%C3%A4.ipynb/runs/r1")


def test_a_server_that_is_started_again_is_waited_for(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    away = (NONE, None)
    server.answers = [(202, MODEL), away, away, (200, {**MODEL, "done": 2, "state": "ok", "ended": "x"})]
    assert do(server, "a.ipynb")[0] == 0
    monkeypatch.setattr(run_module, "AWAY", 0.0)
    server.answers = [(202, MODEL), away]
    status, said = do(server, "a.ipynb")
    assert (status, "does not answer" in said) == (2, True)


def test_a_run_that_ended_with_its_server_is_told_in_a_sentence(server: Server) -> None:
    unknown = (404, {"message": "Run does not exist: r1", "reason": None})
    server.answers = [(202, MODEL), (200, {**MODEL, "done": 1}), (NONE, None), (NONE, None), unknown]
    status, said = do(server, "a.ipynb")
    assert (status, said.splitlines()[-1]) == (
        1, "jupyterd run: The server was stopped, and the run ended with it, after 1 of 2 cells"
    )  # fmt: skip
    server.answers = [(202, MODEL), unknown]
    assert do(server, "a.ipynb") == (2, "a.ipynb 0/2 running\njupyterd run: Run does not exist: r1\n")


def test_a_failure_is_shown_and_is_the_exit_status(server: Server) -> None:
    error = {"ename": "E", "evalue": "v", "traceback": ["line 1", "line 2"], "cell_id": "c1", "index": 0}
    server.answers = [(202, {**MODEL, "state": "error", "ended": "x", "error": error})]
    status, said = do(server, "a.ipynb", "--keep-going", "--keep-kernel")
    assert (status, said.splitlines()[1:]) == (1, ["In cell c1:", "line 1", "line 2"])
    assert server.asked[0][2] == {"stop_on_error": False, "shut_down": False}


def test_a_refusal_is_told_in_the_servers_words(server: Server) -> None:
    server.answers = [(404, {"message": "Notebook does not exist: a.ipynb", "reason": None})]
    assert do(server, "a.ipynb") == (2, "jupyterd run: Notebook does not exist: a.ipynb\n")
    server.answers = [(502, None)]
    assert do(server, "a.ipynb")[0] == 2


def test_it_can_be_left_running_and_looked_at_and_stopped(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server.answers = [(202, MODEL)]
    assert do(server, "a.ipynb", "--detach") == (0, "")
    assert capsys.readouterr().out == "r1\n"
    server.answers = [(200, [MODEL])]
    stream = io.StringIO()
    assert runs(runs_parser().parse_args(["a.ipynb", "--server", server.url]), stream) == 0
    assert stream.getvalue() == "r1  2026-01-01T00:00:00  running   0/2\n"
    server.answers = [(204, None)]
    assert runs(runs_parser().parse_args(["a.ipynb", "--server", server.url, "--cancel", "r1"]), stream) == 0
    assert server.asked[-1][:2] == ("DELETE", "/api/contents/a.ipynb/runs/r1")


def test_an_interrupted_command_cancels_its_run(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run_module.time, "sleep", interrupt)
    server.answers = [(202, MODEL), (204, None)]
    status, said = do(server, "a.ipynb")
    assert (status, said.splitlines()[-1]) == (130, "jupyterd run: cancelled")
    assert server.asked[-1][0] == "DELETE"


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1), ("1.5", 1.5), ("True", True), ("None", None), ("true", "true"), ("x", "x"), ("[1]", "[1]")],
)
def test_values_on_the_command_line(text: str, value: Any) -> None:
    assert value_of(text) == value
    assert type(value_of(text)) is type(value)


def test_the_server_of_a_file_is_the_nearest_one(tmp_path: Path) -> None:
    runtime, root = tmp_path / "runtime", tmp_path / "root"
    runtime.mkdir()
    (root / "deep").mkdir(parents=True)
    import os

    for port, directory in ((1, root), (2, root / "deep"), (3, tmp_path / "else")):
        info = {"pid": os.getpid(), "url": f"http://x:{port}/", "token": "t", "root_dir": str(directory)}
        (runtime / f"jpserver-{port}.json").write_text(json.dumps(info))
    client = ServerClient.for_file(str(root / "deep" / "a.ipynb"), str(runtime))
    assert (client.url, client.api_path(str(root / "deep" / "a.ipynb"))) == ("http://x:2/", "a.ipynb")
    with pytest.raises(CommandError, match="No server runs for"):
        ServerClient.for_file("/nowhere/a.ipynb", str(runtime))
    assert not is_below("/a", "")


def test_nobody_answers() -> None:
    with pytest.raises(CommandError, match="does not answer"):
        ServerClient.at("http://127.0.0.1:1/").ask("GET", "api")
    stream = io.StringIO()
    assert run(parser().parse_args(["/nowhere.ipynb"]), stream) == 2
    assert "There is no file" in stream.getvalue()
