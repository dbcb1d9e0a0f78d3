"""Below twistd: what is imported, what is refused and how, what twistd is told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jupyterd import tap
from jupyterd.settings.load import load

pytestmark = pytest.mark.slow

CHECK = """
import sys
sys.argv = ["twistd", "-n", "jupyterd"]
import twisted.plugins.jupyterd_plugin as plugin
heavy = {{"twisted.internet.reactor", "txzmq", "zmq", "klein", "autobahn", "jupyter_client", "nbformat"}}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
assert "jupyterd" not in sys.modules
from jupyterd.tap import Options
from jupyterd.settings.load import load
load(["--allow-root", "--port=0"])
assert not heavy & set(sys.modules), heavy & set(sys.modules)
Options().parseOptions(["--allow-root"])
import asyncio
from twisted.internet import reactor
assert type(reactor).__name__ == "AsyncioSelectorReactor"
assert asyncio.get_event_loop_policy().get_event_loop() is reactor._asyncioEventloop
assert not (heavy - {{"twisted.internet.reactor"}}) & set(sys.modules)
{more}
"""


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What came of a command; that an extension beside the interpreter is not loaded is left out of what it said."""
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False
    )
    lines = done.stderr.splitlines(keepends=True)
    done.stderr = "".join(line for line in lines if "does not load server extensions" not in line)
    return done


def test_options_import_neither_the_reactor_nor_zmq() -> None:
    done = run(sys.executable, "-c", CHECK.format(more=""))
    assert (done.returncode, done.stderr) == (0, "")


def test_a_reactor_of_the_operator_s_choice() -> None:
    chosen = "from twisted.internet import asyncioreactor\nasyncioreactor.install()\n"
    assert (
        run(sys.executable, "-c", chosen + CHECK.format(more="").replace('"twisted.internet.reactor", ', "")).returncode
        == 0
    )
    wrong = "from twisted.internet import selectreactor\nselectreactor.install()\n"
    use = "from jupyterd.tap import Options\nOptions().parseOptions(['--allow-root'])"
    done = run(sys.executable, "-c", wrong + use)
    assert done.returncode == 2
    assert done.stderr == (
        "jupyterd: needs the asyncio reactor, not SelectReactor: leave out --reactor, or choose asyncio\n"
    )


@pytest.mark.parametrize(
    "command", [["-m", "jupyterd"], ["-c", "from twisted.scripts.twistd import run; run()", "-n", "jupyterd"]]
)
@pytest.mark.parametrize(
    ("option", "line"),
    [
        ("--prot=1", "jupyterd: unknown option --prot; did you mean --port?\n"),
        ("--port=x", "jupyterd: The 'port' trait of a ServerApp instance expected an int, not the str 'x'.\n"),
    ],
)
def test_what_is_wrong_is_one_line_and_status_two(command: list[str], option: str, line: str) -> None:
    done = run(sys.executable, *command, option)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)


@pytest.mark.parametrize("word", ["--help", "--version", "list"])
def test_what_is_no_service_ends_well(word: str) -> None:
    done = run(sys.executable, "-m", "jupyterd", word)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def twistd(**options: Any) -> dict[str, Any]:
    given = {"umask": None, "pidfile": "twistd.pid", "nodaemon": 0, "logfile": None, **options}
    tap._adjust(given, load(["--allow-root"]))
    return given


def test_a_daemon_keeps_the_umask_of_its_user() -> None:
    before = os.umask(0o027)
    try:
        assert twistd()["umask"] == 0o027
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)
    assert twistd(umask=0o077)["umask"] == 0o077


def test_files_of_twistd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert twistd()["pidfile"] == str(tmp_path / "twistd.pid")
    assert twistd(nodaemon=1)["pidfile"] == "", "none is left among notebooks"
    assert twistd(nodaemon=1, pidfile="my.pid")["pidfile"] == str(tmp_path / "my.pid")
    assert twistd(pidfile="")["pidfile"] == ""
    assert twistd(logfile="x.log")["logfile"] == str(tmp_path / "x.log")
    assert twistd(logfile="-")["logfile"] == "-"


def test_handlers_of_the_operator_s_are_beside_the_log(tmp_path: Path) -> None:
    settings = load(["--allow-root"])
    assert tap._handlers_of(settings)(print) is print  # type: ignore[arg-type, comparison-overlap]
    handler = {"class": "logging.FileHandler", "filename": str(tmp_path / "log"), "delay": True}
    settings.server.logging_config = {"handlers": {"file": handler}, "loggers": {"ServerApp": {"handlers": ["file"]}}}
    assert tap._handlers_of(settings)(print) is not print  # type: ignore[arg-type, comparison-overlap]
