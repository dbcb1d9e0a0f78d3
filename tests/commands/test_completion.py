"""Completion: what a shell offers, and that each shell's script can be read by it."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from jupyterd.commands import COMMANDS
from jupyterd.commands.completion import SCRIPTS, _parser, words
from jupyterd.commands.restart import is_place

LIVE = {"where": lambda: ["8888", "/run/s"], "kernel": lambda: ["1f3a", "work/a.ipynb"]}

CASES = [
    ([], [*sorted([*COMMANDS, "list", "stop", "password", "help"])]),
    (["sta"], ["status"]),
    (["--endp"], ["--endpoints"]),
    (["status", ""], ["/run/s", "8888"]),
    (["status", "--w"], ["--watch"]),
    (["status", "8888", ""], []),
    (["interrupt", ""], ["1f3a", "work/a.ipynb"]),
    (["interrupt", "--at", "8"], ["8888"]),
    (["interrupt", "--at", "8888", "w"], ["work/a.ipynb"]),
    (["restart", "1"], ["1f3a"]),
    (["restart", ""], ["/run/s", "1f3a", "8888", "work/a.ipynb"]),
    (["log-level", "D"], ["DEBUG"]),
    (["log-level", "jupyterd.kernels", "W"], ["WARNING"]),
    (["completion", ""], ["bash", "fish", "zsh"]),
    (["extension", "en"], ["enable"]),
    (["extension", "status", "--j"], ["--json"]),
    (["run", ""], []),
    (["stop", ""], ["/run/s", "8888"]),
    (["--port", "8889", "wor"], []),
]


@pytest.mark.parametrize(("given", "offered"), CASES)
def test_what_is_offered(given: list[str], offered: list[str]) -> None:
    assert words(given, LIVE) == offered


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_examples(command: str) -> None:
    text = _parser(command).format_help()
    assert f"examples:\n  jupyterd {command}" in text
    assert text.startswith(f"usage: jupyterd {command} ")


@pytest.mark.parametrize("shell", SCRIPTS)
def test_a_shell_can_read_its_script(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    done = subprocess.run([shell, "-n"], input=SCRIPTS[shell], text=True, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_word_is_a_server_or_a_kernel() -> None:
    servers = [{"port": 1, "sock": "/run/s"}]
    assert is_place("8888", servers)
    assert is_place("/run/s", servers)
    assert not is_place("12345678", servers), "the beginning of an id"
    assert not is_place("work/a.ipynb", servers)
