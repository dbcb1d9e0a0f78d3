"""jupyterd's own plugin: where pages find it, how it is switched off, and what it does, in node."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from twisted.web.resource import Resource

from jupyterd.frontends import plugin
from tests.frontends.conftest import Serve, page_config, write

pytestmark = pytest.mark.lab

HERE = Path(__file__).parent
FILE = Path(plugin.__file__).parent / plugin.FILE
NODE = shutil.which("node") or shutil.which("nodejs")
needs_node = pytest.mark.skipif(NODE is None, reason="no node")


def extensions(body: bytes) -> dict[str, str]:
    """The address of each extension that a page loads, by name."""
    told = page_config(body)
    base = told["fullLabextensionsUrl"]
    return {entry["name"]: f"{base}/{entry['name']}/{entry['load']}" for entry in told["federated_extensions"]}


@pytest.mark.parametrize("page", ["/x/lab", "/x/doc"])
def test_pages_load_it_from_where_it_is_served(serve: Serve, page: str) -> None:
    site = serve(base_url="/x/")
    url = extensions(site.request("GET", page).body)["jupyterd"]
    assert url.startswith("/x/lab/extensions/jupyterd/plugin.js?v=")
    answer = site.request("GET", url)
    assert (answer.status, answer.body) == (200, FILE.read_bytes())
    assert "javascript" in answer.header("content-type")
    assert "immutable" in answer.header("cache-control"), "its version is in its address"


@pytest.mark.parametrize("option", ["--LabApp.jupyterd_plugin=False", "--LabServerApp.jupyterd_plugin=False"])
def test_it_can_be_switched_off(serve: Serve, option: str) -> None:
    assert "jupyterd" not in extensions(serve(option).request("GET", "/lab").body)


def test_core_mode_is_the_package_alone(serve: Serve) -> None:
    assert extensions(serve("--LabApp.core_mode=True").request("GET", "/lab").body) == {}


def test_an_installed_extension_of_its_name_wins(serve: Serve, home: Path) -> None:
    package = {"name": "jupyterd", "version": "1", "jupyterlab": {"_build": {"load": "own.js", "extension": "./e"}}}
    write(home / "ext" / "jupyterd" / "package.json", package)
    assert extensions(serve().request("GET", "/lab").body)["jupyterd"].endswith("/jupyterd/own.js")


def test_nothing_else_of_its_directory_is_served(serve: Serve) -> None:
    for path in ("__init__.py", "../plugin/plugin.js", "%2e%2e/settings.py", ""):
        assert serve().request("GET", f"/lab/extensions/jupyterd/{path}").status in (400, 404), path


def test_pages_are_told_of_a_dashboard_where_there_is_one(serve: Serve) -> None:
    def resource() -> Resource:
        return Resource()

    site = serve(base_url="/x/")
    site.root.mount("/jupyterd/deeper", resource, auth="")
    assert "jupyterdDashboard" not in page_config(site.request("GET", "/x/lab").body)
    site.root.mount("/jupyterd", resource, auth="")
    assert page_config(site.request("GET", "/x/lab").body)["jupyterdDashboard"] == "/x/jupyterd"


@needs_node
def test_it_is_a_script_that_node_can_read() -> None:
    subprocess.run([NODE, "--check", FILE], check=True, timeout=60)


@pytest.mark.slow
@needs_node
def test_its_parts_work_in_node() -> None:
    done = subprocess.run(
        [NODE, "--test", *sorted(HERE.glob("*.test.mjs"))], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout[-6000:]
