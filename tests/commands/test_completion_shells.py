"""Completion in the shells themselves: their scripts are read, and Tab writes the words."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from jupyterd.commands.completion import SCRIPTS
from tests.real.daemon import BIN, environment, until

pytestmark = pytest.mark.real


def needs(shell: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(shell) is None, reason=f"needs {shell}")


class Shell:
    """A shell at a terminal, whose user types.

    :param first: a line by which it reads its script; the prompt is ``> `` from then on.
    """

    def __init__(self, home: Path, argv: list[str], first: str) -> None:
        (home / "script").write_text(SCRIPTS[argv[0]])
        self.master, slave = pty.openpty()
        env = {**environment(home), "TERM": "dumb", "PS1": "> "}
        self.process = subprocess.Popen(
            argv, stdin=slave, stdout=slave, stderr=slave, cwd=home, env=env, start_new_session=True
        )
        os.close(slave)
        os.set_blocking(self.master, False)
        self.shown = ""
        self.type(f"{first}; source {home}/script; echo RE''ADY\n", "READY")

    def type(self, text: str, shown: str) -> None:
        """Type it, and wait until the terminal has shown something."""
        os.write(self.master, text.encode())

        def seen() -> bool:
            with suppress(OSError):
                self.shown += os.read(self.master, 65536).decode()
            return shown in self.shown

        until(seen, 30, f"{shown!r} was not shown")
        self.shown = self.shown.partition(shown)[2]

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)


SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "bind 'set enable-bracketed-paste off'"),
    "zsh": (["zsh", "-f", "-i"], "PROMPT='> '; autoload -Uz compinit; compinit -u -D"),
}


@pytest.fixture(params=[pytest.param(name, marks=needs(name)) for name in SHELLS])
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shell]:
    made = Shell(tmp_path, *SHELLS[request.param])
    yield made
    made.close()


def test_tab_writes_what_there_is(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "analysis.ipynb").touch()
    shell.type("jupyterd stat\t", "status")
    shell.type(" --wat\t", "--watch")
    shell.type("\x15jupyterd log-level jupyterd.web WARN\t", "WARNING")
    shell.type("\x15jupyterd run ana\t", "analysis.ipynb")  # nothing of ours: a file


@needs("fish")
def test_fish(tmp_path: Path) -> None:
    (tmp_path / "script").write_text(SCRIPTS["fish"])
    (tmp_path / "analysis.ipynb").touch()
    lines = ("jupyterd stat", "jupyterd status --wat", "jupyterd log-level jupyterd.web WARN", "jupyterd run ana")
    asked = "; ".join(f"complete -C '{line}'" for line in lines)
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"source {tmp_path}/script; {asked}"],
        capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path, env=environment(tmp_path),
    )  # fmt: skip
    assert (done.stdout.split(), done.stderr) == (["status", "--watch", "WARNING", "analysis.ipynb"], "")


def test_the_command_writes_the_script(tmp_path: Path) -> None:
    for shell, script in SCRIPTS.items():
        done = subprocess.run(
            [str(BIN / "jupyterd"), "completion", shell],
            capture_output=True, text=True, timeout=60, check=True, env=environment(tmp_path),
        )  # fmt: skip
        assert done.stdout == script
