"""docs/hub.md with the spawners it names, from their packages: what they would start is ``jupyterd-singleuser``."""

from __future__ import annotations

import json
import subprocess

from tests.hub.test_documentation import blocks
from tests.real import programs
from tests.real.hub.conftest import long

PROGRAM = """
import asyncio, json, sys
from unittest.mock import MagicMock
from importlib.metadata import entry_points
from traitlets.config import Config, Configurable
from traitlets.utils.importstring import import_item

SPAWNERS = {each.name: each for each in entry_points(group="jupyterhub.spawners")}
loaded = {}
for code in json.loads(sys.argv[1]):
    c = Config()
    exec(code, {"c": c})
    name = c.JupyterHub.spawner_class
    kind = SPAWNERS[name].load() if name in SPAWNERS else import_item(name)
    known = {each.__name__: set(each.class_trait_names()) for each in kind.__mro__ if issubclass(each, Configurable)}
    for section, traits in c.items():
        if section != "JupyterHub":
            assert set(traits) <= known[section], (section, traits)
    user = MagicMock(id=1, escaped_name="ada", url="/user/ada/")
    user.name = "ada"
    spawner = kind(config=c, user=user, hub=MagicMock())
    loaded[name] = spawner.cmd
    if name == "docker":
        called = {}
        async def docker(method, *args, **kwargs):
            called[method] = kwargs
            return {"Id": "0"}
        spawner.docker = docker
        spawner.get_env = lambda: {"JUPYTERHUB_USER": "ada"}
        spawner.port = 8888
        kind.client = MagicMock()
        asyncio.run(spawner.create_object())
        made = called["create_container"]
        loaded["container"] = {"command": made["command"], "image": made["image"], "volumes": made["volumes"]}
print(json.dumps(loaded))
"""


@long
def test_the_spawners_take_it() -> None:
    python = programs.spawners() / "python"
    code = [each for each in blocks("python") if "spawner_class" in each]
    done = subprocess.run([str(python), "-c", PROGRAM, json.dumps(code)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    loaded = json.loads(done.stdout)
    assert loaded["docker"] == ["jupyterd-singleuser"]
    assert loaded["systemd"] == ["/opt/jupyterd/bin/jupyterd-singleuser"]
    assert loaded["container"] == {
        "command": ["jupyterd-singleuser"],
        "image": "registry.example/jupyterd:1",
        "volumes": ["/home/jovyan"],
    }
