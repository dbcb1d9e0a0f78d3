"""docs/hub.md where servers are no processes of the Hub's: containers by Docker's API, units of systemd, pods."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.hub.test_documentation import blocks
from tests.real import programs
from tests.real.daemon import end_process, until
from tests.real.hub.hub import PROXY_TOKEN, Person, Program, RealHub, started

IMAGE = os.environ.get("JUPYTERD_HUB_IMAGE", "")
"""An image with jupyterd, ipykernel and the user jovyan, as the page's Dockerfile makes it. Docker's API is where
``DOCKER_HOST`` says; ``podman system service`` speaks it too."""
MACHINE = os.environ.get("JUPYTERD_HUB_MACHINE", "")
"""The directory of a Linux that systemd-nspawn boots, on this machine's network: with systemd, a user ``ada``,
``/opt/jupyterd`` (jupyterd, ipykernel) and ``/opt/hub`` (jupyterhub, jupyterhub-systemdspawner)."""
PODMAN = ["podman", *(["--url", os.environ["DOCKER_HOST"]] if "DOCKER_HOST" in os.environ else [])]
pytestmark = pytest.mark.real
CONTAINERS = """
told["environment"] = {}
c.Spawner.environment, c.Spawner.args = {}, []
c.JupyterHub.hub_bind_url = f"http://0.0.0.0:{told['hub_port']}"
"""
"""A container has a PATH of its own, and its user is nobody who must be allowed to be root; it reaches the Hub by the
machine's address."""


def configuration(spawner: str) -> str:
    """What the page says of a spawner."""
    (code,) = [code for code in blocks("python") if f'spawner_class = "{spawner}"' in code]
    return code


def a_day(hub: RealHub, user: str) -> dict[str, Any]:
    """Log in, have a server started, and work there; what the kernel tells of its place."""
    person = Person(hub).log_in(user)
    program = Program(hub, user)
    assert person.get(program.base).path == f"{program.base}lab"
    assert person.ask("GET", f"{program.base}healthz").status == 200
    assert program.ask("GET", "api/me")["identity"]["username"] == user
    code = "import getpass, json, os, socket; print(json.dumps([getpass.getuser(), os.getcwd(), socket.gethostname()]))"
    told = json.loads(program.by_websocket(code))
    program.ask("PUT", "api/contents/kept.txt", {"type": "file", "format": "text", "content": "kept"})
    until(lambda: f"POST /hub/api/users/{user}/activity" in hub.log, 30, "the Hub hears of no activity")
    assert person.get(f"{program.base}logout").path == "/hub/login"
    return dict(zip(("user", "directory", "host"), told, strict=True))


def another_day(hub: RealHub, user: str) -> None:
    """Stop the server and start it again: files are there, and it ended by itself."""
    hub.stop_servers(user)
    program = Program(hub, user)
    assert program.ask("GET", "api/contents/kept.txt")["content"] == "kept"
    hub.stop_servers(user)
    assert "Traceback" not in hub.log


@pytest.mark.skipif(not IMAGE, reason="set JUPYTERD_HUB_IMAGE")
def test_dockerspawner(tmp_path: Path) -> None:
    user = f"ada{os.getpid()}"
    more = f"""
{CONTAINERS}
{configuration("docker")}
c.DockerSpawner.image = {IMAGE!r}
c.DockerSpawner.remove = True
c.JupyterHub.hub_connect_ip = {machine_address()!r}
"""
    with started(RealHub(tmp_path / "hub", more=more, commands=programs.spawners())) as hub:
        told = a_day(hub, user)
        assert (told["user"], told["directory"]) == ("jovyan", "/home/jovyan")
        another_day(hub, user)


PODS = """
import asyncio, os, yaml

os.environ["KUBECONFIG"] = told["home"] + "/kubeconfig"
with open(os.environ["KUBECONFIG"], "w") as file:
    yaml.safe_dump({
        "clusters": [{"name": "none", "cluster": {"server": "http://127.0.0.1:1"}}],
        "contexts": [{"name": "none", "context": {"cluster": "none", "user": "none"}}],
        "users": [{"name": "none", "user": {}}], "current-context": "none",
    }, file)
from kubernetes_asyncio.client import ApiClient  # which looks for the file
from kubespawner import KubeSpawner

class Pods(KubeSpawner):
    '''Has Podman play what Kubernetes would be asked for.'''

    async def podman(self, *words):
        running = await asyncio.create_subprocess_exec(*PODMAN, *words, stdout=asyncio.subprocess.PIPE)
        said, _ = await running.communicate()
        return running.returncode, said.decode()

    @property
    def manifest(self):
        return told["home"] + "/" + self.pod_name + ".json"

    async def start(self):
        pod = self.modify_pod_hook(self, await self.get_pod_manifest())
        with open(self.manifest, "w") as file:
            json.dump(ApiClient().sanitize_for_serialization(pod), file)
        status, said = await self.podman("kube", "play", self.manifest)
        assert status == 0, said
        _, inspected = await self.podman("pod", "inspect", self.pod_name)
        _, infra = await self.podman("inspect", json.loads(inspected)["InfraContainerID"])
        (network,) = json.loads(infra)[0]["NetworkSettings"]["Networks"].values()
        return network["IPAddress"], self.port

    async def poll(self):
        status, inspected = await self.podman("pod", "inspect", self.pod_name)
        return None if status == 0 and json.loads(inspected)["State"] == "Running" else 1

    async def stop(self, now=False):
        await self.podman("kube", "down", self.manifest)

values = yaml.safe_load(VALUES)
exec(values["hub"]["extraConfig"]["probes"])
# As the chart does it:
c.KubeSpawner.cmd = values["singleuser"]["cmd"]
c.KubeSpawner.extra_pod_config = values["singleuser"]["extraPodConfig"]
c.KubeSpawner.image = IMAGE
c.JupyterHub.spawner_class = Pods
"""


