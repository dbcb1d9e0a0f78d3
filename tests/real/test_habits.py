"""Command lines, files and scripts that people bring along from ``jupyter lab`` and ``jupyter notebook``."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.real.daemon import BIN, DEFAULT, TOKEN, Daemon, await_answer, environment, free_port, running, spawn

STOP = (str(BIN / "jupyter-server"), "stop")
"""The Jupyter Server's own command."""
ENTRY = f"""#!{sys.executable}
import os, shlex, sys
command = ["jupyter", os.environ.get("JUPYTER_CMD", "lab"), *shlex.split(os.environ["NOTEBOOK_ARGS"]), *sys.argv[1:]]
os.execvp(command[0], command)
"""


@contextmanager
def below(base: str, home: Path, options: list[str], argv: tuple[str, ...] = DEFAULT, **env: str) -> Iterator[Daemon]:
    """A server that is told by ``options``, or by what ``argv`` makes of them, to be below ``base``."""
    port = free_port()
    daemon = spawn(home, [f"--port={port}", *options], argv, **env)
    daemon.port, daemon.base = port, base
    try:
        await_answer(daemon)
        yield daemon
    finally:
        assert daemon.stop() == 0


def test_the_names_of_notebook_and_lab_on_the_command_line(tmp_path: Path) -> None:
    options = ["--NotebookApp.base_url=/habit", "--NotebookApp.default_url=/lab/tree/x", f"--LabApp.token={TOKEN}"]
    with below("/habit", tmp_path, options) as daemon:
        assert daemon.ask("GET", "/api/kernels").status == 200
        assert daemon.ask("GET", "/").headers["Location"] == "/habit/lab/tree/x"
        assert daemon.log.count("'base_url' has moved from NotebookApp to ServerApp.") == 1


def test_an_entry_script_of_a_container(tmp_path: Path) -> None:
    """It runs ``jupyter <command>`` with what an image, a variable and a user say; the token is emptied."""
    entry = tmp_path / "start-notebook.py"
    entry.write_text(ENTRY)
    entry.chmod(0o755)
    config = tmp_path / "config"
    config.mkdir()
    (config / "jupyter_server_config.py").write_text(
        "import os\nc = get_config()\nc.ServerApp.ip = ''\nc.ServerApp.open_browser = False\n"
        "c.InlineBackend.figure_formats = {'png'}\nc.FileContentsManager.delete_to_trash = False\nos.umask(0o002)\n"
    )
    (config / "jupyter_notebook_config.json").write_text('{"NotebookApp": {"base_url": "/image"}}')
    given = {"JUPYTER_CMD": "jupyterd", "NOTEBOOK_ARGS": "--LabApp.token='' --NotebookApp.password=''"}
    with below("/image", tmp_path, [], (str(entry),), JUPYTER_NO_CONFIG="", **given) as daemon:
        assert daemon.ask("GET", "/api/kernels", token="").status == 200
        assert "Umask:\t0002\n" in Path(f"/proc/{daemon.pid}/status").read_text()


@pytest.mark.parametrize("by", ["port", "socket"])
def test_the_reference_s_command_stops_it(tmp_path: Path, by: str) -> None:
    if by == "socket":
        daemon = spawn(tmp_path, [f"--sock={tmp_path / 's'}"])
        daemon.sock = where = str(tmp_path / "s")
    else:
        daemon = spawn(tmp_path, [f"--port={(port := free_port())}"])
        daemon.port, where = port, str(port)
    try:
        await_answer(daemon)
        stop = subprocess.run([*STOP, where], env=environment(tmp_path), capture_output=True, timeout=60, check=False)
        assert stop.returncode == 0, stop.stderr
        assert daemon.process.wait(20) == 0
    finally:
        daemon.stop()
    assert list((tmp_path / "runtime").glob("*server*")) == []
    assert not (tmp_path / "s").exists()


def test_the_reference_s_list_tells_an_api_version(tmp_path: Path) -> None:
    listed = [STOP[0], "list", "--json"]
    with running(tmp_path) as daemon:
        text = subprocess.run(listed, env=environment(tmp_path), capture_output=True, timeout=60, check=True).stdout
        (info,) = map(json.loads, text.splitlines())
        assert info["pid"] == daemon.pid
        assert info["version"] == daemon.json("GET", "/api")["version"]
