"""Server extensions from the index that are heavier, or met less often; unchanged, in one host.

They take long to load, and are tried where ``JUPYTERD_ALL_EXTENSIONS=1`` is set.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.extensions.environment import AI, RARE, python_of
from tests.extensions.serving import QUERY, connect, started
from tests.real.daemon import Daemon, until

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]
everything = pytest.mark.skipif(not os.environ.get("JUPYTERD_ALL_EXTENSIONS"), reason="set JUPYTERD_ALL_EXTENSIONS")
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}


def ready(daemon: Daemon) -> dict[str, Any]:
    """All extensions are loaded, and none has failed."""

    def told() -> Any:
        found = daemon.json("GET", "/api/extensions")
        return found if found["host"]["state"] == "ready" else None

    found: dict[str, Any] = until(told, 180, "the host is not ready")
    assert [(each["name"], each["error"]) for each in found["extensions"] if each["error"]] == [], daemon.log[-3000:]
    return found


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with started(tmp_path_factory.mktemp("rare"), python_of("rare", RARE)) as daemon:
        ready(daemon)
        yield daemon


def write_notebook(daemon: Daemon, path: str, *sources: str) -> None:
    empty = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    cells = [{**empty, "id": f"c{number}", "source": source} for number, source in enumerate(sources)]
    book = {"cells": cells, "metadata": KERNEL, "nbformat": 4, "nbformat_minor": 5}
    daemon.json("PUT", f"/api/contents/{path}", {"type": "notebook", "content": book})


def end_kernels(daemon: Daemon) -> int:
    """End all; how many there were."""
    kernels = daemon.json("GET", "/api/kernels")
    for kernel in kernels:
        daemon.ask("DELETE", f"/api/kernels/{kernel['id']}")
    return len(kernels)


@everything
def test_voila(daemon: Daemon) -> None:
    write_notebook(daemon, "v.ipynb", "import os; print(6*7, os.environ['QUERY_STRING'])")
    page = daemon.ask("GET", "/voila/render/v.ipynb?a=1", timeout=120).body.decode()
    assert "42 a=1" in page
    assert end_kernels(daemon) == 1


@everything
def test_panel(daemon: Daemon) -> None:
    """The page is made by a kernel of the daemon's."""
    write_notebook(daemon, "p.ipynb", "import panel as pn\npn.extension()\npn.Column('six times seven').servable()")
    answer = daemon.ask("GET", "/panel-preview/render/p.ipynb", timeout=120)
    assert (answer.status, b"bokeh" in answer.body.lower()) == (200, True), answer.body[-2000:]
    assert daemon.ask("GET", "/panel-preview/render/p.ipynb", token="").status in (302, 403)  # open in the reference
    assert end_kernels(daemon) == 1


@everything
def test_nbmodel(daemon: Daemon) -> None:
    kernel_id = daemon.start_kernel()
    answer = daemon.ask("POST", f"/api/kernels/{kernel_id}/execute", {"code": "print(6*7)"})
    assert answer.status == 202
    done = until(lambda: (got := daemon.ask("GET", answer.headers["Location"])).status == 200 and got, 60)
    assert "42" in done.body.decode()
    end_kernels(daemon)


def call(daemon: Daemon, number: int, method: str, **params: Any) -> Any:
    """One call over the Model Context Protocol; its result."""
    headers = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
    asked = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    answer = daemon.ask("POST", "/mcp", asked, headers, timeout=120)
    text = answer.body.decode()
    data = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    told = json.loads(data[-1] if data else text)
    assert "result" in told, told
    return told["result"]


@everything
def test_mcp_server(daemon: Daemon) -> None:
    about = {"name": "test", "version": "1"}
    call(daemon, 1, "initialize", protocolVersion="2025-03-26", capabilities={}, clientInfo=about)
    names = {tool["name"] for tool in call(daemon, 2, "tools/list")["tools"]}
    assert {"execute_code", "list_files"} <= names
    kernel_id = daemon.start_kernel()
    arguments = {"code": "print(6*7)", "kernel_id": kernel_id}
    assert "42" in json.dumps(call(daemon, 3, "tools/call", name="execute_code", arguments=arguments))
    end_kernels(daemon)


@everything
def test_nbclassic(daemon: Daemon) -> None:
    assert b"nbclassic" in daemon.ask("GET", "/nbclassic/tree").body
    assert daemon.ask("GET", "/static/nbclassic/tree/js/main.min.js").status == 200
    write_notebook(daemon, "classic.ipynb", "1")
    assert b"nbclassic" in daemon.ask("GET", "/nbclassic/notebooks/classic.ipynb").body
    for path in ("/custom/custom.css", "/nbextensions/mathjaxutils.js"):
        assert daemon.ask("GET", path).status in (200, 404)
        assert "Traceback" not in daemon.log[-2000:]


