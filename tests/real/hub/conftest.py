"""One Hub for all tests of a module; each takes users of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.real import programs
from tests.real.hub.hub import RealHub, running

VERSIONS = os.environ.get("JUPYTERD_HUB_VERSIONS", "5,6").split(",")
"""JupyterHubs that the behaviours of a server are held against; the gate takes two."""

long = pytest.mark.skipif("JUPYTERD_HUB_STORIES" not in os.environ, reason="set JUPYTERD_HUB_STORIES=1")
"""What the gate leaves out."""

SPAWNING = """
def prepare(spawner):
    told = json.loads(os.environ["HUB_TEST"])
    for name, value in {**SPAWNERS.get(spawner.user.name, {})}.items():
        if name == "environment":
            spawner.environment = {**spawner.environment, **value}
        else:
            setattr(spawner, name, value)
    home = spawner.home_dir
    if spawner.user.name in globals().get("LINKED", ()) and not os.path.exists(home):
        os.makedirs(home + ".real")
        os.symlink(home + ".real", home)
    for path, text in FILES.get(spawner.user.name, {}).items():
        os.makedirs(os.path.dirname(os.path.join(home, path)), exist_ok=True)
        with open(os.path.join(home, path), "w") as file:
            file.write(text)
c.Spawner.pre_spawn_hook = prepare
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0, "slow_stop_timeout": 0}
"""
"""Lets a module give single users' spawners other settings: ``SPAWNERS``, and files in their homes: ``FILES``; homes of
``LINKED`` users are links. Nobody waits at the Hub: several servers start at the same time."""


def culling(seconds: int) -> str:
    """What has a Hub end servers that were idle for some seconds."""
    python = str(programs.hub(VERSIONS[-1]) / "python")
    return f"""
c.JupyterHub.services.append({{"name": "culler", "command": [
    {python!r}, "-m", "jupyterhub_idle_culler", "--timeout={seconds}", "--cull-every=1"]}})
c.JupyterHub.load_roles.append({{"name": "culler", "services": ["culler"],
    "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"]}})
c.JupyterHub.last_activity_interval = 3600
"""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that wants a Hub is run with each version; where it is marked, with ``newest_hub`` or ``oldest_hub``."""
    if "hub" in metafunc.fixturenames:
        marked = metafunc.definition.get_closest_marker
        chosen = VERSIONS[-1:] if marked("newest_hub") else VERSIONS[:1] if marked("oldest_hub") else VERSIONS
        metafunc.parametrize("hub", chosen, indirect=True, scope="module")


INTERNAL_TLS = """
c.JupyterHub.internal_ssl = True
c.JupyterHub.internal_certs_location = told["home"] + "/certs"
c.JupyterHub.hub_bind_url = f"https://127.0.0.1:{told['hub_port']}"
c.ConfigurableHTTPProxy.api_url = f"https://127.0.0.1:{told['api_port']}"
"""


@pytest.fixture(scope="session")
def tls_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHub]:
    """A Hub whose proxy, servers and itself talk by TLS; people come by plain HTTP."""
    with running(tmp_path_factory.mktemp("hub-tls"), VERSIONS[0], more=INTERNAL_TLS) as hub:
        yield hub


@pytest.fixture(scope="module")
def hub(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHub]:
    """A Hub; a module's ``MORE`` is added to its configuration."""
    more = getattr(request.module, "MORE", "")
    with running(tmp_path_factory.mktemp("hub"), request.param, more=more) as hub:
        yield hub