@pytest.mark.skipif(not IMAGE or shutil.which("podman") is None, reason="set JUPYTERD_HUB_IMAGE; needs Podman")
def test_a_pod_of_zero_to_jupyterhub(tmp_path: Path) -> None:
    """The pod that KubeSpawner makes of the chart's values, run by Podman, with its probes asked as a kubelet asks."""
    user = f"eve{os.getpid()}"
    (values,) = blocks("yaml")
    more = f"""
PODMAN, VALUES, IMAGE = {PODMAN!r}, {values!r}, {IMAGE!r}
{CONTAINERS}
{PODS}
c.JupyterHub.hub_connect_ip = {machine_address()!r}
"""
    with started(RealHub(tmp_path / "hub", more=more, commands=programs.spawners())) as hub:
        told = a_day(hub, user)
        assert (told["user"], told["directory"]) == ("jovyan", "/home/jovyan")
        (manifest,) = hub.home.glob(f"jupyter-{user}*.json")
        pod = json.loads(manifest.read_text())
        (container,) = pod["spec"]["containers"]
        inspected = json.loads(podman("pod", "inspect", pod["metadata"]["name"]))
        infra = json.loads(podman("inspect", inspected["InfraContainerID"]))[0]
        (network,) = infra["NetworkSettings"]["Networks"].values()
        for probe in (container["livenessProbe"], container["readinessProbe"]):
            url = f"http://{network['IPAddress']}:{probe['httpGet']['port']}{probe['httpGet']['path']}"
            assert Person(hub).ask("GET", url).status == 200
        hub.stop_servers(user)
        assert subprocess.run([*PODMAN, "pod", "exists", pod["metadata"]["name"]], timeout=60).returncode == 1
        assert "Traceback" not in hub.log


@contextmanager
def booted(directory: Path) -> Iterator[list[str]]:
    """Boot :data:`MACHINE`; the beginning of a command line that runs something there.

    :param directory: there it is ``/srv/hub``.
    """
    flags = ["--register=no", "--keep-unit", "--console=pipe", f"--bind={directory}:/srv/hub"]
    with (directory / "console").open("wb") as console:
        machine = subprocess.Popen(
            ["systemd-nspawn", "--quiet", "--boot", *flags, "-D", MACHINE],
            stdin=subprocess.DEVNULL, stdout=console, stderr=console,
        )  # fmt: skip
    try:
        children = Path(f"/proc/{machine.pid}/task/{machine.pid}/children")

        def running() -> list[str] | None:
            """How to come in, where it is up; the first child is another process than the machine's first."""
            for child in children.read_text().split():
                inside = ["nsenter", "--all", "--target", child]
                asked = subprocess.run([*inside, "systemctl", "is-system-running"], capture_output=True, text=True)
                if asked.stdout.strip() in ("running", "degraded"):
                    return inside
            return None

        inside = until(running, 90, "the machine does not come up")
        yield inside
    finally:
        end_process(machine, 60)


@pytest.mark.skipif(not MACHINE, reason="set JUPYTERD_HUB_MACHINE")
def test_systemdspawner(tmp_path: Path) -> None:
    """The Hub in a machine that systemd runs; its proxy stays outside, as it needs Node.js."""
    more = f"""
told["environment"] = {{}}
c.Spawner.environment, c.Spawner.args = {{}}, []
c.ConfigurableHTTPProxy.should_start = False
{configuration("systemd")}
"""
    with booted(tmp_path) as inside:
        home = tmp_path / "hub"
        hub = RealHub(home, more=more, commands=Path("/opt/hub/bin"), inside=inside, seen="/srv/hub/hub")
        with proxy(hub), started(hub):
            told = a_day(hub, "ada")
            assert (told["user"], told["directory"]) == ("ada", "/home/ada")
            asked = ["ActiveState", "MemoryMax", "NoNewPrivileges", "PrivateTmp"]
            assert unit(inside, *asked) == ["active", str(4 << 30), "yes", "yes"]
            another_day(hub, "ada")
            assert unit(inside, "ActiveState", "Result") == ["inactive", "success"]


def unit(inside: list[str], *names: str) -> list[str]:
    """Properties of Ada's unit."""
    show = [*inside, "systemctl", "show", "jupyter-ada-singleuser", *(f"--property={name}" for name in names)]
    said = subprocess.run(show, capture_output=True, text=True, check=True, timeout=60).stdout
    properties = dict(line.split("=", 1) for line in said.splitlines())
    return [properties[name] for name in names]


@contextmanager
def proxy(hub: RealHub) -> Iterator[None]:
    """The Hub's proxy, started by somebody else."""
    places = [f"--port={hub.port}", f"--api-port={hub.api_port}", f"--default-target=http://127.0.0.1:{hub.hub_port}"]
    local = ["--ip=127.0.0.1", "--api-ip=127.0.0.1"]
    env = {**os.environ, "CONFIGPROXY_AUTH_TOKEN": PROXY_TOKEN}
    running = subprocess.Popen([str(programs.proxy()), *places, *local], env=env, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        running.terminate()
        running.wait(20)


def podman(*words: str) -> str:
    return subprocess.run([*PODMAN, *words], capture_output=True, text=True, check=True, timeout=60).stdout


def machine_address() -> str:
    """An address of this machine that containers can reach."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # nothing is sent
        return str(probe.getsockname()[0])