@everything
def test_terminals_of_nbclassic(daemon: Daemon) -> None:
    """Its page starts the terminal; who types there talks to the daemon's."""
    page = daemon.ask("GET", "/terminals/one").body.decode()
    assert "terminals/websocket/one" in page
    assert [each["name"] for each in daemon.json("GET", "/api/terminals")] == ["one"]
    client = connect(daemon, "/terminals/websocket/one")
    client.send(json.dumps(["stdin", "echo 4$((1 + 1))\r"]))
    said = ""
    deadline = time.monotonic() + 60
    while "42" not in said:  # what was typed, which is shown too, does not have it
        assert time.monotonic() < deadline, said
        said += "".join(map(str, json.loads(client.recv())[1:]))
    client.close()
    daemon.ask("DELETE", "/api/terminals/one")


@everything
def test_dask(daemon: Daemon) -> None:
    made = daemon.ask("PUT", "/dask/clusters", {}, timeout=120)
    assert made.status == 200, made.body
    assert daemon.ask("DELETE", f"/dask/clusters/{made.json['id']}", timeout=60).status == 204


@everything
def test_scheduler(daemon: Daemon) -> None:
    """A job runs a notebook, in a process of its own."""
    write_notebook(daemon, "job.ipynb", "print(6*7)")
    wanted = {"name": "j", "input_uri": "job.ipynb", "output_formats": ["ipynb"], "runtime_environment_name": ""}
    wanted["runtime_environment_name"] = daemon.json("GET", "/scheduler/runtime_environments")[0]["name"]
    job = daemon.json("POST", "/scheduler/jobs", wanted)["job_id"]

    def ended() -> Any:
        told = daemon.json("GET", f"/scheduler/jobs/{job}")
        return told if told["status"] in ("COMPLETED", "FAILED") else None

    told = until(ended, 120, "the job does not end")
    assert told["status"] == "COMPLETED", told


@everything
def test_jupyter_fs(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "o.txt").write_text("over there")
    options = (
        "--ServerApp.contents_manager_class=jupyterfs.metamanager.MetaManager",
        "--ServerApp.jpserver_extensions=jupyterfs.extension=True",
    )
    with started(tmp_path / "home", python_of("rare", RARE), *options, only=()) as daemon:
        (daemon.root / "x.txt").write_text("here")
        assert daemon.json("GET", "/api/contents/x.txt")["content"] == "here"
        daemon.json("PUT", "/api/contents/y.txt", {"type": "file", "format": "text", "content": "new"})
        assert (daemon.root / "y.txt").read_text() == "new"
        daemon.json("PATCH", "/api/contents/y.txt", {"path": "z.txt"})
        assert (daemon.root / "z.txt").read_text() == "new"
        wanted = {"resources": [{"name": "o", "url": f"osfs://{other}"}], "options": {}}
        drive = daemon.json("POST", "/jupyterfs/resources", wanted)[0]["drive"]
        assert daemon.json("GET", f"/api/contents/{drive}:o.txt")["content"] == "over there"


# -- in an environment of its own

RESULT = "https://events.jupyter.org/jupyterlab_command_toolkit/lab_command_result/v1"


@everything
def test_jupyter_ai(tmp_path: Path) -> None:
    """All of it loads; what a page tells of a command's result comes to the extension, and to each listener once."""
    with started(tmp_path, python_of("ai", AI)) as daemon:
        hosted = {each["name"] for each in ready(daemon)["extensions"] if each["how"] == "host"}
        assert {"jupyterlab_chat", "jupyter_ai_router", "jupyter_ai_persona_manager"} <= hosted
        listener = connect(daemon, f"/api/events/subscribe?{QUERY}")
        data = {"requestId": "r1", "success": True, "result": "done"}
        event = {"schema_id": RESULT, "version": "1", "data": data}
        assert daemon.ask("POST", "/api/events", event).status == 204
        until(lambda: "Received command result for request r1" in daemon.log)
        daemon.json("PUT", "/api/contents/end.txt", {"type": "file", "format": "text", "content": ""})
        heard = []
        while (told := json.loads(listener.recv())).get("path") != "end.txt":
            heard.append(told)
        assert [each["requestId"] for each in heard if each["schema_id"] == RESULT] == ["r1"]
