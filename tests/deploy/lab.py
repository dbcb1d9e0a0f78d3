"""A Debian of one's own, for what needs a whole machine: systemd as its first process, images of containers.

It lies in ``JUPYTERD_LAB`` (by default ``lab`` in the cache of the tests) and is made once, by debootstrap, which root
alone can do. Nothing is done here unless ``JUPYTERD_MACHINES`` is set.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.real.daemon import alive, children_of, end_process, until
from tests.real.installed import CACHE

HOUSE = Path(__file__).resolve().parent.parent.parent
LAB = Path(os.environ.get("JUPYTERD_LAB") or CACHE / "lab")
SUITE = "bookworm"
PACKAGES = (
    "ca-certificates", "systemd-sysv", "dbus", "libpam-systemd", "python3", "python3-venv", "procps", "iproute2",
)  # fmt: skip
SERVER = "/opt/jupyterd"
"""Where the units look for it."""


def needs(*programs: str) -> list[pytest.MarkDecorator]:
    """Marks of a test that wants all of them, root, and to be asked for."""
    missing = [name for name in programs if shutil.which(name) is None]
    wanted = bool(os.environ.get("JUPYTERD_MACHINES")) and os.geteuid() == 0
    return [
        pytest.mark.real,
        pytest.mark.timeout(3600),
        pytest.mark.skipif(not wanted, reason="needs JUPYTERD_MACHINES=1, and root"),
        pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}"),
    ]


def run(*command: str | Path, patience: float = 900, **env: str) -> str:
    done = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, timeout=patience, check=False,
        stdin=subprocess.DEVNULL, env={**os.environ, **env},
    )  # fmt: skip
    assert done.returncode == 0, f"{command}: {done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def wheel() -> Path:
    """That of this tree, made anew: a directory with nothing else in it."""
    place = LAB / "wheel"
    shutil.rmtree(place, ignore_errors=True)
    source = LAB / "source"
    shutil.rmtree(source, ignore_errors=True)
    for name in run(
        "git",
        "-C",
        HOUSE,
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "jupyterd",
        "twisted",
        "*.cfg",
        "*.toml",
        "*.md",
    ).splitlines():
        if (HOUSE / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(HOUSE / name, source / name)
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", place, source)
    return place


def tree(name: str) -> Path:
    """A copy of the Debian, with a ``pip`` that reaches what this machine's reaches; it stays for the next run."""
    base, copy = LAB / "base", LAB / name
    if not (base / "etc/os-release").exists():
        LAB.mkdir(parents=True, exist_ok=True)
        run("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, base, patience=1800)
    if not copy.exists():
        run("cp", "-a", "--reflink=auto", base, copy)
        (copy / "etc/hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
        (copy / "etc/hostname").write_text("machine\n")
        (copy / "etc/resolv.conf").unlink(missing_ok=True)
        certificates = os.environ.get("PIP_CERT", "/etc/ssl/certs/ca-certificates.crt")
        shutil.copy(certificates, copy / "etc/ssl/certs/ca-certificates.crt")
    (copy / "etc/pip.conf").write_text(
        "[global]\nfind-links = /wheel\ncert = /etc/ssl/certs/ca-certificates.crt\nroot-user-action = ignore\n"
    )
    return copy


def chroot(place: Path, *command: str) -> None:
    """Run something in a tree that is not booted, with this machine's network and the wheel of this tree."""
    shutil.copy("/etc/resolv.conf", place / "etc/resolv.conf")
    run("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--pipe", f"--bind-ro={LAB / 'wheel'}:/wheel",
        "-D", place, *command)  # fmt: skip


class Machine:
    """A booted one.

    :ivar place: its files.
    """

    def __init__(self, place: Path, init: int) -> None:
        self.place, self._init = place, init

    def ask(self, *command: str, user: str = "root", patience: float = 120) -> subprocess.CompletedProcess[str]:
        """Run something in it, with a user's own service manager at hand."""
        number = "0" if user == "root" else self._number(user)
        env = [f"HOME=/home/{user}", f"XDG_RUNTIME_DIR=/run/user/{number}", "SYSTEMD_PAGER=", "PATH=/usr/sbin:/usr/bin"]
        become = [] if user == "root" else ["setpriv", f"--reuid={number}", f"--regid={number}", "--clear-groups"]
        return subprocess.run(
            ["nsenter", "--all", "--target", str(self._init), "env", "-i", *env, *become, *command],
            capture_output=True, text=True, timeout=patience, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def do(self, *command: str, user: str = "root") -> str:
        """The same; it must come to a good end."""
        done = self.ask(*command, user=user)
        if done.returncode:
            log = self.ask("journalctl", "--no-pager", "-n", "60").stdout
            pytest.fail(f"{command}: {done.stdout}{done.stderr}\n{log}")
        return done.stdout

    def write(self, path: str, text: str, user: str = "root") -> None:
        """A file of a user's."""
        target = self.place / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        if user != "root":
            self.do("chown", "-R", f"{user}:", "/".join(path.split("/")[:4]))

    def _number(self, user: str) -> str:
        for line in (self.place / "etc/passwd").read_text().splitlines():
            if line.startswith(f"{user}:"):
                return line.split(":")[2]
        raise KeyError(user)


def is_init(pid: int) -> bool:
    """Not one of those that prepare it."""
    try:
        return Path(f"/proc/{pid}/comm").read_text() == "systemd\n"
    except OSError:
        return False


@contextmanager
def booted(name: str) -> Iterator[Machine]:
    """A machine with the server of this tree and one user, ``ada``; powered off at the end."""
    place = tree(name)
    wheel()
    if not (place / SERVER.lstrip("/")).exists():
        chroot(place, "useradd", "--create-home", "--shell=/bin/bash", "ada")
        chroot(place, "python3", "-m", "venv", SERVER)
        chroot(place, f"{SERVER}/bin/pip", "install", "-q", "jupyterd", "ipykernel")
    chroot(place, "sh", "-c", f"{SERVER}/bin/pip install -q --no-deps --force-reinstall /wheel/*.whl")
    with (LAB / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            ["systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit", "--private-network",
             "--console=pipe", f"--machine=jupyterd-{name}", "-D", str(place)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        init = until(lambda: next(filter(is_init, children_of(process.pid)), 0), 60)
        machine = Machine(place, init)
        until(lambda: machine.ask("systemctl", "is-system-running").stdout.strip() in ("running", "degraded"), 90)
        yield machine
    finally:
        end_process(process, 60)
        assert not alive(init)
