"""Programs of others that find a server or a kernel by its files: on a socket, over ipc, with variables."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.real.daemon import BIN, TOKEN, Daemon, await_answer, environment, spawn
from tests.real.installed import environment_of

LISTED = """
import json
from jupyter_server.serverapp import list_running_servers
from jupyter_server.utils import fetch, url_path_join
(info,) = list_running_servers()
answer = fetch(url_path_join(info["url"], "api/kernels"), headers={"Authorization": f"token {info['token']}"})
print(answer.code, answer.body.decode())
"""
"""What a program does that looks for servers; its token is the one in the list."""

VARIABLES = """
import sys
from jupyter_kernel_client import JupyterKernelClient
client = JupyterKernelClient(server_url=sys.argv[1], token=sys.argv[2])
client.start(name="theirs")
print(client.execute("print(sum(given['a']))", variables={"given": {"a": [1, 2.5]}})["outputs"][0]["text"].strip())
client.set_variable("more", 7)
print(sorted(each["name"] for each in client.list_variables()), client.get_variable("given"))
client.restart()
print(client.execute("'more' in globals()")["outputs"][0]["data"]["text/plain"])
client.stop()
"""


@pytest.fixture(scope="module")
def clients() -> Path:
    """Where the clients are installed."""
    return environment_of("clients", "ipykernel", "jupyter_console>=6.6,<7", "jupyter-kernel-client>=1,<2")


def run(command: list[str], home: Path, given: str = "") -> str:
    done = subprocess.run(
        command, env=environment(home), input=given, capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_program_that_finds_a_socket_in_the_list(tmp_path: Path) -> None:
    daemon = spawn(tmp_path, [f"--sock={tmp_path / 's'}"])  # the token is one that the server makes
    daemon.sock = str(tmp_path / "s")
    try:
        await_answer(daemon)
        assert run([str(BIN / "python"), "-c", LISTED], tmp_path) == "200 []\n"
    finally:
        assert daemon.stop() == 0


def test_a_console_on_a_kernel_of_ours(daemon: Daemon, clients: Path) -> None:
    """Its connection file names ipc sockets."""
    kernel = daemon.start_kernel()
    file = daemon.home / "runtime" / f"kernel-{kernel}.json"
    assert json.loads(file.read_text())["transport"] == "ipc"
    console = [str(clients / "jupyter-console"), "--existing", str(file), "--simple-prompt"]
    assert "got 42" in run(console, daemon.home, "x = 6 * 7\nprint('got', x)\n\n")
    assert daemon.ask("DELETE", f"/api/kernels/{kernel}").status == 204


def test_a_client_that_sets_and_reads_variables(daemon: Daemon, clients: Path) -> None:
    spec = daemon.home / "data" / "kernels" / "theirs"
    spec.mkdir(parents=True)
    argv = [str(clients / "python"), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (spec / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "Theirs", "language": "python"}))
    url = f"http://127.0.0.1:{daemon.port}"
    told = run([str(clients / "python"), "-c", VARIABLES, url, TOKEN], daemon.home)
    assert told.splitlines() == ["3.5", "['given', 'more'] {'a': [1, 2.5]}", "False"]
    assert daemon.json("GET", "/api/kernels") == []
