"""The image of docs/deploy, built and run by podman from a wheel of this tree."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.lab import HOUSE, LAB, chroot, needs, run, tree, wheel
from tests.real.daemon import until

pytestmark = needs("podman", "debootstrap", "systemd-nspawn")
BASE = "docker.io/library/python:3.12-slim"
IMAGE = "localhost/jupyterd-test"
LIMITS = ("--ulimit=nofile=4096:4096", "--ulimit=nproc=4096:4096")
"""Podman's own are above what root may have on some machines."""

INSIDE = """
import glob, json, os, subprocess, time, urllib.request

[path] = glob.glob(os.path.expanduser("~/.local/share/jupyter/runtime/jpserver-*.json"))
token = json.load(open(path))["token"]

def ask(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": "token " + token}
    asked = urllib.request.Request("http://127.0.0.1:8888" + path, data, headers, method=method)
    return json.load(urllib.request.urlopen(asked, timeout=60))

def states():
    pids = filter(str.isdigit, os.listdir("/proc"))
    return [open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] for pid in pids]

kernel = ask("POST", "/api/kernels", {"name": "python3"})["id"]
code = "import subprocess; subprocess.run(['sh', '-c', 'sleep 0.2 &']); open('/home/jovyan/work/made', 'w')"
ask("POST", f"/api/kernels/{kernel}/execute", {"code": code})
while not os.path.exists(os.path.expanduser("~/work/made")):
    time.sleep(0.1)
while "Z" not in states():
    time.sleep(0.02)
while "Z" in states():
    time.sleep(0.1)
print("fine")
"""


def podman(*words: str | Path, text: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Podman with a storage of its own, and without a systemd that would run health checks."""
    runtime = ["--runtime=runc"] if shutil.which("runc") else []
    place = [f"--root={LAB / 'podman'}", "--runroot=/run/jupyterd-lab", "--cgroup-manager=cgroupfs"]
    done = subprocess.run(
        ["podman", *place, *runtime, "--events-backend=file", *map(str, words)],
        input=text, capture_output=True, text=True, timeout=1800, env={"PATH": "/usr/sbin:/usr/bin", "HOME": "/root",
        "DISABLE_HC_SYSTEMD": "true"}, check=False,
    )  # fmt: skip
    assert not check or done.returncode == 0, f"{words}: {done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Built from the image that the file names, where podman has it, else from a Debian with Python in its place."""
    wheel()
    if podman("image", "exists", BASE, check=False).returncode:
        stand_in = tree("image")
        chroot(stand_in, "python3", "-m", "venv", "/usr/local")
        run("tar", "-C", stand_in, "-cf", LAB / "image.tar", ".")
        podman("import", LAB / "image.tar", BASE)
    podman(
        "build", "--isolation=chroot", "--format=docker", f"--volume={LAB / 'wheel'}:/wheel:ro", f"--tag={IMAGE}",
        f"--file={HOUSE / 'docs/deploy/files/Dockerfile'}", tmp_path_factory.mktemp("context"),
    )  # fmt: skip
    return IMAGE


@pytest.fixture
def name(image: str) -> Iterator[str]:
    """A container as the file starts it, with a new volume for the notebooks."""
    name = "jupyterd-test"
    podman("rm", "--force", "--volumes", name, check=False)
    podman("volume", "rm", "--force", name, check=False)
    started(name, image)
    yield name
    podman("rm", "--force", "--time=0", name, check=False)
    podman("volume", "rm", "--force", name, check=False)


def started(name: str, image: str) -> None:
    podman("run", "--detach", "--network=none", *LIMITS, f"--name={name}", f"--volume={name}:/home/jovyan/work", image)
    healthy(name)


def healthy(name: str) -> None:
    until(lambda: podman("healthcheck", "run", name, check=False).returncode == 0, 60, "it did not become healthy")


def inside(name: str, *words: str, text: str | None = None) -> str:
    return podman("exec", "--interactive", name, *words, text=text).stdout


def test_it_runs_without_root_without_an_init_and_ends_in_time(name: str, image: str) -> None:
    assert inside(name, "id", "-u") == "1000\n"
    assert inside(name, "python", "-", text=INSIDE) == "fine\n"
    began = time.monotonic()
    podman("stop", "--time=30", name)
    assert time.monotonic() - began < 25
    assert podman("inspect", "--format={{.State.ExitCode}}", name).stdout == "0\n"
    podman("rm", name)
    started(name, image)
    assert inside(name, "ls", "/home/jovyan/work") == "made\n"


def test_it_comes_back_after_it_was_killed(name: str) -> None:
    assert inside(name, "python", "-", text=INSIDE) == "fine\n"
    podman("kill", "--signal=KILL", name)
    until(lambda: podman("inspect", "--format={{.State.Running}}", name).stdout == "false\n")
    podman("start", name)
    healthy(name)
    assert "kernels: 1" in inside(name, "jupyterd", "status"), "its kernel is told of, as one that has ended"
    podman("stop", "--time=30", name)
    assert podman("inspect", "--format={{.State.ExitCode}}", name).stdout == "0\n"
