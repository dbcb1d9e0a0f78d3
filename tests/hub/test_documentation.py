"""docs/hub.md: each piece of configuration is read as the Hub, or Kubernetes' chart, reads it."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml
from traitlets.config import Config

PAGE = (Path(__file__).parents[2] / "docs" / "hub.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("code", blocks("python"))
def test_the_hubs_configuration(code: str) -> None:
    c = Config()
    exec(compile(code, "jupyterhub_config.py", "exec"), {"c": c})  # noqa: S102 - it is our own
    command = next(section["cmd"] for section in c.values() if "cmd" in section)
    assert command[0].rpartition("/")[2] == "jupyterd-singleuser"


def test_all_spawners_have_theirs() -> None:
    named = {match for code in blocks("python") for match in re.findall(r'spawner_class = "(.*)"', code)}
    assert named == {"jupyterhub.spawner.LocalProcessSpawner", "systemd", "docker"}


def test_the_charts_values(monkeypatch: pytest.MonkeyPatch) -> None:
    (text,) = blocks("yaml")
    values = yaml.safe_load(text)
    assert values["singleuser"]["cmd"] == "jupyterd-singleuser"
    assert set(values["singleuser"]["image"]) == {"name", "tag"}
    assert values["singleuser"]["extraPodConfig"]["terminationGracePeriodSeconds"] > 30
    client: Any = ModuleType("kubernetes_asyncio.client.models")
    client.V1HTTPGetAction = client.V1Probe = SimpleNamespace
    for name in ("kubernetes_asyncio", "kubernetes_asyncio.client"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, client.__name__, client)
    c = Config()
    exec(values["hub"]["extraConfig"]["probes"], {"c": c})  # noqa: S102 - it is our own
    pod = SimpleNamespace(spec=SimpleNamespace(containers=[SimpleNamespace()]))
    spawner = SimpleNamespace(server=SimpleNamespace(base_url="/user/ada/"), port=8888)
    assert c.KubeSpawner.modify_pod_hook(spawner, pod) is pod
    (container,) = pod.spec.containers
    assert container.readiness_probe.http_get == SimpleNamespace(path="/user/ada/readyz", port=8888)
    assert container.liveness_probe.http_get == SimpleNamespace(path="/user/ada/healthz", port=8888)
