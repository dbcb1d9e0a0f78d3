"""Server extensions from the index, unchanged, as their users meet them: the common ones."""

from __future__ import annotations

import http.server
import io
import json
import os
import re
import subprocess
import threading
import zipfile
from typing import Any

import pytest
import websocket

from tests.extensions.environment import ALL, python_of
from tests.extensions.serving import QUERY, connect, git, hosted_in, new_directory, ready, repository
from tests.real.daemon import Daemon, until

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]


def test_the_server_answers_before_they_are_loaded(begun: tuple[Daemon, str]) -> None:
    assert begun[1] == "starting"


def test_all_of_them_work(daemon: Daemon) -> None:
    assert hosted_in(ready(daemon)) == {
        "dask_labextension", "jupyter_archive", "jupyter_lsp", "jupyter_mcp_server", "jupyter_resource_usage",
        "jupyter_scheduler", "jupyter_server_fileid", "jupyter_server_nbmodel", "jupyter_server_proxy",
        "jupyter_server_ydoc", "jupyterlab_code_formatter", "jupyterlab_git", "nbclassic", "nbdime", "nbgitpuller",
        "panel.io.jupyter_server_extension", "voila.server_extension",
    }  # fmt: skip


def test_jupyterlab_git(daemon: Daemon) -> None:
    place = repository(daemon, "repo")
    (place / "a.txt").write_text("b\n")
    status = daemon.json("POST", "/git/repo/status", {})
    assert [file["to"] for file in status["files"]] == ["a.txt"]
    gone = daemon.ask("POST", "/git/repo/content", {"filename": "gone.txt", "reference": {"special": "WORKING"}})
    assert (gone.status, gone.json) == (200, {"code": 0, "content": ""})
    assert daemon.json("POST", "/git/repo/add", {"add_all": False, "filename": "a.txt"})["code"] == 0
    kept = daemon.json("POST", "/git/repo/commit", {"commit_msg": "second", "author": "n <a@b.c>"})
    log = daemon.json("POST", "/git/repo/log", {"history_count": 5})
    assert kept["code"] == 0, kept
    assert [commit["commit_msg"] for commit in log["commits"]] == ["second", "first"]
    new_directory(daemon, "clones")
    assert daemon.json("POST", "/git/clones/clone", {"clone_url": place.as_uri()})["code"] == 0
    assert (daemon.root / "clones" / "repo" / "a.txt").exists()


def test_jupyter_lsp(daemon: Daemon) -> None:
    assert "pylsp" in daemon.json("GET", "/lsp/status")["sessions"]
    client = connect(daemon, "/lsp/ws/pylsp")
    asked = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"capabilities": {}, "rootUri": None}}
    client.send(json.dumps(asked))
    answer: dict[str, Any] = {}
    while answer.get("id") != 1:
        answer = json.loads(client.recv())
    assert answer["result"]["capabilities"]["hoverProvider"]
    client.close()


def test_the_page_of_lab_holds_what_they_tell_it(daemon: Daemon) -> None:
    page = daemon.ask("GET", "/lab").body.decode()
    assert re.search(r'"rootUri": "file://', page)
    assert '"disableRTC": false' in page


def test_collaboration_and_file_ids(daemon: Daemon) -> None:
    (daemon.root / "c.txt").write_text("hello")
    wanted = {"format": "text", "type": "file"}
    before = daemon.json("PUT", "/api/collaboration/session/c.txt", wanted)
    daemon.json("PATCH", "/api/contents/c.txt", {"path": "d.txt"})
    after = daemon.json("PUT", "/api/collaboration/session/d.txt", wanted)
    assert after["fileId"] == before["fileId"]
    room = f"/api/collaboration/room/text:file:{after['fileId']}?sessionId={after['sessionId']}"
    client = connect(daemon, room)
    opcode, data = client.recv_data()
    assert opcode == websocket.ABNF.OPCODE_BINARY
    assert data[:2] == b"\x00\x00"  # step one of the sync protocol
    client.close()


def test_resource_usage(daemon: Daemon) -> None:
    before = daemon.json("GET", "/api/metrics/v1")["rss"]
    kernel_id = daemon.start_kernel()
    client = connect(daemon, f"/api/kernels/{kernel_id}/channels?session_id=u")
    header = {"msg_id": "1", "msg_type": "execute_request", "username": "", "session": "u", "version": "5.3"}
    content = {"code": "a = b'x' * 300_000_000", "silent": False, "store_history": False, "user_expressions": {}}
    message = {
        "header": header,
        "parent_header": {},
        "metadata": {},
        "content": content,
        "channel": "shell",
        "buffers": [],
    }
    client.send(json.dumps(message))
    until(lambda: daemon.json("GET", "/api/metrics/v1")["rss"] > before + 300_000_000, 60)
    usage = daemon.json("GET", f"/api/metrics/v1/kernel_usage/get_usage/{kernel_id}")
    assert usage["content"]["kernel_memory"] > 300_000_000
    client.close()
    daemon.ask("DELETE", f"/api/kernels/{kernel_id}")
    text = daemon.ask("GET", "/metrics").body.decode()
    assert "total_memory_usage" in text
    assert text.count("# TYPE http_request_duration_seconds ") == 1


