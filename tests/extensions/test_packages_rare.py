"""Server extensions from the index that are heavier, or met less often; unchanged."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.extensions.environment import ALL, python_of
from tests.extensions.serving import connect, new_kernels, started, write_notebook
from tests.real.daemon import Daemon, until

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def kernel(daemon: Daemon) -> Iterator[str]:
    """A kernel of the daemon's."""
    with new_kernels(daemon):
        yield daemon.start_kernel()


def test_voila(daemon: Daemon) -> None:
    """Its kernel is one of the daemon's."""
    write_notebook(daemon, "v.ipynb", "import os; print(6*7, os.environ['QUERY_STRING'])")
    with new_kernels(daemon) as new:
        page = daemon.ask("GET", "/voila/render/v.ipynb?a=1", timeout=120).body.decode()
        assert "42 a=1" in page
        assert len(new()) == 1


def test_nbmodel(daemon: Daemon, kernel: str) -> None:
    answer = daemon.ask("POST", f"/api/kernels/{kernel}/execute", {"code": "print(6*7)"})
    assert answer.status == 202
    done = until(lambda: (got := daemon.ask("GET", answer.headers["Location"])).status == 200 and got, 60)
    assert "42" in done.body.decode()


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


def test_mcp_server(daemon: Daemon, kernel: str) -> None:
    about = {"name": "test", "version": "1"}
    call(daemon, 1, "initialize", protocolVersion="2025-03-26", capabilities={}, clientInfo=about)
    names = {tool["name"] for tool in call(daemon, 2, "tools/list")["tools"]}
    assert {"execute_code", "list_files"} <= names
    arguments = {"code": "print(6*7)", "kernel_id": kernel}
    assert "42" in json.dumps(call(daemon, 3, "tools/call", name="execute_code", arguments=arguments))


def test_nbclassic(daemon: Daemon) -> None:
    assert b"nbclassic" in daemon.ask("GET", "/nbclassic/tree").body
    assert daemon.ask("GET", "/static/nbclassic/tree/js/main.min.js").status == 200
    write_notebook(daemon, "classic.ipynb", "1")
    assert b"nbclassic" in daemon.ask("GET", "/nbclassic/notebooks/classic.ipynb").body
    for path in ("/custom/custom.css", "/nbextensions/mathjaxutils.js"):
        assert daemon.ask("GET", path).status in (200, 404)
        assert "Traceback" not in daemon.log[-2000:]


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


def test_dask(daemon: Daemon) -> None:
    made = daemon.ask("PUT", "/dask/clusters", {}, timeout=120)
    assert made.status == 200, made.body
    assert daemon.ask("DELETE", f"/dask/clusters/{made.json['id']}", timeout=60).status == 204


def test_scheduler(daemon: Daemon) -> None:
    """A job runs a notebook, in a process of its own."""
    write_notebook(daemon, "job.ipynb", "print(6*7)")
    wanted = {"name": "j", "input_uri": "job.ipynb", "output_formats": ["ipynb"], "runtime_environment_name": ""}
    wanted["runtime_environment_name"] = daemon.json("GET", "/scheduler/runtime_environments")[0]["name"]
    job = daemon.json("POST", "/scheduler/jobs", wanted)["job_id"]

    def ended() -> Any:
        time.sleep(0.2)
        told = daemon.json("GET", f"/scheduler/jobs/{job}")
        return told if told["status"] in ("COMPLETED", "FAILED") else None

    told = until(ended, 120, "the job does not end")
    assert told["status"] == "COMPLETED", told


def test_jupyter_fs(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "o.txt").write_text("over there")
    options = (
        "--ServerApp.contents_manager_class=jupyterfs.metamanager.MetaManager",
        "--ServerApp.jpserver_extensions=jupyterfs.extension=True",
    )
    with started(tmp_path / "home", python_of("all", ALL), *options, only=()) as daemon:
        (daemon.root / "x.txt").write_text("here")
        assert daemon.json("GET", "/api/contents/x.txt")["content"] == "here"
        daemon.json("PUT", "/api/contents/y.txt", {"type": "file", "format": "text", "content": "new"})
        assert (daemon.root / "y.txt").read_text() == "new"
        daemon.json("PATCH", "/api/contents/y.txt", {"path": "z.txt"})
        assert (daemon.root / "z.txt").read_text() == "new"
        wanted = {"resources": [{"name": "o", "url": f"osfs://{other}"}], "options": {}}
        drive = daemon.json("POST", "/jupyterfs/resources", wanted)[0]["drive"]
        assert daemon.json("GET", f"/api/contents/{drive}:o.txt")["content"] == "over there"