def test_jupytext(daemon: Daemon) -> None:
    (daemon.root / "text.py").write_text("# %%\n1 + 1\n\n# %% [markdown]\n# words\n")
    assert daemon.json("GET", "/api/contents/text.py?content=0")["type"] == "notebook"
    model = daemon.json("GET", "/api/contents/text.py?type=notebook")
    assert len(model["content"]["cells"]) == 2
    heard = connect(daemon, "/api/events/subscribe")
    model["content"]["cells"][0]["source"] = "2 + 2"
    daemon.json("PUT", "/api/contents/text.py", {"type": "notebook", "content": model["content"]})
    daemon.json("PUT", "/api/contents/end.txt", {"type": "file", "format": "text", "content": ""})
    saved = []
    while (event := json.loads(heard.recv())).get("path") != "end.txt":
        saved.append((event.get("action"), event.get("path")))
    assert saved.count(("save", "text.py")) == 1
    assert (daemon.root / "text.py").read_text().startswith("# %%\n2 + 2\n")


def test_nbgitpuller(daemon: Daemon) -> None:
    place = repository(daemon, "source")
    connection = daemon.connection()
    connection.request("GET", f"/git-pull/api?repo={place.as_uri()}&targetpath=pulled&branch=master&{QUERY}")
    response = connection.getresponse()
    assert response.getheader("Content-Type") == "text/event-stream"
    lines = [line for line in response.read().decode().splitlines() if line]
    assert json.loads(lines[-1].removeprefix("data: ")) == {"phase": "finished"}
    assert (daemon.root / "pulled" / "a.txt").exists()
    connection.request("GET", f"/git-pull?repo=x&{QUERY}")
    response = connection.getresponse()
    page = response.read().decode()
    cookies = [value for name, value in response.getheaders() if name.lower() == "set-cookie"]
    assert sum(cookie.startswith("_xsrf=") for cookie in cookies) == 1
    assert response.status == 200
    style = re.search(r'href="(/static/style/bootstrap[^"]+)"', page)
    assert style is not None
    assert daemon.ask("GET", style[1]).status == 200


def test_nbdime(daemon: Daemon) -> None:
    place = repository(daemon, "books")
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "outputs": [], "execution_count": None, "source": "1"}
    book = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    daemon.json("PUT", "/api/contents/books/nb.ipynb", {"type": "notebook", "content": book})
    git(place, "add", ".")
    git(place, "commit", "-m", "book")
    daemon.json("POST", "/api/contents/books/nb.ipynb/checkpoints")
    cell["source"] = "2"
    daemon.json("PUT", "/api/contents/books/nb.ipynb", {"type": "notebook", "content": book})
    found = daemon.json("POST", "/nbdime/api/diff", {"base": "checkpoint:books/nb.ipynb"})
    assert found["base"]["cells"][0]["source"] == "1"
    assert found["diff"]
    asked = {"ref_local": {"git": "HEAD"}, "ref_remote": {"special": "WORKING"}, "file_path": "books/nb.ipynb"}
    assert len(daemon.json("POST", "/nbdime/api/gitdiff", asked)["diff"]) == 1
    script = daemon.ask("GET", "/static/nbdime.js")
    assert script.status == 200
    assert len(script.body) > 1_000_000


def test_archive(daemon: Daemon) -> None:
    place = new_directory(daemon, "many")
    for number in range(20):
        (place / f"{number}.bin").write_bytes(os.urandom(1000))
    answer = daemon.ask("GET", "/directories/many?archiveToken=x&archiveFormat=zip")
    assert len(zipfile.ZipFile(io.BytesIO(answer.body)).namelist()) == 20


def test_code_formatter(daemon: Daemon) -> None:
    wanted = {"code": ["x=1"], "options": {}, "notebook": True, "formatter": "black"}
    assert daemon.json("POST", "/jupyterlab_code_formatter/format", wanted)["code"] == [{"code": "x = 1"}]


class Application(http.server.BaseHTTPRequestHandler):
    """An application behind jupyter-server-proxy."""

    def do_GET(self) -> None:
        self._answer(
            json.dumps({"path": self.path, "context": self.headers["X-Forwarded-Context"], "all": list(self.headers)})
        )

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer("took it")

    def _answer(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *args: Any) -> None: ...


def test_server_proxy(daemon: Daemon) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Application)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    told = daemon.json("GET", f"/proxy/{port}/x?y=1")
    assert told["path"] == "/x?y=1"
    assert told["context"] == f"/proxy/{port}"
    assert not [name for name in told["all"] if name.lower().startswith("x-jupyterd")]
    connection = daemon.connection()
    connection.request("GET", f"/proxy/{port}/?{QUERY}")
    response = connection.getresponse()
    response.read()
    cookie = "; ".join(value.partition(";")[0] for name, value in response.getheaders() if name == "Set-Cookie")
    assert daemon.ask("POST", f"/proxy/{port}/form", b"a=b", {"Cookie": cookie}, token="").body == b"took it"
    foreign = {"Cookie": cookie, "Origin": "http://evil.example"}
    assert daemon.ask("POST", f"/proxy/{port}/form", b"a=b", foreign, token="").status == 404
    server.shutdown()


ECHO = """
import asyncio
from tornado.web import Application
from tornado.websocket import WebSocketHandler

class Echo(WebSocketHandler):
    def select_subprotocol(self, subprotocols):
        return "abc"

    def on_message(self, message):
        self.write_message(message, binary=True)

async def main():
    server = Application([("/ws", Echo)]).listen(0, "127.0.0.1")
    print(next(iter(server._sockets.values())).getsockname()[1], flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def test_a_websocket_of_an_application_behind_server_proxy(daemon: Daemon) -> None:
    command = [str(python_of("all", ALL)), "-c", ECHO]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as application:
        try:
            assert application.stdout is not None
            port = int(application.stdout.readline())
            client = connect(daemon, f"/proxy/{port}/ws", subprotocols=["abc"])
            assert client.subprotocol == "abc"
            large = os.urandom(3 << 20)
            client.send_binary(large)
            assert client.recv() == large
            client.close()
        finally:
            application.terminate()
